"""A test double for adopters: see what would be reported, without file and network."""

from __future__ import annotations

from contextlib import contextmanager

from otel_usage import reporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_usage.facts.app import App
    from otel_usage.facts.fact import Scalar


@contextmanager
def capture(app: App | str) -> Iterator[list[dict[str, Scalar | None]]]:
    """Yield the list of what `app` reports meanwhile, each as the admitted keys and values of its line.

    app: an App or its name. Strict: what is not declared, or is not among the declared values, raises ValueError
    from `report`. No detector runs, so that what was not passed is None; the first report of the block is one,
    whatever was reported before it.

    Raises RuntimeError where the app is being captured already.
    """
    name = app if isinstance(app, str) else app.name
    if name in reporter.captured:
        message = f"{name} is being captured already"
        raise RuntimeError(message)
    reporter.captured[name] = []
    try:
        yield reporter.captured[name]
    finally:
        del reporter.captured[name]
