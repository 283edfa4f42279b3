"""The apps that are installed."""

import pytest

from otel_usage import apps


@pytest.mark.usefixtures("made_up_app")
def test_every_installed_app_is_known_by_its_name():
    """The made-up one beside vLLM's."""
    assert (apps.names(), apps.load("myengine").name) == (["myengine", "vllm"], "myengine")


def test_an_app_that_is_not_installed_is_said_to_be_so():
    """With those that are."""
    with pytest.raises(apps.UnknownAppError) as caught:
        apps.load("nope")

    assert str(caught.value) == "no app 'nope' is installed; the known ones are: vllm"
