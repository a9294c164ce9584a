"""A file as a stream of pieces, with the positions that its records have in it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import IO

from tieout.systems.stampli.encodings import Encoding, utf_8
from tieout.systems.stampli.records import EMPTY_FILE, FILE_TOO_LARGE, Limits, UnreadableFile

CHUNK_BYTES = 256 * 1024
MAX_SHOWN_LENGTH = 60

Open = Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Source:
    """A file to read.

    Attributes:
        open: Opens it for reading bytes; it is read twice.
        name: What messages call it.
        limits: How large it and its parts may be.
    """

    open: Open
    name: str
    limits: Limits

    def first_bytes(self) -> bytes:
        """The beginning, enough to tell the encoding.

        Raises:
            UnreadableFile: The file is empty.
        """
        with self.open() as stream:
            data = _exactly(stream, 1024)
        if not data:
            raise UnreadableFile(f"{self.name} is empty: it has no byte.", reason_code=EMPTY_FILE)
        return data

    def chunks(self, encoding: Encoding) -> Iterator[bytes]:
        """The text's bytes as they are split: without byte order mark, and in UTF-8 where the encoding asks for it.

        Raises:
            UnreadableFile: The file is too large, or not in its encoding.
        """
        if not encoding.as_utf_8:
            yield from self._raw(encoding.mark)
            return
        lines = 1
        try:
            for chunk in utf_8(self._raw(encoding.mark), encoding.charset):
                lines += chunk.count(b"\n")
                yield chunk
        except UnicodeDecodeError:
            raise UnreadableFile(
                f"{self.name}, in line {lines} or soon after it: the bytes are not text in the encoding "
                f"{encoding.charset}, which the file says it has.",
                lines,
            ) from None

    def _raw(self, skip: int) -> Iterator[bytes]:
        read = 0
        with self.open() as stream:
            _exactly(stream, skip)
            while chunk := stream.read(CHUNK_BYTES):
                read += len(chunk)
                if read > self.limits.max_bytes:
                    raise UnreadableFile(
                        f"{self.name} is larger than the limit of {self.limits.max_bytes} bytes.",
                        reason_code=FILE_TOO_LARGE,
                        fix_hint="Export smaller files from Stampli, or raise the limit in the instance's file.",
                    )
                yield chunk


def _exactly(stream: IO[bytes], count: int) -> bytes:
    """As many bytes, or what there is; a stream may give fewer at a time."""
    data = b""
    while len(data) < count and (more := stream.read(count - len(data))):
        data += more
    return data


@dataclass
class Runs:
    """Where the records of a file stand; a run is an unbroken sequence of rows of one record, or an XML element.

    Some 30 bytes per record, in arrays: that is all that grows with a file.
    """

    limits: Limits
    name: str
    starts: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    first_lines: array[int] = field(default_factory=lambda: array("Q"))
    keys: array[int] = field(default_factory=lambda: array("q"))
    rows: int = 0

    def add(self, start: int, end: int, line: int, rows: int, key: Hashable) -> None:
        """Enters a finished run.

        Args:
            start: Its first byte in what was split.
            end: The byte after its last one.
            line: Its first line.
            rows: How many rows it has.
            key: What all runs of the same record have in common.

        Raises:
            UnreadableFile: It, or the file, is larger than allowed.
        """
        self.check_record(start, end, line, rows)
        self.count_rows(rows, line)
        self.starts.append(start)
        self.ends.append(end)
        self.first_lines.append(line)
        self.keys.append(hash(key))

    def count_rows(self, rows: int, line: int) -> None:
        """Refuses a file of too many rows, blank ones too."""
        self.rows += rows
        if self.rows > self.limits.max_rows:
            raise UnreadableFile(
                f"{self.name}, line {line}: the file has more than {self.limits.max_rows} rows.",
                line,
                FILE_TOO_LARGE,
                "Export smaller files from Stampli.",
            )

    def check_record(self, start: int, end: int, line: int, rows: int) -> None:
        """Refuses a record that is larger than what is held in memory at a time."""
        limits = self.limits
        if rows <= limits.max_rows_per_record and end - start <= limits.max_record_bytes:
            return
        raise UnreadableFile(
            f"{self.name}, line {line}: the record that begins here has more than {limits.max_rows_per_record} lines "
            f"or {limits.max_record_bytes} bytes. Probably the wrong column is taken for the record's id.",
            line,
            FILE_TOO_LARGE,
            "Correct `key` and `columns` in the layout file, or export smaller records from Stampli.",
        )

    def scattered(self) -> dict[int, int]:
        """Digest of a key → number of its runs, for those that have more than one.

        Raises:
            UnreadableFile: The runs of one record are too large together.
        """
        if not self.keys:
            return {}
        import numpy as np

        digests, counts = np.unique(np.frombuffer(self.keys, dtype=np.int64), return_counts=True)
        found = dict(zip(digests[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True))
        if found:
            sizes: Counter[int] = Counter()
            for key, start, end, line in zip(self.keys, self.starts, self.ends, self.first_lines, strict=True):
                if key in found:
                    sizes[key] += end - start
                    self.check_record(0, sizes[key], line, 1)
        return found


@dataclass
class Piece:
    """The bytes of one run, as they are split.

    Attributes:
        data: The bytes.
        line: The first line.
        byte_start: Its position in the file itself.
        byte_end: The byte after it in the file.
    """

    data: bytes
    line: int
    byte_start: int
    byte_end: int


def pieces(source: Source, encoding: Encoding, runs: Runs) -> Iterator[Piece]:
    """The bytes of each run, in file order; the second reading of a file.

    Raises:
        UnreadableFile: The file is shorter than it was.
    """
    cursor = _Cursor(source, encoding)
    for start, end, line in zip(runs.starts, runs.ends, runs.first_lines, strict=True):
        cursor.skip_to(start)
        byte_start = cursor.original_position
        data = cursor.take(end)
        yield Piece(data, line, byte_start, cursor.original_position)


class _Cursor:
    """Reads forward through a source, and keeps count of the position in the file itself."""

    def __init__(self, source: Source, encoding: Encoding) -> None:
        self._name = source.name
        self._encoding = encoding
        self._chunks = source.chunks(encoding)
        self._buffer = memoryview(b"")
        self._position = 0
        self.original_position = encoding.mark

    def skip_to(self, position: int) -> None:
        """Goes forward; records stand close together."""
        if position > self._position:
            self.take(position)

    def take(self, end: int) -> bytes:
        """The bytes from here to `end`."""
        parts: list[bytes] = []
        while self._position < end:
            if not self._buffer:
                self._buffer = memoryview(self._next())
            part = bytes(self._buffer[: end - self._position])
            self._buffer = self._buffer[len(part) :]
            self._position += len(part)
            parts.append(part)
        data = b"".join(parts)
        self.original_position += len(self._encoding.original(data)) if self._encoding.as_utf_8 else len(data)
        return data

    def _next(self) -> bytes:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise UnreadableFile(f"{self._name} became shorter while it was read.")
        return chunk


def gathered(found: Iterator[Piece], runs: Runs, key_of: Callable[[Piece], Hashable]) -> Iterator[list[Piece]]:
    """The pieces of each record, together, when its last one is there.

    Only records whose rows are not next to each other are waited for; memory is flat for all others.
    """
    remaining = runs.scattered()
    waiting: dict[int, dict[Hashable, list[Piece]]] = {}
    for digest, piece in zip(runs.keys, found, strict=True):
        if digest not in remaining:
            yield [piece]
            continue
        waiting.setdefault(digest, {}).setdefault(key_of(piece), []).append(piece)
        remaining[digest] -= 1
        if not remaining[digest]:
            yield from waiting.pop(digest).values()


def shown(text: str) -> str:
    """A text of a file as messages quote it."""
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return f"'{text}'" if len(text) <= MAX_SHOWN_LENGTH else f"'{text[: MAX_SHOWN_LENGTH - 1]}…'"
