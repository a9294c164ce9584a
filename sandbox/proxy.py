"""A TCP proxy that makes a local server feel far away, or drops its connections.

Used by tests and benchmarks: `with DelayProxy(host, port, latency_ms=10) as proxy: connect to proxy.port`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

_CHUNK = 256 * 1024


class DelayProxy:
    """Forward TCP connections with a latency per direction; can cut each connection after so many bytes.

    The latency delays every byte by the same time and does not limit the throughput, as a long wire does.

    Args:
        host: Where to forward to.
        port: Its port.
        latency_ms: Milliseconds that each byte is late, in each direction; a round trip costs twice that.
        drop_after: Cut a connection (both sides, at once) when this many bytes have gone from client to server.
        drop_reply_after: The same for bytes from server to client.
        drops: How many connections to cut; later ones pass. None: all of them.

    Attributes:
        port: The proxy's own loopback port, valid inside the `with` block.
        connections: How many connections have been accepted.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        latency_ms: float = 0.0,
        drop_after: int | None = None,
        drop_reply_after: int | None = None,
        drops: int | None = None,
    ) -> None:
        self._target = (host, port)
        self._latency = latency_ms / 1000
        self._drop_after = drop_after
        self._drop_reply_after = drop_reply_after
        self._drops_left = drops
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="delay-proxy", daemon=True)
        self._started = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.host = "127.0.0.1"
        self.port = 0
        self.connections = 0

    def __enter__(self) -> DelayProxy:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def drop_all(self) -> None:
        """Cut every open connection now."""
        self._loop.call_soon_threadsafe(self._cut_all)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing passes inside; what was on its way is lost at the end, with the connections of that time."""
        asyncio.run_coroutine_threadsafe(self._hold(), self._loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._let_go(), self._loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        server = await asyncio.start_server(self._accept, self.host, 0, limit=_CHUNK)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        self._cut_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold(self) -> None:
        self._flowing.clear()

    async def _let_go(self) -> None:
        self._cut_all()
        self._flowing.set()

    def _cut_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target, limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, far_writer)
        self._writers.update(pair)
        cut_here = self._drops_left is None or self._drops_left > 0
        if self._drops_left is not None and (self._drop_after is not None or self._drop_reply_after is not None):
            self._drops_left -= 1
        late, flowing = self._latency, self._flowing
        there = _Pipe(reader, far_writer, late, self._drop_after if cut_here else None, pair, flowing)
        back = _Pipe(far_reader, writer, late, self._drop_reply_after if cut_here else None, pair, flowing)
        tasks = [asyncio.ensure_future(pipe.run()) for pipe in (there, back)]
        self._tasks.update(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.difference_update(tasks)
        self._writers.difference_update(pair)


class _Pipe:
    """One direction of a connection: what comes in leaves `latency` seconds later, in order."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        latency: float,
        drop_after: int | None,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        flowing: asyncio.Event,
    ) -> None:
        self._reader, self._writer, self._latency = reader, writer, latency
        self._budget = drop_after
        self._pair, self._flowing = pair, flowing
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        sender = asyncio.ensure_future(self._send())
        try:
            await self._receive()
            await sender
        except OSError:
            self._cut()
        finally:
            sender.cancel()

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data = await self._reader.read(_CHUNK)
            self._waiting.append((loop.time() + self._latency, data))
            self._arrived.set()
            if not data:
                return

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            due, data = self._waiting.popleft()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await self._flowing.wait()
            if not data:
                self._close()
                return
            if self._budget is not None:
                self._budget -= len(data)
                if self._budget < 0:
                    self._cut()
                    return
            self._writer.write(data)
            await self._writer.drain()

    def _close(self) -> None:
        if self._writer.can_write_eof():
            self._writer.write_eof()

    def _cut(self) -> None:
        for writer in self._pair:
            writer.transport.abort()
