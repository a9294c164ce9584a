"""What Airflow mounts. Every Airflow process loads the plugin, so this module imports the standard library only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


class ConsoleApp:
    """The console as an ASGI application that is built when the first request comes."""

    def __init__(self) -> None:
        self._app: Asgi | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if self._app is None:
            from tieout.console.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)
