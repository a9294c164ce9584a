"""Stages the pages of one walk as Parquet parts, and tallies what they hold."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tieout.odata.entity_read import EntityRead
from tieout.odata.layout import PARENT
from tieout.odata.pages import PageReader
from tieout.odata.query import Key, KeyType
from tieout.staging import Folder, Part, PartWriter


@dataclass
class Tally:
    """What one or more walks brought. `rows` are rows of the entity set, `records` what was staged of them."""

    records: int = 0
    rows: int = 0
    max_key: Key | None = None
    max_values: dict[str, str] = field(default_factory=dict)
    custom: dict[str, set[str]] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)

    def add(self, other: Tally, key_type: KeyType) -> None:
        """Adds another walk, which comes after this one in key order."""
        self.records += other.records
        self.rows += other.rows
        self.parts += other.parts
        self.note_key(other.max_key, key_type)
        for name, value in other.max_values.items():
            self.note_value(name, value)
        for level, names in other.custom.items():
            self.custom.setdefault(level, set()).update(names)

    def note_key(self, key: Key | None, key_type: KeyType) -> None:
        """Takes note of the last key of a page: the greatest integer, or the last text in the server's order."""
        if key is None:
            return
        if key_type is KeyType.INTEGER and self.max_key is not None:
            key = max(int(key), int(self.max_key))
        self.max_key = key

    def note_value(self, name: str, value: str | None) -> None:
        """Takes note of the greatest value of a change column; ISO dates compare as text."""
        if value is not None:
            self.max_values[name] = max(value, self.max_values.get(name, value))


class KeyLog:
    """The keys of all rows that were staged, in the order they were read, on disk for as long as an extraction lasts.

    Needed only if the server's count disagrees, but then the rows cannot be asked again what they were.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, walk: int, keys: Sequence[Key]) -> None:
        """Adds the keys of a page to those of a walk; one thread per walk."""
        with (self._folder / f"{walk:05d}").open("ab") as file:
            file.write(msgspec.json.encode(keys) + b"\n")

    def __iter__(self) -> Iterator[Key]:
        """All keys, walk by walk."""
        for path in sorted(self._folder.iterdir()):
            with path.open("rb") as file:
                for line in file:
                    yield from msgspec.json.decode(line)


class StagedWalk:
    """Writes the pages of one walk to its part files. A context manager; one thread each."""

    def __init__(self, read: EntityRead, folder: Folder, walk: int, keys: KeyLog) -> None:
        self._read = read
        self._walk = walk
        self._keys = keys
        self._reader = PageReader(
            read.staged(),
            entity=read.entity_set,
            key=read.record_key or read.key,
            record_path=read.record_path,
        )
        self._writer = PartWriter(folder, walk)
        self.tally = Tally()

    def __enter__(self) -> StagedWalk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)
        self.tally.parts = self._writer.parts

    def add(self, body: bytes, keys: Sequence[Key], label: str) -> None:
        """Stages a page whose rows have these keys.

        Raises:
            ContractBroken: The page cannot be staged as declared.
        """
        page = self._reader.read(body, label)
        self._writer.write(page.table)
        self._keys.append(self._walk, keys)
        self.tally.rows += len(keys)
        self.tally.records += page.table.num_rows
        self.tally.note_key(keys[-1], self._read.key_type)
        for level, names in page.custom_fields.items():
            self.tally.custom.setdefault(level, set()).update(names)
        prefix = PARENT if self._read.record_path is not None else ""
        for name in self._read.change_columns:
            self.tally.note_value(name, _greatest(page.table, prefix + name))


def _greatest(table: pa.Table, column: str) -> str | None:
    value = pc.max(table[column]).as_py() if table.num_rows else None
    return None if value is None else str(value)


def temporary_key_log() -> tempfile.TemporaryDirectory[str]:
    """A folder for a `KeyLog`."""
    return tempfile.TemporaryDirectory(prefix="tieout-keys-")
