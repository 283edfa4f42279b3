"""A transport for `requests` that asks for consent between the connection and the first byte of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from collections.abc import Callable


class StoppedError(Exception):
    """Consent was withdrawn while the connection was made; no byte of the request has left."""


class ConsentAdapter(HTTPAdapter):
    """Connects as `requests` does, and asks before and after: TCP, a proxy's tunnel and TLS may each take seconds.

    allowed: asked. Raises StoppedError from `send` on a no.
    """

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 -- as requests has it
        """Make the pools of direct connections."""
        super().init_poolmanager(*arguments, **named)
        self._have_ask(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 -- as requests has it
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*arguments, **named)
        self._have_ask(manager)
        return manager

    def _have_ask(self, manager: Any) -> None:  # noqa: ANN401 -- urllib3's, of whatever kind the proxy asks for
        manager.pool_classes_by_scheme = {
            scheme: _asking(pool, self._allowed) for scheme, pool in manager.pool_classes_by_scheme.items()
        }


def _asking(pool: Any, allowed: Callable[[], bool]) -> Any:  # noqa: ANN401 -- classes of urllib3
    """Return a pool of connections that ask."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]  # whatever class the pool has
        def connect(self) -> None:
            """Connect, the tunnel and the handshake included."""
            if not allowed():
                raise StoppedError
            super().connect()
            if not allowed():
                self.close()
                raise StoppedError

    return type("AskingPool", (pool,), {"ConnectionCls": Connection})
