"""Response headers of everything under `/tieout`."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from tieout.console.mount import Asgi, Receive, Scope, Send

# The pages bring their own scripts and styles; Airflow shows them in a frame of the same origin.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class WithHeaders:
    """Adds the headers to every response, errors included; one that a response brings itself stays as it is."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                names = {name for name, _ in given}
                message = {**message, "headers": [*given, *(each for each in _RAW if each[0] not in names)]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
