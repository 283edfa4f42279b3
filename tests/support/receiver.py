"""Real receivers on loopback take OTLP over HTTP and over gRPC, decoded by the official protobuf."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF = "application/x-protobuf"
#: The answer of an OTLP receiver that accepted a request: status, headers, body.
ACCEPTS = (200, {"content-type": PROTOBUF}, ExportTraceServiceResponse().SerializeToString())


class Received:
    """One request: its path, its headers as they came, and its decoded body."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body

    @property
    def request(self):
        """The OTLP request in the body."""
        raw = gzip.decompress(self.body) if dict(self.headers).get("content-encoding") == "gzip" else self.body
        return raw if isinstance(raw, ExportTraceServiceRequest) else ExportTraceServiceRequest.FromString(raw)

    @property
    def spans(self):
        """Every span of the request, as (resource attributes, span, span attributes)."""
        return [
            (_plain(resource_spans.resource.attributes), span, _plain(span.attributes))
            for resource_spans in self.request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def json(self):
        """The JSON in the body."""
        return json.loads(self.body)


def _plain(attributes):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


class Server(ThreadingHTTPServer):
    """A server that ignores a client that has gone."""

    def handle_error(self, *_):
        """Print nothing."""


class HttpReceiver:
    """An OTLP/HTTP receiver; `reply` is its answer: status, headers, body. port: 0 for any free one."""

    def __init__(self, port=0):
        self.received = []
        self.reply = ACCEPTS
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = [(name.lower(), value) for name, value in self.headers.items()]
                receiver.received.append(Received(self.path, headers, body))
                status, reply_headers, reply = receiver.reply
                self.send_response(status)
                for name, value in reply_headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)
                self.close_connection = True

            def log_message(self, *_):
                """Print nothing."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def only(self):
        """The one request that there was."""
        (received,) = self.received
        return received

    def close(self):
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class GrpcReceiver:
    """An OTLP/gRPC receiver."""

    def __init__(self):
        import grpc
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

        self.received = []
        receiver = self

        class Service(trace_service_pb2_grpc.TraceServiceServicer):
            def Export(self, request, context):  # noqa: N802 -- the name of the method in OTLP
                receiver.received.append(Received("", list(context.invocation_metadata()), request.SerializeToString()))
                return ExportTraceServiceResponse()

        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), self._server)
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    @property
    def only(self):
        """The one request that there was."""
        (received,) = self.received
        return received

    def close(self):
        """Stop serving."""
        self._server.stop(None).wait()
