"""ClickHouse, asked over its HTTP interface: for those whose reports have outgrown one machine's files."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from otel_usage.insights.statement import CLICKHOUSE, Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {"default_format": "JSONCompactEachRow", "output_format_json_quote_64bit_integers": "0"}
PORTS = {False: 8123, True: 8443}
TIMEOUT = 600.0
LONGEST = 2**26


class ClickHouse:
    """A server with the tables of `collector-config/clickhouse`, by clickhouse://[user[:password]@]host[:port][/database].

    `?secure=1` asks by TLS. A password may stand in CLICKHOUSE_PASSWORD instead. Raises ValueError for another URL.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "clickhouse" or not parts.hostname:
            raise ValueError("write it as clickhouse://[user[:password]@]host[:port][/database][?secure=1]")
        self._secure = parse_qs(parts.query).get("secure", ["0"])[-1] not in ("0", "false")
        self._host, self._port = parts.hostname, parts.port or PORTS[self._secure]
        self._user = unquote(parts.username or "default")
        self._password = unquote(parts.password or "") or os.environ.get("CLICKHOUSE_PASSWORD", "")
        database = unquote(parts.path.strip("/")) or "otel_usage"
        if not database.isidentifier():
            message = f"the database {database!r} has a name that is not plain"
            raise ValueError(message)
        #: How it says things.
        self.dialect: Dialect = Dialect(f"{database}.", *CLICKHOUSE[1:])

    def ask(self, statement: str) -> Iterator[list[Any]]:
        """Yield the rows of a statement. Raises OSError where the server can't be asked or refuses."""
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection = kind(self._host, self._port, timeout=TIMEOUT)
        headers = {"X-ClickHouse-User": self._user, "X-ClickHouse-Key": self._password}
        try:
            connection.request("POST", f"/?{urlencode(SETTINGS)}", statement.encode(), headers)
            answer = connection.getresponse()
            if answer.status != 200:  # noqa: PLR2004 -- OK
                text = answer.read(1000).decode(errors="replace").partition("\n")[0]
                message = f"ClickHouse at {self._host}:{self._port} refuses: {text}"
                raise OSError(message)
            while line := answer.readline(LONGEST):
                yield json.loads(line)
        except (HTTPException, ValueError) as error:
            message = f"ClickHouse at {self._host}:{self._port} answers with what is no answer: {error}"
            raise OSError(message) from error
        finally:
            connection.close()
