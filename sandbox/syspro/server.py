"""The simulated SYSPRO server: e.net's REST and asmx services and the OData service on one port."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from typing import Any
from urllib.parse import unquote

from sandbox.clock import SandboxClock
from sandbox.http_server import Ending, HttpServer, Reply, Request
from sandbox.syspro.books import Books
from sandbox.syspro.enet import EnetService
from sandbox.syspro.faults import Fault, Faults
from sandbox.syspro.odata import ODataService, odata_error, parse_query
from sandbox.syspro.operators import Operator, Sessions

REST = "/sysprowcfservice/rest/"
UTILITIES = "/utilities/"
ASMX = "/sysprowebservices/utilities.asmx"
ODATA = "/syspro8odata/sysproodata/"
_HTML = (
    b"<!DOCTYPE html><html><head><title>500</title></head><body><h1>Server Error in '/' Application.</h1></body></html>"
)
_ENDINGS = {
    "close_mid_body": Ending.CLOSE_MID_BODY, "reset_mid_body": Ending.RESET_MID_BODY,
    "reset_before_head": Ending.RESET_BEFORE_HEAD, "hang": Ending.NEVER,
}  # fmt: skip


class SysproServer:
    """One company's SYSPRO. A context manager."""

    def __init__(
        self,
        books: Books,
        *,
        operators: tuple[Operator, ...] = (Operator(),),
        clock: SandboxClock | None = None,
        port: int = 0,
    ) -> None:
        self.books = books
        self.faults = Faults()
        self.sessions = Sessions(operators, clock or SandboxClock())
        self.requests: Counter[str] = Counter()
        self.enet = EnetService(books, self.sessions, lambda: self.faults.settings)
        self._odata = ODataService(books, self.faults.settings)
        self._http = HttpServer(self.handle, name="syspro", port=port)

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        return self._http.url

    @property
    def failures(self) -> list[Exception]:
        """Errors of the simulator itself."""
        return self._http.failures

    def start(self) -> None:
        """Starts serving."""
        self._http.start()

    def stop(self) -> None:
        """Stops serving."""
        self._http.stop()

    def __enter__(self) -> SysproServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def statistics(self) -> dict[str, Any]:
        """Requests by service, log-ons and log-offs, live sessions, and attempts to write."""
        return {
            "requests": dict(self.requests), "log_ons": self.sessions.log_ons, "log_offs": self.sessions.log_offs,
            "refused_log_ons": self.sessions.refused, "live_sessions": len(self.sessions),
            "writes_tried": self.enet.writes_tried,
        }  # fmt: skip

    def handle(self, request: Request) -> Reply:
        """Answers one request, faults included."""
        fault = self.faults.strike(request.path)
        if fault is not None and fault.kind == "run" and fault.action is not None:
            fault.action()
        if fault is not None and fault.kind == "evict":
            self.sessions.evict()
        reply = _instead(fault) or self._serve(request)
        reply.delay += self.faults.settings.latency_ms / 1000
        if fault is not None:
            _spoil(reply, fault)
        return reply

    def _serve(self, request: Request) -> Reply:
        path, params = request.path.lower(), parse_query(request.query)
        if path.startswith(ODATA):
            self.requests["odata"] += 1
            return self._serve_odata(request, params)
        self.requests["enet"] += 1
        if path == ASMX and request.method == "POST":
            return self.enet.soap(request.body)
        if path.startswith(f"{ASMX}/"):
            return self.enet.asmx(path.removeprefix(f"{ASMX}/"), params)
        for prefix in (REST, UTILITIES):
            if path.startswith(prefix):
                return self.enet.answer(path.removeprefix(prefix), params)
        return Reply(
            404, [("Content-Type", "text/html")], b"<html><body>404 - File or directory not found.</body></html>"
        )

    def _serve_odata(self, request: Request, params: dict[str, str]) -> Reply:
        if not self._authenticated(request, params):
            reply = odata_error(401, "Access is denied due to invalid credentials.")
            reply.headers.append(("WWW-Authenticate", 'Basic realm="SYSPRO"'))
            return reply
        if request.method != "GET":
            return odata_error(405, "This service is read only.")
        self._odata.settings = self.faults.settings
        where = request.target.partition("?")[0]
        return self._odata.answer(f"{self.url}{where}", unquote(where[len(ODATA) :]).split("/"), request.query)

    def _authenticated(self, request: Request, params: dict[str, str]) -> bool:
        wanted = self.faults.settings.odata_auth
        by_token, by_basic = self._has_token(request, params), self._has_basic(request)
        return {
            "session_token": by_token, "basic": by_basic, "token_and_basic": by_token and by_basic,
            "any": by_token or by_basic,
        }[wanted]  # fmt: skip

    def _has_token(self, request: Request, params: dict[str, str]) -> bool:
        bearer = request.headers.get("authorization", "")
        places = {
            "query": next((value for name, value in params.items() if name.lower() == "userid"), ""),
            "header": request.headers.get("userid", ""),
            "bearer": bearer.removeprefix("Bearer ") if bearer.startswith("Bearer ") else "",
        }
        wanted = self.faults.settings.token_in
        tokens = [places[wanted]] if wanted != "any" else list(places.values())
        return any(token and self.sessions.use(token) is not None for token in tokens)

    def _has_basic(self, request: Request) -> bool:
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return self.sessions.check_basic(name, password)


def _instead(fault: Fault | None) -> Reply | None:
    """The reply that a fault puts in place of the service's own."""
    html = [("Content-Type", "text/html")]
    match fault.kind if fault is not None else "":
        case "error_200":
            return Reply(200, [("Content-Type", "text/plain")], f"ERROR: {fault.message}".encode())  # type: ignore[union-attr]
        case "licence":
            text = b"ERROR: The maximum number of licensed e.net users has been reached"
            return Reply(200, [("Content-Type", "text/plain")], text)
        case "html_500":
            return Reply(500, html, _HTML)
        case "html_200":
            return Reply(200, html, _HTML)
        case "unavailable":
            return Reply(503, html, b"<html><body>Service Unavailable</body></html>")
        case "too_many":
            return Reply(429, [("Retry-After", "0")])
        case "unauthorized":
            return odata_error(401, "Access is denied due to invalid credentials.")
    return None


def _spoil(reply: Reply, fault: Fault) -> None:
    reply.ending = _ENDINGS.get(fault.kind, reply.ending)
    if fault.kind == "slow":
        reply.delay += fault.seconds
    if fault.kind == "truncated":
        reply.body = reply.body[: len(reply.body) * 2 // 3]
