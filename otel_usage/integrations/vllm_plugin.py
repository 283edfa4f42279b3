"""The vLLM plugin: an unmodified vLLM reports through otel_usage. vLLM calls `register` in each of its processes.

The first process reports, right before it runs an engine. On every platform, with any number of engines and workers,
only this process knows how the engine was started. vLLM's own reporter, which its workers call, then does nothing. If
the plugin fails, vLLM's own reporter runs instead, but only if the mode is `on` and the project is a destination: a
failure of ours must not send more than the user allows.
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
# The methods of vLLM's own reporter that run repeatedly while the engine runs, besides `report_usage`.
REPEATED = ("_write_to_file", "_send_to_server")

# While it holds a list, calls of vLLM's own reporter are appended to it instead of reported; see facts_of.
_told: ContextVar[list[dict[str, Any]] | None] = ContextVar("told", default=None)
# The configurations that this process has made, each with the arguments it was made from.
_made: list[tuple[weakref.ref[Any], dict[str, Any]]] = []
# The marks that are hidden from vLLM at the moment. For our own checks they still count, in every thread.
_hidden: list[str] = []


def _harmless(function: Callable[..., None]) -> Callable[..., None]:
    """Decorate a function so that it raises nothing: vLLM does not catch the exceptions of a plugin."""

    @functools.wraps(function)
    def harmless(*args: Any) -> None:  # noqa: ANN401 -- the arguments of any function
        try:
            function(*args)
        except Exception as error:  # noqa: BLE001 -- the engine must not notice any failure
            with suppress(Exception):  # a log handler of the host may raise, too
                LOGGER.debug("otel_usage failed: %s: %s", type(error).__name__, error)

    return harmless


@_harmless
def register() -> None:
    """Replace vLLM's usage reports in this process. Another call does nothing. No Exception is raised."""
    usage: Any = sys.modules.get("vllm.usage.usage_lib")
    if not _is_guarded(usage):
        return
    replaced = [(usage, "set_runtime_usage_data", _runtime(usage.set_runtime_usage_data))]
    arguments = sys.modules.get("vllm.engine.arg_utils")
    if arguments is not None:  # workers don't load it, since they make no configurations
        from vllm.v1.executor.abstract import Executor  # vLLM has loaded it here

        make = arguments.EngineArgs.create_engine_config
        replaced += [
            (arguments.EngineArgs, "create_engine_config", _configuration(make)),
            (Executor, "get_class", staticmethod(_start(Executor.get_class))),
        ]
    for place, name, function in replaced:
        setattr(place, name, function)


def _is_guarded(usage: Any) -> bool:  # noqa: ANN401 -- vLLM's module; None if it is not loaded
    """Guard vLLM's own reporter, so that it runs only if the user allows it. Tell whether more is to be replaced.

    A process that only inspects the class of a model has not loaded the reporter, and must not load it for this. If it
    can't be guarded, vLLM's own opt-out turns it off, unless it may run.
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
    """Return the guarded reporter of vLLM. While `_told` holds a list, it only appends its arguments to it."""
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
    """Return a function of vLLM's own reporter that does nothing if the reporter may not run."""

    @functools.wraps(function)
    def wrapper(*args: Any, **named: Any) -> None:  # noqa: ANN401 -- as vLLM's
        if _may_run():
            function(*args, **named)

    return wrapper


def _may_run() -> bool:
    """Tell whether vLLM's own reporter may run: we have not reported, and the user allows reports to the project.

    Any mark counts here, valid or not, since it may come from another machine. False if it can't be decided.
    """
    try:
        if _hidden or os.environ.get(variable(NAME)):
            return False
        from otel_usage.integrations.vllm import APP  # workers of a run that has reported do not need it

        now = time.time()
        gate = Gate(APP, resolve(APP, endpoint=APP.endpoint))
        to_project = any(destination.kind == "project" for destination in gate.destinations)
        return to_project and gate.decide().mode == ON and since(NAME) < now
    except Exception:  # noqa: BLE001 -- no failure of ours may send more than the user allows
        return False


def _configuration(create_engine_config: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the vLLM function that makes a configuration: remember the arguments it was made from."""
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
    """Hide the mark of the run from vLLM, which warns of unknown variables that begin with VLLM_.

    With --fail-on-environ-validation it even refuses to start.
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
    """Wrap the vLLM function that returns the executor class for an engine: also report that engine's run."""

    @functools.wraps(get_class)
    def wrapper(vllm_config: Any) -> Any:  # noqa: ANN401 -- as vLLM's
        found = get_class(vllm_config)
        _report(vllm_config)
        return found

    return wrapper


@_harmless
def _report(config: object) -> None:
    """Report the configuration of an engine that is about to run, unless this run has reported already."""
    arguments = next((arguments for made, arguments in _made if made() is config), None)
    if arguments is None or _hidden or is_marked(NAME):  # hidden: vLLM is making a configuration
        return
    if decide(NAME).mode == OFF:
        forget_waiting(_reporter().app)
        return
    if arguments.get("headless") or not _is_first(config):
        mark(NAME)
        return
    from otel_usage.integrations.vllm_config import facts_of  # only where a report is made

    context = arguments.get("usage_context")
    if (facts := facts_of(config, context, _told)) is not None:
        _reporter().report(facts, context=None if context is None else context.value)


def _is_first(config: Any) -> bool:  # noqa: ANN401 -- a VllmConfig
    """Tell whether this is the first of the processes that were started in parallel as one deployment."""
    parallel = config.parallel_config
    launched = parallel.distributed_executor_backend == EXTERNAL_LAUNCHER and os.environ.get("RANK", "0") != "0"
    return parallel.data_parallel_rank == 0 and parallel.node_rank == 0 and not launched


def _runtime(set_runtime_usage_data: Callable[..., None]) -> Callable[..., None]:
    """Wrap the vLLM function that sets runtime data: also set it for our heartbeats."""

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
    from otel_usage.integrations.vllm import APP  # workers do not need the facts

    return UsageReporter(APP, logger=LOGGER)
