"""Files attached to documents: which there are, and their content."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from tieout.errors import ContractBroken
from tieout.odata.query import both, key_filters, literal
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError

log = logging.getLogger(__name__)

_ENTITY = "Attachments2"
_KEY = "AbsoluteEntry"

_T = TypeVar("_T")


@dataclass(frozen=True)
class AttachedFile:
    """A line of an attachment entry.

    Attributes:
        entry: The attachment entry, a document's `AttachmentEntry`.
        line: Number of the line within it.
        name: File name without extension.
        extension: Extension without the dot, as stored.
    """

    entry: int
    line: int
    name: str
    extension: str

    @property
    def file_name(self) -> str:
        """Name with extension, by which Service Layer serves it."""
        return f"{self.name}.{self.extension}" if self.extension else self.name


class _Line(msgspec.Struct):
    LineNum: int | None = None
    FileName: str | None = None
    FileExtension: str | None = None


class _Entry(msgspec.Struct):
    # v1 samples of the manual show the key as text.
    AbsoluteEntry: int | str
    Attachments2_Lines: list[_Line] | None = None


class _Page(msgspec.Struct):
    value: list[_Entry]


def list_files(client: SapB1Client, entries: Iterable[int]) -> dict[int, list[AttachedFile]]:
    """The files of attachment entries, in the order of their lines.

    Reads many entries at once, and one by one what the server refuses or leaves out of such a list.

    Args:
        client: The Service Layer.
        entries: Attachment entries, few enough to be held in memory (callers go batch by batch).

    Returns:
        The files per entry; an entry that does not exist is absent.

    Raises:
        ContractBroken: The answer is not what the interface says.
        SourceUnavailable: The server does not answer within the budget.
    """
    wanted = sorted(set(entries))
    found: dict[int, list[AttachedFile]] = {}
    for condition, chunk in key_filters(_KEY, wanted):
        try:
            found |= _list_many(client, condition, [int(key) for key in chunk])
        except SapError as error:
            log.info("Attachment entries are read one by one, since the server refuses a list of them: %s", error)
    for entry in wanted:
        if entry not in found:
            single = _list_one(client, entry)
            if single is not None:
                found[entry] = single
    return found


def first_pdf(files: Sequence[AttachedFile]) -> AttachedFile | None:
    """The first PDF among the files of an entry, or None."""
    return next((file for file in files if file.extension.lower() == "pdf"), None)


def download(client: SapB1Client, file: AttachedFile) -> Iterator[bytes]:
    """The content of a file, in pieces; it is complete when the iterator ends without an error.

    Raises:
        SapError: The file is not there.
        SourceUnavailable: The server does not answer within the budget.
        ContractBroken: The file is larger than the connection's `max_attachment_bytes`.
    """
    return client.download(f"{_ENTITY}({file.entry})/$value", {"filename": literal(file.file_name)})


def _list_many(client: SapB1Client, condition: str, chunk: Sequence[int]) -> dict[int, list[AttachedFile]]:
    found: dict[int, list[AttachedFile]] = {}
    after: int | None = None
    while True:
        bound = f"{_KEY} gt {after}" if after is not None else None
        body = client.get_page(_ENTITY, {"$filter": both(condition, bound) or "", "$orderby": _KEY})
        page = _decode(body, _Page, "a list of attachment entries").value
        listed = {int(entry.AbsoluteEntry): _files(entry) for entry in page}
        found |= {entry: files for entry, files in listed.items() if entry in chunk}
        last = max(listed, default=None)
        if last is None or (after is not None and last <= after) or len(found) >= len(chunk):
            return found
        after = last


def _list_one(client: SapB1Client, entry: int) -> list[AttachedFile] | None:
    try:
        body = client.get(f"{_ENTITY}({entry})")
    except SapError as error:
        if error.status == 404:
            return None
        raise
    return _files(_decode(body, _Entry, f"attachment entry {entry}"))


def _files(entry: _Entry) -> list[AttachedFile]:
    lines = entry.Attachments2_Lines or []
    number = int(entry.AbsoluteEntry)
    return [
        AttachedFile(
            number, position if line.LineNum is None else line.LineNum, line.FileName, line.FileExtension or ""
        )
        for position, line in enumerate(lines, start=1)
        if line.FileName
    ]


def _decode(body: bytes, kind: type[_T], what: str) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ContractBroken(f"SAP Business One answers with something else than {what} ({error}).") from None
