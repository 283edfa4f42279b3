"""The registry knows the apps that are installed."""

import sys

import pytest
from myengine_app import APP

from otel_usage import App
from otel_usage.facts import registry


@pytest.mark.usefixtures("made_up_app")
def test_every_installed_app_is_known_by_its_name():
    """The made-up app is known beside vLLM's."""
    assert (registry.names(), registry.load("myengine").name) == (["myengine", "vllm"], "myengine")


def test_an_app_that_is_not_installed_is_said_to_be_so():
    """The error names the apps that are installed."""
    with pytest.raises(registry.UnknownAppError) as caught:
        registry.load("nope")

    assert str(caught.value) == "no app 'nope' is installed; the known ones are: vllm"


@pytest.mark.usefixtures("made_up_app")
def test_the_registry_returns_the_app_that_its_package_declares():
    """The registry returns the object that the entry point names."""
    assert registry.load("myengine") is APP


class Broken:
    """A module whose app can't be loaded."""

    @property
    def APP(self):  # noqa: N802 -- the name in the entry point
        message = "broken"
        raise SyntaxError(message)


@pytest.mark.usefixtures("made_up_app")
@pytest.mark.parametrize(
    ("module", "said"),
    [
        (None, "can't be loaded from myengine_app:APP: ModuleNotFoundError: import of myengine_app halted; None in sys.modules"),
        (Broken(), "can't be loaded from myengine_app:APP: SyntaxError: broken"),
        (
            type("Module", (), {"APP": App("other")}),
            "can't be loaded: myengine_app:APP is called 'other'; register it under that name",
        ),
        (type("Module", (), {"APP": "myengine"}), "can't be loaded: myengine_app:APP is no otel_usage.App"),
    ],
)
def test_an_app_that_can_not_be_loaded_is_said_to_be_so(monkeypatch, module, said):
    """The error names the entry point, whatever loading it raises."""
    monkeypatch.setitem(sys.modules, "myengine_app", module)
    with pytest.raises(registry.UnknownAppError) as caught:
        registry.load("myengine")

    assert str(caught.value) == f"app 'myengine' {said}"
