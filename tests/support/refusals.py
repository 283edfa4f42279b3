"""Every request that the proxy refuses, and the status of each."""

from __future__ import annotations

from nginx import EXPORT, PROTOBUF, Http2

REFUSALS = {
    "path": 404, "path of another signal": 404, "path below": 404, "gRPC": 404,
    "GET": 405, "method": 405, "TRACE": 405,
    "1 MB": 413, "1 MB over HTTP/2": 413, "chunks": 411,
    "kind of body": 415, "encoding of body": 415, "kind of gRPC": 415,
    "long header": 400, "long URI": 414, "malformed request line": 400, "malformed header": 400, "plain HTTP": 400,
}  # fmt: skip


def raw(proxy, data, source, *, tls=True):
    """Send bytes; return the status of the answer."""
    with proxy.connect(source) if tls else proxy.plain(source) as connection:
        connection.sendall(data)
        return int(connection.recv(4096).split()[1])


def refusals(proxy, secret, source):
    """Send every request that is refused, each with a secret; return the statuses."""

    def ask(path="/v1/traces", body=b"", **more):
        return proxy.ask(f"{path}?key={secret}", body, source=source, **{"x_key": secret, "user_agent": secret, **more})

    def ask_http2(path, body=b"", **more):
        beside = {"x_key": secret, "user_agent": secret, **more}
        return int(Http2(proxy, f"{path}?key={secret}", source, **beside).finish(body)[":status"])

    large = (secret * 1_000_000)[:1_000_000].encode()
    good = f"POST /v1/traces?key={secret} HTTP/1.1\r\nhost: {secret}\r\ncontent-type: {PROTOBUF}\r\n"
    return {
        "path": ask(f"/{secret}"),
        "path of another signal": ask("/v1/logs"),
        "path below": ask(f"/v1/traces/{secret}"),
        "gRPC": ask_http2(EXPORT, content_type="application/grpc", te="trailers"),
        "GET": ask(method="GET"),
        "method": ask(method=secret.upper()),
        "TRACE": ask(method="TRACE"),
        "1 MB": ask(body=large),
        "1 MB over HTTP/2": ask_http2("/v1/traces", large),
        "chunks": ask(body=iter([secret.encode()]), transfer_encoding="chunked"),
        "kind of body": ask(content_type=f"text/{secret}"),
        "encoding of body": ask(content_encoding=secret),
        "kind of gRPC": ask_http2("/v1/traces", content_type="application/grpc", te="trailers"),
        "long header": ask(x_long=(secret * 8000)[:8000]),
        "long URI": ask(f"/{(secret * 8000)[:8000]}"),
        "malformed request line": raw(proxy, f"POST  {secret}\0 HTTP\r\n\r\n".encode(), source),
        "malformed header": raw(proxy, f"{good}content-length: {secret}\r\n\r\n".encode(), source),
        "plain HTTP": raw(proxy, f"{good}\r\n".encode(), source, tls=False),
    }
