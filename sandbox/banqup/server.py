"""The simulated Banqup: token, spaces, documents and files on one port, the bytes on the same or on another."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from sandbox.banqup.access import Access, Application
from sandbox.banqup.documents import DocumentStore
from sandbox.banqup.faults import Faults
from sandbox.banqup.listing import BadRequest, page, parameters, parse, row_of, select
from sandbox.banqup.replies import Refused, instead, spoil, too_many
from sandbox.banqup.storage import STORAGE, Storage
from sandbox.http_server import HttpServer, Reply, Request, json_reply

TOKEN = "/oauth2/client_credential/gettoken"
SPACES = "/entitystore/v1/spaces"
DOCUMENTS = "/datastore/documents/transaction/v2/spaces/"
FILES = "/datastore/documents/transaction/v1/spaces/"


@dataclass
class Statistics:
    """What clients did.

    Attributes:
        requests: By kind: token, spaces, documents, document, file, download, other.
        statuses: Replies by HTTP status.
        peak: Most requests that were being answered at the same time.
        bytes_downloaded: Of files.
    """

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    under_way: int = 0
    peak: int = 0
    bytes_downloaded: int = 0


class BanqupServer:
    """Banqup's API over a store of documents. A context manager.

    Args:
        store: What there is.
        applications: Who may ask for tokens.
        port: Of the API; 0 takes a free one. The second server, for downloads from another host, takes a free one.
    """

    def __init__(
        self, store: DocumentStore, *, applications: tuple[Application, ...] = (Application(),), port: int = 0
    ) -> None:
        self.store = store
        self.faults = Faults()
        self.access = Access(applications, store.clock)
        self.statistics = Statistics()
        self._lock = threading.Lock()
        self._files = Storage(store)
        self._second = (0, 0)
        """The second of real time in which requests are being counted, and their number."""
        self._http = HttpServer(self.handle, name="banqup", port=port, now=self._now)
        self._storage = HttpServer(self._handle_storage, name="banqup-storage", now=self._now)

    def _now(self) -> float:
        return self.store.clock.now().timestamp()

    @property
    def url(self) -> str:
        """Base URL of the API without a trailing slash."""
        return self._http.url

    @property
    def storage_url(self) -> str:
        """Base URL of the second server, which knows signed URLs only."""
        return self._storage.url

    @property
    def failures(self) -> list[Exception]:
        """Errors of the simulator itself."""
        return self._http.failures + self._storage.failures

    def start(self) -> None:
        """Starts serving."""
        self._http.start()
        self._storage.start()

    def stop(self) -> None:
        """Stops serving."""
        self._http.stop()
        self._storage.stop()

    def __enter__(self) -> BanqupServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def summary(self) -> dict[str, Any]:
        """Statistics, and tokens given and refused, as JSON."""
        with self._lock:
            counted = self.statistics
            return {
                "requests": dict(counted.requests), "statuses": dict(counted.statuses), "peak": counted.peak,
                "bytes_downloaded": counted.bytes_downloaded, "tokens_issued": self.access.issued,
                "tokens_refused": self.access.refused,
            }  # fmt: skip

    def handle(self, request: Request) -> Reply:
        """Answers one request, faults included."""
        return self._handled(request, _kind(request.path))

    def _handle_storage(self, request: Request) -> Reply:
        return self._handled(request, "download" if request.path.startswith(STORAGE) else "other")

    def _handled(self, request: Request, kind: str) -> Reply:
        settings = self.faults.settings
        with self._lock:
            self.statistics.requests[kind] += 1
            self.statistics.under_way += 1
            self.statistics.peak = max(self.statistics.peak, self.statistics.under_way)
        fault = self.faults.strike(request.path)
        if fault is not None and fault.kind == "run" and fault.action is not None:
            fault.action()
        if fault is not None and fault.kind == "token_lost":
            self.access.forget(_bearer(request))
        reply = instead(fault, settings.retry_after_form, self.store.clock.now()) or self._serve(request, kind)
        reply.delay += settings.latency_ms / 1000
        if fault is not None:
            spoil(reply, fault)
        with self._lock:
            self.statistics.statuses[reply.status] += 1
            self.statistics.bytes_downloaded += len(reply.body) if kind == "download" and reply.status == 200 else 0
        reply.on_sent = self._done
        return reply

    def _done(self) -> None:
        with self._lock:
            self.statistics.under_way -= 1

    def _serve(self, request: Request, kind: str) -> Reply:
        settings = self.faults.settings
        try:
            if kind == "download":
                return self._files.serve(request, self.storage_url, settings)
            if self._is_too_fast():
                return too_many(settings.retry_after, settings.retry_after_form, self.store.clock.now())
            if kind == "token":
                return self._token(request)
            if kind == "other":
                raise Refused(404, "not_found", f"There is no {request.path}")
            return self._answer(request, kind, self._client(request))
        except Refused as refusal:
            return refusal.reply()
        except BadRequest as problem:
            return Refused(400, "bad_request", str(problem)).reply()

    def _is_too_fast(self) -> bool:
        settings, counts = self.faults.settings, self.statistics.requests
        if settings.too_many_every and (counts.total() - counts["download"]) % settings.too_many_every == 0:
            return True
        second, count = self._second
        now = int(time.monotonic())
        self._second = (now, count + 1) if second == now else (now, 1)
        return settings.rate_per_second is not None and self._second[1] > settings.rate_per_second

    def _token(self, request: Request) -> Reply:
        """Client credentials in a form; errors as OAuth 2 has them."""
        if request.method != "POST":
            raise Refused(405, "method_not_allowed", f"{request.method} is not allowed here")
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise Refused(400, "invalid_request", "The body must be application/x-www-form-urlencoded")
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        missing = [name for name in ("grant_type", "client_id", "client_secret") if not form.get(name)]
        if missing:
            raise Refused(400, "invalid_request", f"Missing parameter: {', '.join(missing)}")
        if form["grant_type"] != "client_credentials":
            raise Refused(400, "unsupported_grant_type", f"Grant type '{form['grant_type'][:40]}' is not supported")
        if not self.access.is_known(form["client_id"], form["client_secret"]):
            raise Refused(401, "invalid_client", "Client authentication failed")
        settings = self.faults.settings
        answer = {"access_token": self.access.issue(form["client_id"], settings), "token_type": "Bearer"}
        if settings.expires_in == "told":
            return json_reply({**answer, "expires_in": int(settings.token_seconds), "scope": "space_read"})
        return json_reply(answer)

    def _client(self, request: Request) -> str:
        """The application that asks, by its token."""
        token = _bearer(request)
        client_id = self.access.use(token, self.faults.settings) if token else None
        if client_id is None:
            raise Refused(401, "invalid_token", "The access token is missing, unknown or expired")
        return client_id

    def _answer(self, request: Request, kind: str, client_id: str) -> Reply:
        if request.method != "GET":
            raise Refused(405, "method_not_allowed", f"{request.method} is not allowed here")
        if kind != "documents":
            parameters(request.query)
        if kind == "spaces":
            return self._spaces(client_id)
        space_id, _, *last = request.path.removeprefix(DOCUMENTS).removeprefix(FILES).split("/")
        self._check_space(client_id, space_id)
        if kind == "documents":
            return self._list(space_id, request.query)
        return self._document(space_id, last[0]) if kind == "document" else self._file(space_id, last[0])

    def _spaces(self, client_id: str) -> Reply:
        spaces = [space for space in self.store.spaces.values() if self.access.may(client_id, space.id)]
        return json_reply({"spaces": [{"id": space.id, "name": space.name, "type": "BUSINESS"} for space in spaces]})

    def _check_space(self, client_id: str, space_id: str) -> None:
        if space_id not in self.store.spaces:
            raise Refused(404, "not_found", f"There is no space {space_id}")
        if not self.access.may(client_id, space_id):
            raise Refused(403, "access_denied", f"The application has no access to space {space_id}")

    def _list(self, space_id: str, query: str) -> Reply:
        settings = self.faults.settings
        wanted = parse(query, settings.most)
        rows = select(self.store.documents(space_id), wanted, settings)
        reply = json_reply(page(rows, wanted, settings, self.store.spaces[space_id].name))
        self.faults.page_served(f"{space_id}/{wanted.folder}/{wanted.category}/{wanted.status}")
        return reply

    def _document(self, space_id: str, document_id: str) -> Reply:
        document = self.store.find(document_id)
        if document is None or document.space_id != space_id:
            raise Refused(404, "not_found", f"There is no document {document_id} in this space")
        return json_reply(row_of(document, self.faults.settings, self.store.spaces[space_id].name))

    def _file(self, space_id: str, file_id: str) -> Reply:
        settings, stored = self.faults.settings, self.store.files.get(file_id)
        owner = self.store.find(stored.document_id) if stored is not None and not stored.is_missing else None
        if stored is None or owner is None or owner.space_id != space_id:
            raise Refused(404, "not_found", f"There is no file {file_id} in this space")
        answer: dict[str, Any] = {
            "id": stored.id, "filename": stored.name, "contentType": stored.content_type,
            "fileType": stored.name.rpartition(".")[2].upper(), "fileSize": stored.declared_size,
            "status": stored.status,
        }  # fmt: skip
        if stored.status == "AVAILABLE":
            base = {"same": self.url, "other": self.storage_url, "relative": ""}[settings.download_from]
            answer["downloadUrl"] = self._files.url(stored, base, settings)
            answer["downloadUrlExpiresIn"] = int(settings.download_seconds)
        return json_reply(answer)


def _bearer(request: Request) -> str:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _kind(path: str) -> str:
    """What a path asks for."""
    if path in (TOKEN, SPACES):
        return "token" if path == TOKEN else "spaces"
    if path.startswith(STORAGE):
        return "download"
    match path.removeprefix(DOCUMENTS).split("/"):
        case [_, "documents"]:
            return "documents"
        case [_, "documents", _]:
            return "document"
    match path.removeprefix(FILES).split("/"):
        case [_, "files", _]:
            return "file"
    return "other"
