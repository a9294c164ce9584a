"""A service with Banqup's interface that says exactly what a test tells it to, and a storage on another port."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.http_server import HttpServer, Reply, Request, json_reply

CLIENT_ID = "tieout-app"
SECRET = "s3cret & more/ü"
SPACE = "0c2f7f9e-0000-4000-8000-000000000001"
SIGNATURE = "5f1d0-signature"

Answer = Reply | Callable[[Request], Reply]


def row(document_id: str = "d1", **changes: Any) -> dict[str, Any]:
    """A document as the list has it."""
    return {
        "id": document_id,
        "folder": "PURCHASES",
        "category": "INVOICE",
        "status": {"pay": "UNPAID", "delivery": "RECEIVED", "document": "APPROVED"},
        "statusDates": {"document": "2026-03-01T09:00:00.000Z"},
        "fileId": f"file-{document_id}",
        "documentNumber": "2026/0042",
        "issueDate": "2026-02-28",
        "createdAt": "2026-03-01T08:00:00.000Z",
        "updatedAt": "2026-03-01T09:00:00.000Z",
        "connections": [{"displayName": "ACME", "relationType": "SUPPLIER", "id": "c1"}],
        **changes,
    }


@dataclass
class File:
    """A file, and what is said of it."""

    data: bytes
    status: str = "AVAILABLE"
    size: int | None = None


@dataclass
class Service:
    """Two servers: the API, and the storage that gives out files by signed addresses.

    Attributes:
        rows: The documents, sorted.
        files: By file id.
        expires_in: As tokens say; None leaves it out.
        uses: How many requests a token lasts.
        next: Answers that come first, once each, by `token`, `spaces`, `documents`, `files` and `storage`.
        seen: Every request to the API, then to the storage, by the same names.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    spaces: list[dict[str, Any]] = field(default_factory=lambda: [{"id": SPACE, "name": "ACME", "type": "BUSINESS"}])
    expires_in: Any = 300
    uses: int = 1_000_000
    relative: bool = False
    next: dict[str, deque[Answer]] = field(default_factory=dict)
    seen: list[tuple[str, Request]] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.api = HttpServer(self._api, name="banqup-api")
        self.storage = HttpServer(self._storage, name="banqup-storage")

    def __enter__(self) -> Service:
        self.api.start()
        self.storage.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.stop()
        self.storage.stop()

    def then(self, what: str, *answers: Answer) -> None:
        """The next answers to this kind of request."""
        self.next.setdefault(what, deque()).extend(answers)

    def count(self, what: str) -> int:
        """How many requests of a kind there were."""
        return len([name for name, _ in self.seen if name == what])

    def _api(self, request: Request) -> Reply:
        path = urlsplit(request.target).path
        if path.startswith("/stored/"):
            return self._storage(request)
        what = "token" if path.endswith("token") else path.rsplit("/spaces", 1)[-1].split("/")[-1] or "spaces"
        if "/files/" in path:
            what = "files"
        elif "/documents/" in path and not path.endswith("/documents"):
            what = "document"
        self.seen.append((what, request))
        if what != "token" and not self._authorised(request):
            return json_reply({"error": "invalid_token", "message": "expired"}, 401)
        if self.next.get(what):
            answer = self.next[what].popleft()
            return answer(request) if callable(answer) else answer
        return getattr(self, f"_answer_{what}")(request, path.rpartition("/")[2])

    def _authorised(self, request: Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.tokens[token] = self.tokens.get(token, 0) - 1
        return self.tokens[token] >= 0

    def _answer_token(self, request: Request, last: str) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, SECRET):
            return json_reply({"error": "invalid_client", "error_description": f"no client {form}"}, 401)
        token = f"token-{len(self.tokens)}-abcdef"
        self.tokens[token] = self.uses
        said = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}
        return json_reply({name: value for name, value in said.items() if value is not None})

    def _answer_spaces(self, request: Request, last: str) -> Reply:
        return json_reply({"spaces": self.spaces})

    def _answer_documents(self, request: Request, last: str) -> Reply:
        query = dict(parse_qsl(request.query))
        page, size = int(query.pop("page")), int(query.pop("size"))
        rows = [found for found in self.rows if found["updatedAt"] >= query["updatedFrom"]]
        part = rows[page * size : (page + 1) * size]
        pages = -(-len(rows) // size)
        return json_reply(
            {"content": part, "page": page, "size": size, "totalElements": len(rows), "totalPages": pages}
        )

    def _answer_document(self, request: Request, last: str) -> Reply:
        found = [each for each in self.rows if each["id"] == last]
        return json_reply(found[0]) if found else json_reply({"message": "no such document"}, 404)

    def _answer_files(self, request: Request, last: str) -> Reply:
        file = self.files.get(last)
        if file is None:
            return json_reply({"message": "no such file"}, 404)
        begin = "" if self.relative else self.storage.url
        return json_reply(
            {
                "id": last,
                "filename": f"{last}.xml",
                "contentType": "application/xml",
                "fileSize": len(file.data) if file.size is None else file.size,
                "status": file.status,
                "downloadUrl": f"{begin}/stored/{last}?X-Signature={SIGNATURE}",
                "downloadUrlExpiresIn": 60,
            }
        )

    def _storage(self, request: Request) -> Reply:
        self.seen.append(("storage", request))
        if self.next.get("storage"):
            answer = self.next["storage"].popleft()
            return answer(request) if callable(answer) else answer
        file = self.files.get(urlsplit(request.target).path.rpartition("/")[2])
        return Reply(200, body=file.data) if file else Reply(404)
