"""What Banqup holds: spaces, their documents with three statuses, and the files behind them."""

from __future__ import annotations

import hashlib
import itertools
import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sandbox.clock import SandboxClock

PURCHASES, SALES, BANK = "PURCHASES", "SALES", "BANK"
INVOICE, CREDIT_NOTE, STATEMENT = "INVOICE", "CREDIT_NOTE", "ENRICHED_MOVEMENT_REPORT"
FOLDERS = (PURCHASES, SALES, BANK)
CATEGORIES = (INVOICE, CREDIT_NOTE, STATEMENT)
STATUSES = ("AWAITING_VALIDATION", "APPROVED", "REFUSED", "SUSPENDED", "DISPUTED", "DRAFT", "SENT", "ERROR")
FINAL = {PURCHASES: "APPROVED", SALES: "SENT", BANK: "APPROVED"}
"""Folder → the status in which its documents are handed on."""


@dataclass(frozen=True)
class Space:
    """A business; `enterprise_number` has ten digits."""

    id: str
    name: str
    enterprise_number: str


@dataclass(frozen=True)
class StoredFile:
    """A file behind a document.

    Attributes:
        declared_size: What its details say; differs from the data's length when damaged.
        status: `AVAILABLE` or `AWAITING_UPLOAD`.
        trouble: Reason code under which a reader must hold the document; empty for a sound file.
        is_missing: Neither details nor bytes are there.
    """

    id: str
    document_id: str
    name: str
    content_type: str
    data: bytes = field(repr=False)
    declared_size: int = 0
    status: str = "AVAILABLE"
    trouble: str = ""
    is_missing: bool = False

    @property
    def sha256(self) -> str:
        """Of the bytes that are served."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Document:
    """One document, as it is now.

    Attributes:
        status: The document's own status; `pay` and `delivery` are the two others.
        status_at: Moment of the last change of `status`; None for a row that does not say.
        pay_at: Moment of the last change of `pay`.
        rule: Rule by which a reader must refuse the file; empty for a sound one. Banqup knows nothing of it.
        repaired: The sound bytes of a bad file.
    """

    id: str
    space_id: str
    folder: str
    category: str
    number: str
    issue_date: str
    file_id: str
    status: str
    status_at: datetime | None
    created_at: datetime
    updated_at: datetime
    pay: str = "UNPAID"
    pay_at: datetime | None = None
    delivery: str = "RECEIVED"
    counterparty: str = ""
    rule: str = ""
    repaired: bytes | None = field(default=None, repr=False)

    @property
    def is_final(self) -> bool:
        """Whether it is approved, or sent."""
        return self.status == FINAL[self.folder]


class DocumentStore:
    """All spaces, documents and files. Thread-safe; changes take the clock's moment unless told another.

    Args:
        clock: The sandbox's clock.
    """

    def __init__(self, clock: SandboxClock | None = None) -> None:
        self.clock = clock or SandboxClock()
        self.lock = threading.RLock()
        self.spaces: dict[str, Space] = {}
        self.files: dict[str, StoredFile] = {}
        self._documents: dict[str, dict[str, Document]] = {}
        self._space_of: dict[str, str] = {}
        self._file_numbers = itertools.count()

    def add_space(self, space_id: str, name: str, enterprise_number: str) -> Space:
        """Adds a business."""
        with self.lock:
            space = self.spaces[space_id] = Space(space_id, name, enterprise_number)
            self._documents.setdefault(space_id, {})
        return space

    def add_document(
        self,
        space_id: str,
        folder: str,
        category: str,
        data: bytes,
        *,
        number: str,
        issue_date: str,
        status: str | None = None,
        status_at: datetime | None = None,
        created_at: datetime | None = None,
        document_id: str = "",
        **details: Any,
    ) -> Document:
        """Adds a document with its file; final (approved or sent) unless told otherwise.

        `status_at` is when it got its status and was last updated, now by default; `created_at` is the same unless
        given. Its id comes from the space and its documents so far, so that the same calls give the same ids. `details`
        are further fields of `Document`.
        """
        with self.lock:
            rows = self._documents[space_id]
            document_id = document_id or str(uuid.uuid5(uuid.UUID(space_id), f"document {len(rows)} {number}"))
            moment = status_at or self.clock.now()
            stored = self._store(document_id, _file_name(self.spaces[space_id], folder, number), data)
            document = Document(
                document_id, space_id, folder, category, number, issue_date, stored.id,
                _known_status(status or FINAL[folder]), moment, created_at or moment, moment,
                **{"delivery": "SENT" if folder == SALES else "RECEIVED", **details},
            )  # fmt: skip
            rows[document_id] = document
            self._space_of[document_id] = space_id
        return document

    def _store(self, document_id: str, name: str, data: bytes) -> StoredFile:
        kind = "text/plain" if name.endswith(".cod") else "application/xml"
        file_id = str(uuid.uuid5(uuid.UUID(document_id), f"file {next(self._file_numbers)}"))
        self.files[file_id] = StoredFile(file_id, document_id, name, kind, data, len(data))
        return self.files[file_id]

    def documents(self, space_id: str | None = None) -> list[Document]:
        """All documents, or those of one space. Raises KeyError for an unknown space."""
        with self.lock:
            spaces = [self._documents[space_id]] if space_id is not None else list(self._documents.values())
            return [document for rows in spaces for document in rows.values()]

    def get(self, document_id: str) -> Document:
        """One document. Raises KeyError."""
        with self.lock:
            return self._documents[self._space_of[document_id]][document_id]

    def find(self, document_id: str) -> Document | None:
        """One document, if there is one."""
        with self.lock:
            return self.get(document_id) if document_id in self._space_of else None

    def file_of(self, document_id: str) -> StoredFile:
        """The file behind a document. Raises KeyError."""
        return self.files[self.get(document_id).file_id]

    def set_status(self, document_id: str, status: str, *, at: datetime | None = None) -> Document:
        """Gives the document a new status, of that moment."""
        moment = at or self.clock.now()
        return self._change(document_id, moment, status=_known_status(status), status_at=moment)

    def approve(self, document_id: str, *, at: datetime | None = None) -> Document:
        """A purchase or a bank file is approved."""
        return self.set_status(document_id, "APPROVED", at=at)

    def refuse(self, document_id: str, *, at: datetime | None = None) -> Document:
        """A purchase is refused."""
        return self.set_status(document_id, "REFUSED", at=at)

    def send(self, document_id: str, *, at: datetime | None = None) -> Document:
        """A sales document is sent."""
        return self.set_status(document_id, "SENT", at=at)

    def pay(self, document_id: str, *, at: datetime | None = None) -> Document:
        """The document is paid: it is updated, but its own status is not of that moment."""
        moment = at or self.clock.now()
        return self._change(document_id, moment, pay="PAID", pay_at=moment)

    def touch(self, document_id: str, *, at: datetime | None = None) -> Document:
        """The document is updated without a change that one could see."""
        return self._change(document_id, at or self.clock.now())

    def _change(self, document_id: str, moment: datetime, **changes: Any) -> Document:
        with self.lock:
            changed = replace(self.get(document_id), updated_at=moment, **changes)
            self._documents[changed.space_id][document_id] = changed
        return changed

    def edit(self, document_id: str, **changes: Any) -> Document:
        """Changes any fields, without a new moment of update unless it is among them."""
        with self.lock:
            document = self.get(document_id)
            return self._change(document_id, changes.pop("updated_at", document.updated_at), **changes)

    def remove(self, document_id: str) -> None:
        """The document vanishes, its file too."""
        with self.lock:
            document = self._documents[self._space_of.pop(document_id)].pop(document_id)
            del self.files[document.file_id]

    def replace_file(self, document_id: str, data: bytes, *, rule: str = "", at: datetime | None = None) -> Document:
        """The document gets another file, under another id."""
        with self.lock:
            document = self.get(document_id)
            stored = self._store(document_id, self.files[document.file_id].name, data)
            return self._change(document_id, at or self.clock.now(), file_id=stored.id, rule=rule, repaired=None)

    def repair(self, document_id: str, *, at: datetime | None = None) -> Document:
        """The bad file is replaced by the sound one; a file in trouble comes back as it was meant."""
        with self.lock:
            document, stored = self.get(document_id), self.file_of(document_id)
            data = document.repaired if document.repaired is not None else stored.data
            return self.replace_file(document_id, data, at=at)

    def lose_file(self, document_id: str) -> StoredFile:
        """Details and bytes answer 404."""
        return self._harm(document_id, is_missing=True, trouble="FILE_MISSING")

    def await_upload(self, document_id: str) -> StoredFile:
        """The file was announced and never came."""
        return self._harm(document_id, status="AWAITING_UPLOAD", trouble="FILE_UNAVAILABLE")

    def damage_file(self, document_id: str) -> StoredFile:
        """The details say another size than the bytes have."""
        size = self.file_of(document_id).declared_size
        return self._harm(document_id, declared_size=size + 17, trouble="FILE_DAMAGED")

    def _harm(self, document_id: str, **changes: Any) -> StoredFile:
        with self.lock:
            stored = replace(self.file_of(document_id), **changes)
            self.files[stored.id] = stored
        return stored


def _known_status(status: str) -> str:
    if status not in STATUSES:
        raise ValueError(f"Unknown status {status!r}; known are {', '.join(STATUSES)}.")
    return status


def _file_name(space: Space, folder: str, number: str) -> str:
    """As Banqup's own uploads are called: `S_BE0479909676_999.xml`."""
    ending = "cod" if folder == BANK else "xml"
    safe = "".join(character if character.isalnum() else "-" for character in number)[:60]
    return f"{folder[0]}_BE{space.enterprise_number}_{safe}.{ending}"
