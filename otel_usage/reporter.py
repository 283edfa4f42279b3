"""UsageReporter, the class that adopters use. Its `report` returns at once and raises nothing into the host."""

from __future__ import annotations

import os
import threading
import weakref

from otel_usage.consent import OFF, ON, PYTEST
from otel_usage.delivery.destination import resolve
from otel_usage.delivery.exporters.outcome import Outcome
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.log import note
from otel_usage.delivery.pending_report import forget_waiting
from otel_usage.facts.admission import admit
from otel_usage.facts.app import CONTEXTS, App
from otel_usage.facts.declaration import reporter_problem
from otel_usage.facts.report import Report, assemble, known_facts
from otel_usage.run.job import Job
from otel_usage.run.marker import claim, elect, is_marked, mark
from otel_usage.run.notice import (
    BEFORE_SEND,
    GIVEN,
    UNSEEN,
    log_notice,
    notice_text,
    record_notice,
    was_given,
)
from otel_usage.run.run import Run
from otel_usage.system.threads import is_main_interpreter
from otel_usage.system.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from logging import Logger

    from typing_extensions import Self

    from otel_usage.facts.fact import Fact, Scalar

STRICT = "OTEL_USAGE_STRICT"

#: The reports that `otel_usage.testing.capture` collects, by app. For an app in here, nothing is written or sent.
captured: dict[str, list[dict[str, Scalar | None]]] = {}


class UsageReporter:
    """Reports once per run with which hardware and settings a project is used, if the user allows it.

    Args:
        app: An App, or the name of an app. With a name, version to wire and default are those of App.
        version: See App.
        endpoint: See App.
        facts: See App.
        contexts: See App.
        wire: See App.
        heartbeat: Seconds between two heartbeats, with a jitter of 10 %; 0 for none.
        strict: Whether `report` and `set_runtime` raise ValueError for a value that is not declared, instead of
            dropping and counting it. With None, the variable OTEL_USAGE_STRICT=1 turns it on.
        logger: Gets at level DEBUG what was dropped or failed, and once per machine, at level INFO, the notice that
            reports are sent. With None, only the notice is logged, by the logger `otel_usage`.
        notice: With "before-send", only runs send that come after one in which somebody could see the notice, by
            the log or by `notice()`.
        default: See App.

    Attributes:
        app: The app that reports.

    Raises:
        ValueError: A declaration can't be used.
    """

    def __init__(  # noqa: PLR0913 -- keyword arguments, most of them optional
        self,
        app: App | str,
        *,
        version: str | Callable[[], str | None] | None = None,
        endpoint: str | None = None,
        facts: Iterable[Fact] = (),
        contexts: Iterable[str] = CONTEXTS,
        wire: str = "otlp",
        heartbeat: float = 600.0,
        strict: bool | None = None,
        logger: Logger | None = None,
        notice: str | None = None,
        default: str | None = None,
    ) -> None:
        if problem := reporter_problem(heartbeat, strict, logger):
            raise ValueError(problem)
        if notice not in (None, BEFORE_SEND):
            message = f'notice= must be "{BEFORE_SEND}" or None'
            raise ValueError(message)
        if isinstance(app, str):
            app = App(
                app,
                version=version,
                endpoint=endpoint,
                facts=facts,
                contexts=contexts,
                wire=wire,
                default="on" if default is None else default,
            )
        elif not isinstance(app, App):
            raise ValueError('app must be an App, or the name of one, such as "myengine"')  # noqa: TRY004 -- as all else
        elif facts or contexts is not CONTEXTS or wire != "otlp" or not (version is endpoint is default is None):
            message = f"app {app.name!r}: what an App declares is not given a second time"
            raise ValueError(message)
        self.app = app
        self._dropped = 0
        self._strict = os.environ.get(STRICT) == "1" if strict is None else strict
        self._logger, self._notice = logger, notice
        self._interval = heartbeat
        self._reported = self._gave_notice = False
        self._born = os.getpid()
        self._forked = False
        _note_forks(self)
        self._begin()

    def _begin(self) -> None:
        """Set up the state of this process. A forked child does it again: it has no thread, its lock may be held."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._inside: set[int] = set()
        self._run = Run(self._interval, Worker(self._failed), self._failed)

    def report(
        self,
        facts: Mapping[str, object] | None = None,
        /,
        *,
        context: str | None = None,
        force: bool = False,
        **more: object,
    ) -> None:
        """Report the facts that are known now, in the background. A second call in the same run does nothing.

        Args:
            facts: Values of declared facts by key. A value for a built-in fact replaces what its detector finds.
            context: One of the app's contexts.
            force: Whether to make another report, with a new uuid, even if this run has reported.
            more: More facts, as keyword arguments.

        Raises:
            ValueError: A value is not declared, and the reporter is strict. One that is not strict raises nothing.
        """
        caller = threading.get_ident()
        if caller in self._inside:  # called by a handler of the adopter's logger: this would recurse without end
            return
        self._inside.add(caller)
        try:
            given: dict[str, object] = {**(facts or {}), **more}
            if context is not None:
                given["context"] = context
            if (reports := captured.get(self.app.name)) is not None:
                if force or not reports:
                    given.setdefault(self.app.version_key, self.app.version)
                    reports.append(assemble(self.app, self._known(given, strict=True), {}).values)
                return
            self._start(given, force=force)
        except Exception as error:  # the host must not notice any failure
            if self._strict or self.app.name in captured:
                raise
            self._failed(error)
        finally:
            self._inside.discard(caller)

    def _start(self, given: Mapping[str, object], *, force: bool) -> None:
        if self._process != os.getpid():
            self._begin()
        if not force and (self._reported or is_marked(self.app.name)):
            return
        gate = Gate(self.app, resolve(self.app, endpoint=self.app.endpoint))
        decision = gate.decide()
        if decision.mode != ON and decision.decided_by != PYTEST:  # a test run is not an opt-out of the user
            forget_waiting(self.app)
        if decision.mode == OFF:
            return
        if not is_main_interpreter():
            self._log("usage is not reported: %s", "this is a sub-interpreter")
            return
        picked = (lambda _: True) if force else self._is_picked
        job = Job(self._known(given, strict=self._strict), gate, picked=picked, may_leave=self._may_leave)
        if force:
            mark(self.app.name)
        elif not claim(self.app.name):
            return
        self._reported = True
        with self._lock:  # two threads may call with `force`
            if self._run.is_new:
                import atexit  # only where a report is made

                atexit.register(self._run.end)
            self._run.add(job)

    def _is_picked(self, gate: Gate) -> bool:
        """Tell whether this process may report, as opposed to a sibling that was forked before the mark was set."""
        return (self._born == self._process and not self._forked) or elect(gate.directory, self._born)

    def notice(self) -> str:
        """Return what this machine's user should know before reports leave it, for a program that shows it itself.

        Call it before `report`, and show it: it counts as given from then on, and a run under notice="before-send"
        that gives it sends nothing yet.

        Returns:
            One line of text. Empty where nothing leaves, since the mode is not on or there is no destination, and
            where an earlier run has given it; so `if text := usage.notice(): print(text)` prints it once on a machine.
        """
        try:
            gate = Gate(self.app, resolve(self.app, endpoint=self.app.endpoint))
            decision = gate.decide()
            testing = decision.decided_by == PYTEST  # a test sees the text, and records nothing
            if not gate.destinations or not (decision.mode == ON or testing):
                return ""
            if not self._gave_notice and not testing:
                if was_given(gate):
                    return ""
                record_notice(gate)
                self._gave_notice = True
            return notice_text(gate)
        except Exception as error:  # noqa: BLE001 -- the host must not notice, whatever it is
            self._failed(error)
            return ""

    def _may_leave(self, gate: Gate) -> bool:
        """Give the notice if it is due, and tell whether this run's reports may be sent."""
        before = was_given(gate) and not self._gave_notice
        if not before and not self._gave_notice:
            self._gave_notice = log_notice(gate, self._logger)
        if before or self._notice != BEFORE_SEND:
            return True
        for destination in gate.destinations:
            note(gate.directory, destination, Outcome(GIVEN if self._gave_notice else UNSEEN))
        return False

    def _known(self, given: Mapping[str, object], *, strict: bool) -> dict[str, Scalar | None]:
        known, problems = known_facts(self.app, given)
        if strict:
            problems += assemble(self.app, known, {}).misfits()
        self._drop(problems, strict=strict)
        for problem in problems:
            self._log("dropped: %s", problem)
        return known

    def _drop(self, problems: list[str], *, strict: bool) -> None:
        """Count what was dropped, or raise ValueError if strict."""
        if problems and strict:
            message = f"usage of {self.app.name}: {'; '.join(problems)}"
            raise ValueError(message)
        self._dropped += len(problems)

    def set_runtime(self, /, **declared: object) -> None:
        """Set facts for the next heartbeats: what the run has done so far.

        Args:
            declared: Values of facts that are declared with `on="heartbeat"`, by key.

        Raises:
            ValueError: A value is not declared, and the reporter is strict.
        """
        strict = self._strict or self.app.name in captured
        admitted, problems = admit(self.app, declared, on="heartbeat")
        if strict:
            problems += Report(self.app, admitted).misfits()
        self._drop(problems, strict=strict)
        self._run.runtime.update(admitted)

    @property
    def dropped(self) -> int:
        """How many values were dropped or leave as `other`, since their facts do not allow them."""
        return self._dropped + self._run.misfits

    def flush(self, timeout: float = 5.0) -> bool:
        """Send all waiting reports now, also those that earlier runs left, ignoring back-off.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether each report of this process has its line, and was accepted, permanently rejected, or must not be
            sent.
        """
        try:
            return self._process != os.getpid() or self._run.flush(timeout)
        except Exception as error:  # noqa: BLE001 -- the host must not notice any failure
            self._failed(error)
            return False

    def close(self) -> None:
        """Stop the heartbeats, and wait at most 0.25 s until the line is in the local file; never for the network."""
        if self._process == os.getpid():
            self._run.close()

    def __enter__(self) -> Self:
        """Return the reporter itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Call `close`."""
        self.close()

    def _failed(self, error: Exception) -> None:
        self._log("usage was not reported: %s", type(error).__name__)

    def _log(self, message: str, detail: str) -> None:
        if self._logger is None:
            return
        try:
            self._logger.debug(message, detail)
        except Exception:  # noqa: BLE001 -- a handler or filter of the host may raise anything
            return


def _note_forks(reporter: UsageReporter) -> None:
    """Record each fork in the reporter. Python can't unregister the hook, so it does not keep the reporter alive."""
    alive = weakref.ref(reporter)

    def note() -> None:
        if (found := alive()) is not None:
            found._forked = True  # noqa: SLF001 -- same module

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_parent=note)
