"""Files and held payloads into records."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tieout.systems.stampli.content_types import CSV, WHOLE_FILE, Origin, parse_content_type
from tieout.systems.stampli.csv_files import read_csv, read_csv_payload
from tieout.systems.stampli.layout import Layout, Layouts
from tieout.systems.stampli.records import (
    CORRECT_THE_LAYOUT,
    NO_LAYOUT,
    Limits,
    RecordProblem,
    SourceRecord,
    UnreadableFile,
)
from tieout.systems.stampli.sources import Source
from tieout.systems.stampli.xml_files import read_xml, read_xml_payload

if TYPE_CHECKING:
    from tieout.staging import StagedPath


def read_file(path: StagedPath, name: str, layout: Layout, limits: Limits) -> Iterator[SourceRecord]:
    """Reads one export file.

    The file is read twice: this call checks its structure from the first byte to the last, and only then gives an
    iterator over the records. So a file is used whole or not at all.

    Args:
        path: The file.
        name: Its name at Stampli, which messages and content types carry. `.xml` is XML, all else CSV.
        layout: How such files are written.
        limits: How large it may be.

    Returns:
        One record per id in the file, good or with its `problem`. Rows of one id that are not next to each other make
        one record; it comes when its last row was met.

    Raises:
        UnreadableFile: By this call, never by the iterator of an unchanged file.
    """
    return _read(Source(lambda: path.open("rb"), name, limits), layout)


def read_payload(entity: str, payload: bytes, content_type: str, layouts: Layouts, where: str) -> SourceRecord:
    """Reads one held record again, by the layouts of today.

    Args:
        entity: `invoices`, `vendors` or `payments`.
        payload: The bytes of its `SourceRecord`.
        content_type: The content type of its `SourceRecord`.
        layouts: How files are written now.
        where: What messages of the caller call the place.

    Returns:
        The same record as was read from the file, but for `where`, and for the byte range, which is the payload's own.
        One that a changed layout can no longer read has a problem, and the key it had.

    Raises:
        UnreadableFile: The payload is that of a whole file (`reread_file` takes it), or of no Stampli record.
        ConfigurationInvalid: There is no layout for the entity.
    """
    origin = _origin(content_type, where)
    layout = layouts.for_entity(entity)
    if origin.media_type == WHOLE_FILE:
        raise UnreadableFile(f"{where} is a whole file, not a record. Read the file again.")
    read = read_csv_payload if origin.media_type == CSV else read_xml_payload
    try:
        record = read(payload, layout, origin)
    except (UnreadableFile, UnicodeDecodeError, LookupError) as error:
        return _no_longer_readable(entity, payload, content_type, origin, where, error)
    return SourceRecord(**{**vars(record), "where": where})


def unreadable_record(name: str, entity: str, data: bytes, sha256: str, error: UnreadableFile) -> SourceRecord:
    """The record that stands for a file which cannot be read, so that it is held like any other.

    Args:
        name: The file's name at Stampli.
        entity: What it would have held.
        data: All its bytes.
        sha256: Their digest in hex.
        error: Why it cannot be read.
    """
    return SourceRecord(
        entity=entity,
        source_key=f"file:{name}:{sha256[:8]}",
        label=name,
        payload=data,
        content_type=str(Origin(WHOLE_FILE, name)),
        header={},
        lines=(),
        where=name,
        byte_start=0,
        byte_end=len(data),
        problem=_problem(error),
    )


def reread_file(payload: bytes, content_type: str, layouts: Layouts, limits: Limits) -> Iterator[SourceRecord]:
    """Reads a held file again, by the layouts of today; see `read_file`.

    Raises:
        UnreadableFile: It still cannot be read, or its name fits no layout any more.
    """
    origin = _origin(content_type, "the held file")
    layout = layouts.for_file(origin.name)
    if layout is None:
        raise UnreadableFile(
            f"{origin.name}: no layout has a pattern under `files` that this name fits.",
            reason_code=NO_LAYOUT,
            fix_hint=CORRECT_THE_LAYOUT,
        )
    return _read(Source(lambda: io.BytesIO(payload), origin.name, limits), layout)


def _read(source: Source, layout: Layout) -> Iterator[SourceRecord]:
    return (read_xml if source.name.casefold().endswith(".xml") else read_csv)(source, layout)


def _origin(content_type: str, where: str) -> Origin:
    try:
        return parse_content_type(content_type)
    except ValueError as error:
        raise UnreadableFile(f"{where}: {error}") from None


def _no_longer_readable(
    entity: str, payload: bytes, content_type: str, origin: Origin, where: str, error: Exception
) -> SourceRecord:
    """A held record stays what it was, whatever happened to the layout meanwhile."""
    readable = error if isinstance(error, UnreadableFile) else UnreadableFile(f"{origin.where}: {error}.")
    key = origin.fallback_key
    return SourceRecord(entity, key, key, payload, content_type, {}, (), where, 0, len(payload), _problem(readable))


def _problem(error: UnreadableFile) -> RecordProblem:
    return RecordProblem(error.reason_code, str(error), error.fix_hint, "data engineer")
