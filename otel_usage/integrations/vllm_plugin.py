"""The plugin by which an unmodified vLLM reports through otel_usage; vLLM calls `register` in each of its processes.

The first process reports when it is about to run an engine: it alone knows how that was started, whatever the platform
and the number of engines and workers. vLLM's own reporter, which its workers call, is silent then. Where anything here
fails, nothing was said to the workers, and it does what it always did.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
import weakref
from contextlib import contextmanager
from contextvars import ContextVar

from otel_usage.consent import OFF, decide
from otel_usage.marker import is_marked, mark, variable
from otel_usage.parcel import forget_waiting
from otel_usage.reporter import UsageReporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

NAME = "vllm"
LOGGER = logging.getLogger("vllm.otel_usage")
EXTERNAL_LAUNCHER = "external_launcher"

# What vLLM's own function for usage says of a configuration, while it is asked here.
_told: ContextVar[list[dict[str, Any]] | None] = ContextVar("told", default=None)
# The configurations that were made here, each with what it was made from.
_made: list[tuple[weakref.ref[Any], dict[str, Any]]] = []


def _harmless(function: Callable[..., None]) -> Callable[..., None]:
    """Have a function never raise: vLLM does not catch what a plugin raises."""

    @functools.wraps(function)
    def harmless(*args: Any) -> None:  # noqa: ANN401 -- whatever the function takes
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 -- the engine must not notice, whatever it is
            LOGGER.debug("usage is left to vLLM's own reporter: %s: %s", type(error).__name__, error)

    return harmless


@_harmless
def register() -> None:
    """Take vLLM's usage reports over, in this process; called again it does nothing. Never raises."""
    usage = sys.modules.get("vllm.usage.usage_lib")
    if usage is None:  # a process that only inspects a model's class; this must not load a reporter for it
        return
    if getattr(usage.UsageMessage.report_usage, "__globals__", None) is globals():
        return
    replaced = [
        (usage.UsageMessage, "report_usage", _own_reporter(usage.UsageMessage.report_usage)),
        (usage, "set_runtime_usage_data", _runtime(usage.set_runtime_usage_data)),
    ]
    arguments = sys.modules.get("vllm.engine.arg_utils")
    if arguments is not None:  # no worker makes configurations
        from vllm.v1.executor.abstract import Executor  # noqa: PLC0415 -- loaded where configurations are made

        make = arguments.EngineArgs.create_engine_config
        replaced += [
            (arguments.EngineArgs, "create_engine_config", _configuration(make)),
            (Executor, "get_class", staticmethod(_start(Executor.get_class))),
        ]
    for place, name, function in replaced:
        setattr(place, name, function)


def _own_reporter(report_usage: Callable[..., None]) -> Callable[..., None]:
    """Return vLLM's own reporter, silent where otel_usage reports in its place or was told not to."""
    signature = inspect.signature(report_usage)

    @functools.wraps(report_usage)
    def wrapper(*args: Any, **named: Any) -> None:  # noqa: ANN401 -- as vLLM's
        told = _told.get()
        if told is not None:
            told.append(signature.bind(*args, **named).arguments)
        elif not _is_taken_over():
            report_usage(*args, **named)

    return wrapper


def _is_taken_over() -> bool:
    """Tell whether this deployment's report was made, or must not be; the mark may come from another machine."""
    try:
        return bool(os.environ.get(variable(NAME))) or decide(NAME).mode == OFF
    except Exception:  # noqa: BLE001 -- then vLLM does what it always did
        return False


def _configuration(create_engine_config: Callable[..., Any]) -> Callable[..., Any]:
    """Return vLLM's function that makes a configuration, which also remembers what it was made from."""
    signature = inspect.signature(create_engine_config)

    @_harmless
    def remember(config: object, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        _made[:] = [(kept, arguments) for kept, arguments in _made if kept() is not None]
        _made.append((weakref.ref(config), signature.bind(*args, **named).arguments))

    @functools.wraps(create_engine_config)
    def wrapper(*args: Any, **named: Any) -> Any:  # noqa: ANN401 -- as vLLM's
        with _without_mark():
            config = create_engine_config(*args, **named)
        remember(config, args, named)
        return config

    return wrapper


@contextmanager
def _without_mark() -> Iterator[None]:
    """Hide the mark of the run for a while: vLLM warns of variables that begin with VLLM_ and are not its own.

    With --fail-on-environ-validation it refuses to start.
    """
    found = os.environ.pop(variable(NAME), None)
    try:
        yield
    finally:
        if found is not None:
            os.environ[variable(NAME)] = found


def _start(get_class: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return vLLM's function that is asked for the executor of an engine to be run, which also reports that run."""

    @functools.wraps(get_class)
    def wrapper(vllm_config: Any) -> Any:  # noqa: ANN401 -- as vLLM's
        found = get_class(vllm_config)
        _report(vllm_config)
        return found

    return wrapper


@_harmless
def _report(config: object) -> None:
    """Report a configuration that is about to be run, if it is the first of a deployment that has not reported."""
    arguments = next((arguments for made, arguments in _made if made() is config), None)
    if arguments is None or is_marked(NAME):  # vLLM asks for the executor while it makes a configuration, too
        return
    if decide(NAME).mode == OFF:
        forget_waiting(_reporter().app)
        return
    if arguments.get("headless") or not _is_first(config):
        mark(NAME)
        return
    from otel_usage.integrations.vllm_config import facts_of  # noqa: PLC0415 -- once a deployment

    context = arguments.get("usage_context")
    if (facts := facts_of(config, context, _told)) is not None:
        _reporter().report(facts, context=None if context is None else context.value)


def _is_first(config: Any) -> bool:  # noqa: ANN401 -- a VllmConfig
    """Tell whether this is the first of the processes that are started side by side as one deployment."""
    parallel = config.parallel_config
    launched = parallel.distributed_executor_backend == EXTERNAL_LAUNCHER and os.environ.get("RANK", "0") != "0"
    return parallel.data_parallel_rank == 0 and parallel.node_rank == 0 and not launched


def _runtime(set_runtime_usage_data: Callable[..., None]) -> Callable[..., None]:
    """Return vLLM's function for runtime data, which also feeds the heartbeats of otel_usage."""

    @_harmless
    def feed(key: str, value: object) -> None:
        _reporter().set_runtime(**{key: value})

    @functools.wraps(set_runtime_usage_data)
    def wrapper(key: str, value: Any) -> None:  # noqa: ANN401 -- as vLLM's
        set_runtime_usage_data(key, value)
        feed(key, value)

    return wrapper


@functools.cache
def _reporter() -> UsageReporter:
    from otel_usage.integrations.vllm import APP  # noqa: PLC0415 -- no worker needs the table

    return UsageReporter(APP, logger=LOGGER)
