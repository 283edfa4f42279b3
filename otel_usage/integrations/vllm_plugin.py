"""The plugin by which an unmodified vLLM reports through otel_usage; vLLM calls `register` in each of its processes.

The first process reports when it is about to run an engine: it alone knows how that was started, whatever the platform
and the number of engines and workers. vLLM's own reporter, which its workers call, is silent then. Where anything here
fails, vLLM's own reporter takes over, but only while the mode is `on` and the project is a destination: a failure of
ours must not send more than the user allows.
"""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
import time
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from otel_usage.consent import OFF, ON, decide, since
from otel_usage.delivery.destination import resolve
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.pending_report import forget_waiting
from otel_usage.reporter import UsageReporter
from otel_usage.run.marker import is_marked, mark, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

NAME = "vllm"
LOGGER = logging.getLogger("vllm.otel_usage")
EXTERNAL_LAUNCHER = "external_launcher"
OPT_OUT = "VLLM_NO_USAGE_STATS"
# Besides `report_usage`, what vLLM's own reporter calls for as long as the engine runs.
REPEATED = ("_write_to_file", "_send_to_server")

# What vLLM's own function for usage says of a configuration, while it is asked here.
_told: ContextVar[list[dict[str, Any]] | None] = ContextVar("told", default=None)
# The configurations that were made here, each with what it was made from.
_made: list[tuple[weakref.ref[Any], dict[str, Any]]] = []
# The marks that are hidden from vLLM at present; they count for every thread.
_hidden: list[str] = []


def _harmless(function: Callable[..., None]) -> Callable[..., None]:
    """Have a function never raise: vLLM does not catch what a plugin raises."""

    @functools.wraps(function)
    def harmless(*args: Any) -> None:  # noqa: ANN401 -- whatever the function takes
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 -- the engine must not notice, whatever it is
            with suppress(Exception):  # a handler of the host's may raise, too
                LOGGER.debug("otel_usage failed: %s: %s", type(error).__name__, error)

    return harmless


@_harmless
def register() -> None:
    """Take vLLM's usage reports over, in this process; called again it does nothing. Never raises."""
    usage: Any = sys.modules.get("vllm.usage.usage_lib")
    if not _is_guarded(usage):
        return
    replaced = [(usage, "set_runtime_usage_data", _runtime(usage.set_runtime_usage_data))]
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


def _is_guarded(usage: Any) -> bool:  # noqa: ANN401 -- vLLM's module, None where it is not loaded
    """Have vLLM's own reporter do nothing that the user does not allow; tell whether there is more to replace.

    A process that only inspects a model's class has not loaded it, and must not load it for this. Where it can't be
    replaced, it is turned off by its own opt-out.
    """
    try:
        message = usage.UsageMessage
        if getattr(message.report_usage, "__globals__", None) is globals():
            return False
        for name in REPEATED:
            if hasattr(message, name):
                setattr(message, name, _guarded(getattr(message, name)))
        message.report_usage = _own_reporter(message.report_usage)
    except Exception:
        if not _may_run():
            os.environ[OPT_OUT] = "1"
        if usage is not None:
            raise
        return False
    return True


def _own_reporter(report_usage: Callable[..., None]) -> Callable[..., None]:
    """Return vLLM's own reporter, which while it is asked here tells what it would report, and else is guarded."""
    guarded = _guarded(report_usage)

    @functools.wraps(report_usage)
    def wrapper(*args: Any, **named: Any) -> None:  # noqa: ANN401 -- as vLLM's
        told = _told.get()
        if told is None:
            guarded(*args, **named)
        else:
            told.append(inspect.signature(report_usage).bind(*args, **named).arguments)

    return wrapper


def _guarded(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function of vLLM's own reporter that does nothing where that must not run."""

    @functools.wraps(function)
    def wrapper(*args: Any, **named: Any) -> None:  # noqa: ANN401 -- as vLLM's
        if _may_run():
            function(*args, **named)

    return wrapper


def _may_run() -> bool:
    """Tell whether vLLM's own reporter may run: this deployment has no report, and the user lets one go to the project.

    A mark counts whatever it says: it may come from another machine. What can't be decided is a no.
    """
    try:
        if _hidden or os.environ.get(variable(NAME)):
            return False
        from otel_usage.integrations.vllm import APP  # noqa: PLC0415 -- no worker of a reported deployment needs it

        now = time.time()
        gate = Gate(APP, resolve(APP, endpoint=APP.endpoint))
        to_project = any(destination.kind == "project" for destination in gate.destinations)
        return to_project and gate.decide().mode == ON and since(NAME) < now
    except Exception:  # noqa: BLE001 -- whatever it is, a failure of ours must not send more than the user allows
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
    found = os.environ.get(variable(NAME))
    if found is None:
        yield
        return
    _hidden.append(found)
    os.environ.pop(variable(NAME), None)
    try:
        yield
    finally:
        os.environ[variable(NAME)] = found
        _hidden.remove(found)


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
    if arguments is None or _hidden or is_marked(NAME):  # vLLM asks while it makes a configuration, too
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
