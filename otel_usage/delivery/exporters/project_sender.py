"""The project sender: posts reports to the project's endpoint, and nothing that belongs to the operator.

Its requests have exactly the headers named here. OTEL_EXPORTER_OTLP_* variables, ~/.netrc, cookies and client
certificates add nothing, since no code here reads them.
"""

from __future__ import annotations

from otel_usage.delivery.destination import UNCLEAR
from otel_usage.delivery.exporters.connection import ExchangeError, Reply
from otel_usage.delivery.exporters.http import post
from otel_usage.delivery.exporters.outcome import STOPPED, Outcome
from otel_usage.facts.scope import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_usage.delivery.destination import Destination

TIMEOUT = 5.0
PROTOBUF = "application/x-protobuf"
USER_AGENT = f"otel-usage/{__version__}"
RETRYABLE = (429, 502, 503, 504)
LONGEST_WAIT = 24 * 3600.0


class ProjectSender:
    """Sends reports to a project's endpoint, each in a request and a connection of its own.

    Args:
        destination: Where to send them.
        allowed: Tells whether a report may be sent; asked right before anything leaves.
        timeout: Seconds for the whole exchange, from the look-up of the name to the last byte of the reply.
    """

    def __init__(self, destination: Destination, allowed: Callable[[], bool], *, timeout: float = TIMEOUT) -> None:
        self._destination, self._allowed, self._timeout = destination, allowed, timeout

    def send(self, spans: Sequence[ReadableSpan], request: ExportTraceServiceRequest) -> Outcome:
        """Post the request as OTLP/HTTP protobuf with gzip. No Exception is raised; see Sender.send."""
        del spans
        import zlib  # only where something is sent

        packer = zlib.compressobj(wbits=31)
        body = packer.compress(request.SerializeToString()) + packer.flush()
        reply = self._post(body, {"content-type": PROTOBUF, "content-encoding": "gzip"})
        return reply if isinstance(reply, Outcome) else _judge_otlp(reply)

    def send_line(self, line: str) -> Outcome:
        """Post a line of the local file as it is, for the `json` wire. No Exception is raised."""
        reply = self._post(line.encode("ascii"), {"content-type": "application/json"})
        return reply if isinstance(reply, Outcome) else _judge_json(reply)

    def _post(self, body: bytes, headers: dict[str, str]) -> Reply | Outcome:
        destination = self._destination
        if not destination.clear:
            return Outcome(UNCLEAR, again=False)
        if not (destination.url.startswith("https://") or destination.loopback or destination.by_operator):
            return Outcome("not sent: the project's endpoint is not https", again=False)
        headers = {**headers, "user-agent": USER_AGENT}
        try:
            return post(destination.url, body, headers, timeout=self._timeout, allowed=self._allowed)
        except ExchangeError as error:
            return Outcome(str(error)) if self._allowed() else STOPPED

    def shutdown(self) -> None:
        """Do nothing: each connection is closed after its request."""


def _judge_otlp(reply: Reply) -> Outcome:
    """Return the outcome of an OTLP request. A 200 must be a valid OTLP response: captive portals also answer 200."""
    if reply.status != 200:  # noqa: PLR2004 -- the only status for success in OTLP
        return _judge_failure(reply)
    from google.protobuf.message import DecodeError  # loaded by the encoder already
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceResponse,
    )

    if reply.headers.get("content-type", "").partition(";")[0].strip().lower() != PROTOBUF:
        return Outcome("answered 200, but not as an OTLP receiver does")
    response = ExportTraceServiceResponse()
    try:
        response.ParseFromString(reply.body)
    except DecodeError:
        return Outcome("answered 200, but not as an OTLP receiver does")
    if _has_unknown_fields(response):
        return Outcome("answered 200, but not as an OTLP receiver does")
    if response.partial_success.rejected_spans:
        return Outcome("refused the report", again=False)
    return Outcome("accepted (200)", ok=True)


def _has_unknown_fields(response: object) -> bool:
    size = response.ByteSize()  # type: ignore[attr-defined]  # any protobuf message
    response.DiscardUnknownFields()  # type: ignore[attr-defined]
    return bool(size != response.ByteSize())  # type: ignore[attr-defined]


def _judge_json(reply: Reply) -> Outcome:
    if reply.status < 300:  # noqa: PLR2004 -- HTTP's 2xx: `Connection.reply` skips 1xx
        return Outcome(f"accepted ({reply.status})", ok=True)
    return _judge_failure(reply)


def _judge_failure(reply: Reply) -> Outcome:
    if reply.status in RETRYABLE:
        return Outcome(f"answered {reply.status}, asks to try later", after=_retry_after(reply))
    if 400 <= reply.status < 500:  # noqa: PLR2004 -- HTTP's own class of refusal
        return Outcome(f"refused the report ({reply.status})", again=False)
    return Outcome(f"answered {reply.status}")


def _retry_after(reply: Reply) -> float | None:
    """Return the seconds that the server asks to wait (Retry-After), at most 24 h; None if it does not ask."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT)
    from email.utils import mktime_tz, parsedate_tz  # seldom needed

    date = parsedate_tz(text)
    if date is None:
        return None
    import time  # seldom needed

    try:
        return min(max(mktime_tz(date) - time.time(), 0.0), LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None
