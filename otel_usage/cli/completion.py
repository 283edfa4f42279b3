"""What a shell completes: the names of apps after `--app`, facts and their values after `--set`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from otel_usage.cli import apps
from otel_usage.facts import registry

if TYPE_CHECKING:
    import click

    from otel_usage.facts.fact import Fact

MADE_BY_EACH_REPORT = ("uuid", "log_time")


def complete_app(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of the apps that begin so."""
    del context, option
    return [CompletionItem(name) for name in apps.every() if name.startswith(incomplete)]


def complete_set(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return `KEY=` for the facts that begin so; behind the `=`, the values of the closed set."""
    del option
    parent = context.parent.params if context.parent else {}
    named = context.params.get("app_") or parent.get("name")
    names = [named] if named else apps.known()
    try:
        app = registry.load(names[0]) if len(names) == 1 else None
    except registry.UnknownAppError:
        return []
    if app is None:
        return []
    key, equals, _ = incomplete.partition("=")
    if equals:
        found = [f"{key}={value}" for value in _values(app.facts_by_key.get(key), app.contexts)]
    else:
        found = [f"{key}=" for key in app.report_keys if key not in MADE_BY_EACH_REPORT]
    return [CompletionItem(word) for word in found if word.startswith(incomplete)]


def _values(fact: Fact | None, contexts: tuple[str, ...]) -> tuple[str, ...]:
    if fact is None:
        return ()
    if fact.type is bool:
        return ("true", "false")
    return contexts if fact.key == "context" else fact.values or ()


class Bash(BashComplete):
    """Completion for bash, to which `=` is a word of its own, and which ends each completion with a space."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", "COMPREPLY+=($value); [[ $value == *= ]] && compopt -o nospace"
    )
    _typed = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words as they were typed, and the one that is being typed."""
        words, last = super().get_completion_args()
        joined: list[str] = []
        for word in [*words, last]:
            if joined and (word == "=" or (joined[-1].endswith("=") and word)):
                joined[-1] += word
                self._typed = joined[-1][: joined[-1].rindex("=") + 1]
            else:
                joined.append(word)
                self._typed = ""
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """Return the line for one completion: of `KEY=VALUE` what stands behind the `=`, where bash puts it."""
        return f"{item.type},{item.value.removeprefix(self._typed)}"


add_completion_class(Bash)
