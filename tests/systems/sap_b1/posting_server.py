"""The fake Service Layer with books that can be written to: single writes and `$batch`, in the forms of v1 and v2.

Requests of a batch are read with Python's own mail parser, which shares nothing with the code under test.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import ThreadingHTTPServer
from typing import Any

from tests.support.service_layer import Call, FakeServiceLayer, Fault, Handler

CRLF = b"\r\n"


@dataclass
class PostingServer(FakeServiceLayer):
    """The books, and what tests tell the server to do with a posting."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    refuse: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    connections: int = 0
    connected: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def write_calls(self) -> list[Call]:
        return [call for call in self.calls if call.method != "GET" and not call.path.endswith(("Login", "Logout"))]

    def references(self) -> list[str]:
        return [entry.get("Reference3", "") for entry in self.entries]

    def carry_out(self, method: str, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Carries a write out, unless it is told to refuse the entry of this `Reference3`."""
        values: dict[str, Any] = json.loads(body) if body else {}
        refusal = self.refuse.get(values.get("Reference3", ""))
        if refusal is not None:
            status, answer = self.error(*refusal)
            return status, answer, {}
        if method == "PATCH" or path.endswith("/Cancel"):
            return 204, b"", {}
        with self.lock:
            self.entries.append(values)
            number = len(self.entries)
        created = {
            "odata.metadata": "x",
            "JdtNum": number,
            "Number": 1000 + number,
            **values,
            "JournalEntryLines": [{}],
        }
        location = f"{self.url}/b1s/{self.version}/JournalEntries({number})"
        return 201, json.dumps(created, indent="\t").encode(), {"Location": location}


class PostingHandler(Handler):
    state: PostingServer

    def setup(self) -> None:
        super().setup()
        with self.state.lock:
            self.state.connections += 1
        self.state.connected.release()

    def do_PATCH(self) -> None:
        self._serve()

    def _data(self, path: str, call: Call) -> None:
        if call.method == "GET":
            super()._data(path, call)
        elif path == "$batch":
            status, body, kind = answer_batch(self.state, call)
            self.answer(status, body, kind)
        else:
            status, body, headers = self.state.carry_out(call.method, path, call.body)
            self.answer(status, body, **headers)


def answer_batch(state: PostingServer, call: Call, most: int | None = None) -> tuple[int, bytes, str]:
    """Carries a batch out as SAP does: in order, up to the first failure, or up to `most` writes."""
    answers = []
    for request in read_batch_request(call)[:most]:
        status, body, headers = state.carry_out(request.method, request.path, request.body)
        answers.append(changeset_answer(state.version, request.content_id, status, body, headers))
        if status >= 400:
            break
    outer = 202 if state.version == "v1" else 200
    return outer, batch_answer(answers), "multipart/mixed;boundary=batchresponse_1"


@dataclass
class BatchRequest:
    method: str
    path: str
    body: bytes
    content_id: str
    mime: Message
    headers: Message


def read_batch_request(call: Call) -> list[BatchRequest]:
    """The writes of a batch, each the only one of its change set."""
    kind = next(value for name, value in call.headers.items() if name.lower() == "content-type")
    document = message_from_bytes(b"Content-Type: " + kind.encode() + CRLF + CRLF + call.body)
    found = []
    for changeset in document.get_payload():
        (part,) = changeset.get_payload()
        assert part.get_content_type() == "application/http"
        line, _, rest = part.get_payload(decode=True).partition(CRLF)
        method, path, version = line.decode().split(" ")
        assert version == "HTTP/1.1"
        headers = message_from_bytes(rest)
        _, _, body = rest.partition(CRLF + CRLF)
        found.append(BatchRequest(method, path, body, part["Content-ID"], part, headers))
    return found


def changeset_answer(version: str, number: str, status: int, body: bytes, headers: dict[str, str]) -> bytes:
    """The answer to a change set of one write, in the form of v1 or v2; a failed one is a bare HTTP part."""
    odata = "DataServiceVersion: 3.0" if version == "v1" else "OData-Version: 4.0"
    inner = [f"HTTP/1.1 {status} Whatever", *([f"Content-ID: {number}"] if version == "v1" else []), odata]
    inner += [f"{name}: {value}" for name, value in headers.items()]
    # Real servers count differently from what arrives here: nobody may rely on it.
    inner += ["Content-Type: application/json;charset=utf-8", "Content-Length: 8811"] if body else []
    mime = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    mime += [f"Content-ID: {number}"] if version == "v2" else []
    part = CRLF.join([line.encode() for line in [*mime, "", *inner, ""]] + [body])
    if status >= 400:
        return part
    nested = f"changesetresponse_{number}".encode()
    head = b"Content-Type: multipart/mixed; boundary=" + nested
    return CRLF.join([head, b"", b"--" + nested, part, b"--" + nested + b"--", b""])


def batch_answer(parts: list[bytes], boundary: bytes = b"batchresponse_1") -> bytes:
    delimiter = b"--" + boundary
    return b"".join(delimiter + CRLF + part + CRLF for part in parts) + delimiter + b"--" + CRLF


@contextmanager
def posting_server(**state: Any) -> Iterator[PostingServer]:
    """A running server on a free port."""
    fake = PostingServer(**state)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (PostingHandler,), {"state": fake}))
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


def committed_then(fault: Fault) -> Fault:
    """Carries the write out, and then answers as `fault` does."""

    def answer(handler: Handler, call: Call) -> bool:
        assert isinstance(handler, PostingHandler)
        if call.path.endswith("$batch"):
            answer_batch(handler.state, call)
        else:
            handler.state.carry_out(call.method, call.path, call.body)
        return fault(handler, call)

    return answer


def dropped(handler: Handler, call: Call) -> bool:
    """No answer, an orderly end of the connection."""
    handler.close_connection = True
    return True


def reset(handler: Handler, call: Call) -> bool:
    """No answer, a TCP reset."""
    handler.reset()
    return True
