"""A small OData service with log-in, for tests of faults: every answer can be replaced by one that a test scripts.

It knows just as much of `$filter` as a reader by key asks for.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

PASSWORD = "pa55-Wort"
HTML_502 = b"<html><head><title>502 Proxy Error</title></head><body>Proxy Error</body></html>"


@dataclass
class Call:
    """A request as the server saw it."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes


Fault = Callable[["Handler", Call], bool]
"""Answers a request in place of the server; False lets it pass."""


@dataclass
class FakeServiceLayer:
    """State of the server; tests change it while it runs."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    version: str = "v2"
    page_size: int = 20
    latency: float = 0.0
    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    login_faults: list[Fault] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    logins: int = 0
    logins_now: int = 0
    most_logins_at_once: int = 0
    before_page: Callable[[FakeServiceLayer, Call], None] | None = None
    date: str = "Fri, 20 Nov 2026 10:11:12 GMT"
    lock: threading.RLock = field(default_factory=threading.RLock)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def data_calls(self, ending: str = "") -> list[Call]:
        return [call for call in self.calls if call.method == "GET" and call.path.endswith(ending)]

    def error(self, status: int, code: int, message: str, shape: str | None = None) -> tuple[int, bytes]:
        if (shape or self.version) == "v1":
            body: Any = {"error": {"code": code, "message": {"lang": "en-us", "value": message}}}
        else:
            body = {"error": {"code": str(code), "message": message, "details": [{"code": "", "message": ""}]}}
        return status, json.dumps(body).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FakeServiceLayer

    def log_message(self, *args: Any) -> None:
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.state.date or formatdate(usegmt=True)

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """Drops the connection with a TCP reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        length = int(self.headers.get("Content-Length") or 0)
        call = Call(self.command, parts.path, params, dict(self.headers.items()), self.rfile.read(length))
        state = self.state
        with state.lock:
            state.calls.append(call)
        if state.latency:
            time.sleep(state.latency)
        root = f"/b1s/{state.version}/"
        path = parts.path.removeprefix(root)
        if path == "Login":
            self._login(call)
            return
        cookie = dict(part.split("=", 1) for part in (self.headers.get("Cookie") or "").split("; ") if "=" in part)
        if cookie.get("B1SESSION") not in state.sessions or not parts.path.startswith(root):
            self.answer(*state.error(401, 301, "Invalid session or session already timeout."))
            return
        if path == "Logout":
            state.sessions.discard(cookie["B1SESSION"])
            self.answer(204, b"")
            return
        if self._faulty(state.faults, call):
            return
        self._data(path, call)

    def _faulty(self, faults: list[Fault], call: Call) -> bool:
        with self.state.lock:
            fault = faults.pop(0) if faults else None
        return fault is not None and fault(self, call)

    def _login(self, call: Call) -> None:
        state = self.state
        with state.lock:
            state.logins += 1
            state.logins_now += 1
            state.most_logins_at_once = max(state.most_logins_at_once, state.logins_now)
        try:
            if self._faulty(state.login_faults, call):
                return
            asked = json.loads(call.body)
            if asked["CompanyDB"] != "SBODEMO":
                self.answer(*state.error(401, -306, "Fail to NONE-SSO login from SLD."))
                return
            if asked["Password"] != PASSWORD:
                self.answer(*state.error(401, -304, "Fail to NONE-SSO login from SLD."))
                return
            with state.lock:
                session = f"session-{state.logins}"
                state.sessions.add(session)
            body = json.dumps({"SessionId": session, "Version": "1000290", "SessionTimeout": 30}).encode()
            self.send_response(200)
            self.send_header("Set-Cookie", f"B1SESSION={session};HttpOnly;")
            self.send_header("Set-Cookie", f"ROUTEID=.node{state.logins}; path=/b1s")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        finally:
            with state.lock:
                state.logins_now -= 1

    def _data(self, path: str, call: Call) -> None:
        state = self.state
        if path in state.files or path + "?" + call.params.get("filename", "") in state.files:
            content = state.files.get(path) or state.files[path + "?" + call.params["filename"]]
            self.answer(200, content, "application/pdf")
            return
        entity = path.removesuffix("/$count")
        single = re.fullmatch(r"(\w+)\((.+)\)", entity)
        if single and single[1] in state.rows:
            key = state.keys[single[1]]
            row = next((r for r in state.rows[single[1]] if str(r[key]) == single[2].strip("'")), None)
            found = row is not None
            reply = (200, json.dumps(row).encode()) if found else state.error(404, -2028, "No matching records found")
            self.answer(*reply)
            return
        if entity not in state.rows:
            self.answer(*state.error(400, -1002, "Unrecognized resource path."))
            return
        if state.before_page and path == entity:
            with state.lock:
                state.before_page(state, call)
        with state.lock:
            rows = select_rows(state.rows[entity], state.keys[entity], call.params)
        if path.endswith("/$count"):
            self.answer(200, str(len(rows)).encode(), "text/plain")
            return
        self._page(entity, rows, call)

    def _page(self, entity: str, rows: list[dict[str, Any]], call: Call) -> None:
        prefer = re.search(r"maxpagesize=(\d+)", call.headers.get("Prefer", ""))
        size = int(prefer[1]) if prefer else self.state.page_size
        skip, top = int(call.params.get("$skip", 0)), int(call.params.get("$top", 10**9))
        page = rows[skip : skip + min(size, top)]
        if "$select" in call.params:
            wanted = call.params["$select"].split(",")
            page = [{name: row.get(name) for name in wanted} for row in page]
        body: dict[str, Any] = {"@odata.context": "x", "value": page}
        if len(page) == size and top > size:
            options = {name: value for name, value in call.params.items() if name != "$skip"} | {
                "$skip": str(skip + size)
            }
            link = entity + "?" + "&".join(f"{name}={quote(value)}" for name, value in options.items())
            body["odata.nextLink" if self.state.version == "v1" else "@odata.nextLink"] = link
        self.answer(200, json.dumps(body, indent="\t").encode())


def select_rows(rows: list[dict[str, Any]], key: str, params: dict[str, str]) -> list[dict[str, Any]]:
    """The rows that meet `$filter`, in the order of `$orderby`."""
    condition = params.get("$filter")
    if condition:
        code = compile(_python(condition), "filter", "eval")
        rows = [row for row in rows if eval(code, {"__builtins__": {}}, {"row": row, **{k: row[k] for k in row}})]
    order = params.get("$orderby", "")
    if order:
        rows = sorted(rows, key=lambda row: row[key], reverse=order.endswith(" desc"))
    return list(rows)


def _python(condition: str) -> str:
    words = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    parts = re.split(r"('(?:[^']|'')*')", condition)
    for position, part in enumerate(parts):
        if part.startswith("'"):
            parts[position] = repr(part[1:-1].replace("''", "'"))
        else:
            parts[position] = re.sub(r"\b(eq|ne|gt|ge|lt|le)\b", lambda match: words[match[1]], part)
    return "".join(parts)


@contextmanager
def service_layer(**state: Any) -> Iterator[FakeServiceLayer]:
    """A running server on a free port."""
    fake = FakeServiceLayer(**state)
    handler = type("BoundHandler", (Handler,), {"state": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def replied(status: int, body: bytes, kind: str = "application/json") -> Fault:
    """A fault that answers like this."""

    def fault(handler: Handler, call: Call) -> bool:
        handler.answer(status, body, kind)
        return True

    return fault


def sap_error(status: int, code: int, message: str, shape: str = "v2") -> Fault:
    """A fault that answers with one of Service Layer's error bodies."""

    def fault(handler: Handler, call: Call) -> bool:
        handler.answer(*handler.state.error(status, code, message, shape))
        return True

    return fault


def passing(handler: Handler, call: Call) -> bool:
    """No fault: lets one request pass."""
    return False


def session_gone(handler: Handler, call: Call) -> bool:
    """The session of this request ends; so does the request."""
    handler.state.sessions.clear()
    handler.answer(*handler.state.error(401, 301, "Invalid session or session already timeout."))
    return True


def reset_in_body(handler: Handler, call: Call) -> bool:
    """Half a body, then a TCP reset."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"value":[{"DocEntry":1')
    handler.reset()
    return True


def truncated(handler: Handler, call: Call) -> bool:
    """Fewer bytes than announced, then an orderly end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"value":[{"DocEntry":1')
    handler.close_connection = True
    return True


def cut_without_length(handler: Handler, call: Call) -> bool:
    """Half a body of unannounced length: only the JSON tells."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b'{"value":[{"DocEntry":1')
    handler.close_connection = True
    return True


def cut_chunked(handler: Handler, call: Call) -> bool:
    """A chunked body without its end."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'10\r\n{"value":[]      \r\n')
    handler.close_connection = True
    return True
