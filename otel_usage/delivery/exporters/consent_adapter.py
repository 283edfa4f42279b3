"""A transport adapter for `requests` that checks consent after the connection is made, before the request is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from collections.abc import Callable


class StoppedError(Exception):
    """Consent was withdrawn before or during the connect. No byte of the request has left."""


class ConsentAdapter(HTTPAdapter):
    """Connects as `requests` does, and checks consent before and after.

    After as well, since TCP, a proxy's tunnel and TLS may each take seconds. If consent is missing, `send` raises
    StoppedError.

    Args:
        allowed: Tells whether the request may be sent.
    """

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 -- as requests has it
        """Create the pools of direct connections; see HTTPAdapter."""
        super().init_poolmanager(*arguments, **named)
        self._add_checks(self.poolmanager)

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 -- as requests has it
        """Return the pools of connections through a proxy; see HTTPAdapter."""
        manager = super().proxy_manager_for(*arguments, **named)
        self._add_checks(manager)
        return manager

    def _add_checks(self, manager: Any) -> None:  # noqa: ANN401 -- urllib3 has a class for each kind of proxy
        manager.pool_classes_by_scheme = {
            scheme: _checking_pool(pool, self._allowed) for scheme, pool in manager.pool_classes_by_scheme.items()
        }


def _checking_pool(pool: Any, allowed: Callable[[], bool]) -> Any:  # noqa: ANN401 -- classes of urllib3
    """Return a subclass of a pool class whose connections check consent."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]  # a class that mypy can't know
        def connect(self) -> None:
            """Connect, including the proxy's tunnel and the TLS handshake."""
            if not allowed():
                raise StoppedError
            super().connect()
            if not allowed():
                self.close()
                raise StoppedError

    return type("AskingPool", (pool,), {"ConnectionCls": Connection})
