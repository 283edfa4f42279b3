"""The operator's own collector, reached by the stock OTLP exporters with all their OTEL_EXPORTER_OTLP_* settings.

They connect and send in one call. Over HTTP consent is asked in between, by the session that they are given; over gRPC
it is asked many times a second, and a no closes the channel. The README says what this can't stop.
"""

from __future__ import annotations

import inspect
import os
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_usage.delivery.destination import GRPC, HTTP, UNCLEAR
from otel_usage.delivery.exporters import reasons
from otel_usage.delivery.exporters.outcome import STOPPED, Outcome
from otel_usage.delivery.exporters.silence import RetryAnnounced, Silence
from otel_usage.system.busy import Busy
from otel_usage.system.threads import NoThreadError, start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import requests
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_usage.delivery.destination import Destination

TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
LOOK_AGAIN = 0.02
# Who needs no gRPC may leave its 18 MB out, which the README says how to.
MISSING = {
    GRPC: "not sent: OTLP over gRPC can't be imported: install opentelemetry-exporter-otlp-proto-grpc, or set "
    f"OTEL_EXPORTER_OTLP_PROTOCOL={HTTP}",
    HTTP: "not sent: OTLP over HTTP can't be imported: install opentelemetry-exporter-otlp-proto-http",
}


class OTLPSender:
    """One attempt a call by the stock exporter, silent, under the operator's settings.

    allowed: asked right before each attempt, and again during it. timeout: seconds for the attempt where the operator
    set none; None leaves the stock exporter its own.
    """

    def __init__(self, destination: Destination, allowed: Callable[[], bool], *, timeout: float | None = None) -> None:
        self._destination, self._allowed, self._timeout = destination, allowed, timeout
        self._stock: SpanExporter | None = None
        self._status: int | None = None
        self._words: str | None = None

    def send(self, spans: Sequence[ReadableSpan], request: ExportTraceServiceRequest) -> Outcome:
        """Export the spans and say what became of them; never raises an Exception."""
        del request
        if problem := self._problem():
            return Outcome(problem, again=False)
        if self._destination.wire not in (GRPC, HTTP):
            return Outcome(f"OTEL_EXPORTER_OTLP_PROTOCOL is not known; set it to {HTTP} or {GRPC}")
        silence = Silence()
        try:
            # Not while busy: it takes a lock at forks, and releases it also where it was loaded while one waited.
            import concurrent.futures.thread  # noqa: F401 -- gRPC loads it

            with Busy():
                stock = _stock_class(self._destination.wire)
            with silence:
                self._stock = stock(**self._arguments(stock))
                if not self._allowed():
                    return STOPPED
                if self._export(self._stock, spans) is SpanExportResult.SUCCESS and not self._redirected:
                    return Outcome("accepted", ok=True)
            detail = self._reason(silence)
        except RetryAnnounced:
            detail = self._reason(silence)
        except ImportError:
            detail = MISSING[self._destination.wire]
        except NoThreadError as error:
            detail = f"not sent: {error}"
        except Exception as error:  # noqa: BLE001 -- whatever a setting makes the stock exporter raise
            problem = reasons.of_files(http=self._http)
            failed = f"the OTLP exporter failed ({type(error).__name__}): check the OTEL_* settings"
            detail = f"not sent: {problem}" if problem else failed
        return Outcome(detail) if self._allowed() else STOPPED

    @property
    def _http(self) -> bool:
        return self._destination.wire == HTTP

    def _problem(self) -> str | None:
        """Say what is wrong with the URL, None where nothing is."""
        found = reasons.of_url(self._destination.url, http=self._http)
        return found or (None if self._destination.clear else UNCLEAR)

    def _reason(self, silence: Silence) -> str:
        """Say why it was not accepted, with a status code at most: all else may be the server's own words."""
        if self._status:
            return f"not accepted ({self._status})"
        words = self._words or reasons.of_grpc(silence.details, self._destination.url)
        if not self._destination.url.startswith("http://") and (missing := reasons.of_files(http=self._http)):
            follows = words in (None, reasons.UNTRUSTED, reasons.TLS_FAILED)
            words = missing if follows else f"{words}, and {missing}"
        if words is not None:
            return f"not accepted: {words}"
        return f"not accepted ({silence.code})" if silence.code else "not accepted: no connection or no answer in time"

    def _export(self, stock: SpanExporter, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export; over gRPC, which has no place for a question, beside a thread that closes the channel on a no."""
        if self._destination.wire != GRPC:
            return stock.export(spans)
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_AGAIN):
                with Busy():
                    if not self._allowed():
                        with Silence():
                            stock.shutdown(timeout_millis=0)  # type: ignore[call-arg]  # the one for gRPC has it
                        return

        start(watch)
        try:
            return stock.export(spans)
        finally:
            over.set()

    @property
    def _redirected(self) -> bool:
        """Whether the answer was a redirect, which the stock exporter takes for success and does not follow."""
        return self._status is not None and self._status >= 300  # noqa: PLR2004 -- beyond HTTP's class of success

    def _arguments(self, stock: type[SpanExporter]) -> dict[str, Any]:
        """Return what is passed explicitly, where this version has it; all else is read from the environment."""
        known = inspect.signature(stock).parameters
        arguments: dict[str, Any] = {"endpoint": self._destination.url, "meter_provider": NoOpMeterProvider()}
        if self._timeout is not None and not any(os.environ.get(name) for name in TIMEOUTS):
            arguments["timeout"] = self._timeout
        if self._destination.wire == GRPC:
            from grpc import StatusCode  # loaded by the exporter already

            arguments["retryable_error_codes"] = (StatusCode.OK,)  # none that an attempt could fail with
        elif not any(name.endswith("_CREDENTIAL_PROVIDER") for name in os.environ):
            arguments["session"] = self._session()
        return {name: value for name, value in arguments.items() if name in known}

    def _session(self) -> requests.Session:
        """Return a session that lets one request through, and ends the stock exporter's wait for the next."""
        import requests  # the exporter loads it too

        from otel_usage.delivery.exporters.consent_adapter import ConsentAdapter  # loads `requests` as well

        exporter = self

        class OneAttempt(requests.Session):
            def request(self, *arguments: Any, **named: Any) -> requests.Response:  # noqa: ANN401 -- passed through
                if exporter._status is not None:
                    raise RetryAnnounced
                exporter._status = 0
                try:
                    response = super().request(*arguments, **{**named, "allow_redirects": False})
                except OSError as error:  # some versions would try again at once
                    exporter._words = reasons.of_error(error)
                    raise RetryAnnounced from error
                else:
                    exporter._status = response.status_code
                    return response
                finally:
                    exporter.shutdown()

        session = OneAttempt()
        for scheme in ("http://", "https://"):
            session.mount(scheme, ConsentAdapter(self._allowed))
        return session

    def shutdown(self) -> None:
        """Close the stock exporter's connection."""
        if self._stock is not None:
            with Silence():
                self._stock.shutdown()


def _stock_class(wire: str) -> type[SpanExporter]:
    if wire == GRPC:
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc  # 230 ms

        return grpc.OTLPSpanExporter
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as http  # 150 ms

    return http.OTLPSpanExporter
