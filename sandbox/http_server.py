"""A small, fast HTTP/1.1 server on loopback: one thread, one event loop, keep-alive, raw protocol.

Made for simulators: a reply can be delayed without holding a thread, cut off in the middle, or ended by a
connection reset. Handlers are plain functions that run on the loop's thread and must not block.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire. Header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False, default=b"")

    @property
    def path(self) -> str:
        """The decoded path, without the query."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> str:
        """The query as sent, still percent-encoded."""
        return self.target.partition("?")[2]

    def json(self) -> Any:
        """The body as JSON; an empty body is an empty object. Raises ValueError when it is not JSON."""
        return json.loads(self.body) if self.body else {}


class Ending(Enum):
    """How a reply ends on the wire."""

    COMPLETE = "complete"
    RESET_MID_BODY = "reset_mid_body"
    """Half of the body, then a TCP reset."""
    CLOSE_MID_BODY = "close_mid_body"
    """Half of the body under a Content-Length for all of it, then an orderly close."""
    RESET_BEFORE_HEAD = "reset_before_head"
    NEVER = "never"
    """No reply at all; the connection stays open until the client gives up."""


@dataclass
class Reply:
    """What a handler answers. `delay` is in seconds and does not block other connections."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = field(default=b"", repr=False)
    delay: float = 0.0
    ending: Ending = Ending.COMPLETE
    on_sent: Callable[[], None] | None = None
    """Called on the loop's thread when the reply has been handed to the socket, or its connection is gone."""


Handler = Callable[[Request], Reply]


def json_reply(value: Any, status: int = 200) -> Reply:
    """A plain JSON reply."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status, [("Content-Type", "application/json;charset=utf-8")], body)


_PHRASES = {int(s): s.phrase for s in HTTPStatus}


class _Connection(asyncio.Protocol):
    """Parses requests, answers them strictly one after another."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._waiting: deque[Request] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._pending: Reply | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._finish_pending()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next_request()) is not None:
            self._waiting.append(request)
        self._serve_next()

    def _next_request(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                self._refuse(431)
            return None
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        try:
            method, target, _version = lines[0].split(" ")
        except ValueError:
            self._refuse(400)
            return None
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body_start = end + 4
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked_request(method, target, headers, body_start)
        try:
            length = int(headers.get("content-length", 0))
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY:
            self._refuse(413 if length > 0 else 400)
            return None
        if len(self._buffer) < body_start + length:
            # A client that announces `Expect` waits for us before it sends the body: answer from the head alone.
            if "expect" in headers and len(self._buffer) == body_start:
                self._buffer.clear()
                return Request(method, target, headers)
            return None
        body = bytes(self._buffer[body_start : body_start + length])
        del self._buffer[: body_start + length]
        return Request(method, target, headers, body)

    def _chunked_request(self, method: str, target: str, headers: dict[str, str], start: int) -> Request | None:
        body, position = bytearray(), start
        while True:
            line_end = self._buffer.find(b"\r\n", position)
            if line_end < 0:
                return None
            try:
                size = int(bytes(self._buffer[position:line_end]).partition(b";")[0], 16)
            except ValueError:
                self._refuse(400)
                return None
            chunk = line_end + 2
            if len(self._buffer) < chunk + size + 2:
                return None
            if size == 0:
                del self._buffer[: chunk + 2]
                return Request(method, target, headers, bytes(body))
            body += self._buffer[chunk : chunk + size]
            position = chunk + size + 2

    def _refuse(self, status: int) -> None:
        self._buffer.clear()
        self._transport.write(
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        self._transport.close()

    def _serve_next(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        request = self._waiting.popleft()
        try:
            reply = self._server.handler(request)
        except Exception as error:
            self._server.failures.append(error)
            reply = json_reply({"error": f"{type(error).__name__}: {error}"}, 500)
        self._pending = reply
        if reply.ending is Ending.NEVER:
            return
        if reply.delay > 0:
            self._timer = asyncio.get_running_loop().call_later(reply.delay, self._send, request, reply)
        else:
            self._send(request, reply)

    def _finish_pending(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None and pending.on_sent is not None:
            pending.on_sent()

    def _send(self, request: Request, reply: Reply) -> None:
        self._timer = None
        if reply.ending is Ending.RESET_BEFORE_HEAD:
            self._reset()
            return
        head = self._head(request, reply)
        body = b"" if request.method == "HEAD" else reply.body
        if reply.ending is Ending.COMPLETE:
            self._transport.writelines((head, body)) if body else self._transport.write(head)
        else:
            self._transport.write(head + body[: len(body) // 2])
            if reply.ending is Ending.RESET_MID_BODY:
                self._reset()
            else:
                self._transport.close()
            return
        self._finish_pending()
        if request.headers.get("connection", "").lower() == "close":
            self._transport.close()
            return
        self._busy = False
        self._serve_next()

    def _head(self, request: Request, reply: Reply) -> bytes:
        lines = [
            f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Unknown')}",
            f"Date: {self._server.date_header()}",
        ]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        if reply.status != 204:
            lines.append(f"Content-Length: {len(reply.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _reset(self) -> None:
        """Closes with a TCP reset: zero linger makes the kernel drop what is still unsent."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class HttpServer:
    """Serves `handler` on a thread of its own.

    Args:
        handler: Called for each request on the loop's thread.
        host: Loopback address to bind.
        port: 0 takes a free one.
        now: Seconds since the epoch for the `Date` header.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        name: str,
        host: str = "127.0.0.1",
        port: int = 0,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.handler = handler
        self.host = host
        self.port = port
        self.failures: list[Exception] = []
        self.connections: set[_Connection] = set()
        self._name = name
        self._now = now
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    def date_header(self) -> str:
        """The present moment in HTTP's own form."""
        return formatdate(self._now() if self._now else None, usegmt=True)

    def start(self) -> None:
        """Binds the port and starts serving; returns when connections are accepted."""
        listening = threading.Event()
        problem: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(listening, problem), name=self._name, daemon=True)
        self._thread.start()
        listening.wait()
        if problem:
            raise problem[0]

    def _run(self, listening: threading.Event, problem: list[BaseException]) -> None:
        loop = asyncio.new_event_loop()
        self._loop = loop
        try:
            self._server = loop.run_until_complete(
                loop.create_server(lambda: _Connection(self), self.host, self.port, backlog=512)
            )
            self.port = self._server.sockets[0].getsockname()[1]
        except BaseException as error:
            problem.append(error)
            return
        finally:
            listening.set()
        try:
            loop.run_forever()
        finally:
            self._server.close()
            self._abort_connections()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    def stop(self) -> None:
        """Closes every connection and ends the thread; harmless when already stopped."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
        thread.join(timeout=10)

    def drop_connections(self) -> None:
        """Aborts every open connection, as a restarted proxy would."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._abort_connections)

    def _abort_connections(self) -> None:
        for connection in list(self.connections):
            connection.abort()
