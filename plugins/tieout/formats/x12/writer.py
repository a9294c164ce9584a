"""Writes a file of X12 sets from record batches, column by column, in memory that does not grow with the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ConfigurationInvalid
from tieout.formats.csv import content
from tieout.formats.x12.columns import AMOUNT
from tieout.formats.x12.envelope import ControlNumbers, Envelope, guard_test_content
from tieout.formats.x12.misfits import Mask, Misfits, Place, Rows, X12Misfit
from tieout.formats.x12.profile import X12Profile
from tieout.formats.x12.segments import Column, SegmentLayout, SegmentWriter
from tieout.formats.x12.sets import SetLayout
from tieout.formats.x12.tables import COUNT_LIMIT

Columns = dict[str, pa.Array]
Derive = Callable[[Columns], Columns]

_TOTAL = pa.decimal128(38, 6)


@dataclass(frozen=True)
class Block:
    """Bytes of the file, and where the batch's rows are in it.

    Attributes:
        data: The bytes, to be written after those of the block before.
        starts: Per row of the batch: offset in the file of the first byte of the row's own segments.
        ends: Offset after their last byte; equal to the start for a row without segments of its own.
    """

    data: bytes
    starts: Rows = field(default_factory=lambda: np.empty(0, np.int64))
    ends: Rows = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Written:
    """What a file has so far; after `finish`, what it has.

    Attributes:
        sets: Transaction sets that are complete (GE01).
        segments: Segments of complete sets, ST and SE among them.
        rows: Rows of the batches.
        groups: Groups of the innermost level: LIN in an 830, ACT in an 821.
        hash_total: Sum of the hashed column (CTT02).
        replaced: Element → number of characters that were replaced in it.
    """

    sets: int = 0
    segments: int = 0
    rows: int = 0
    groups: int = 0
    hash_total: Decimal = Decimal(0)
    replaced: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _OpenSet:
    """A set that may go on in the next batch: its head's columns (one row), and what it has so far."""

    head: Columns
    lines: int
    segments: int


@dataclass(frozen=True)
class _Progress:
    """Everything that a batch depends on from the batches before."""

    open_set: _OpenSet | None = None
    last_keys: tuple[str, ...] | None = None
    level_numbers: tuple[int, ...] = ()
    written: Written = Written()


class SetFileWriter:
    """One file: one interchange, one group, sets of one kind.

    Call `start`, then `write` for every batch, then `finish`, and put their bytes one after another. The same
    arguments and rows give the same bytes, however the rows are cut into batches.

    Args:
        layout: The set.
        profile: The partner's agreement.
        constants: Values that hold for the whole file; for a column that the batches have too, they fill its nulls.
        controls: Control numbers that were allocated for this file.
        created: Date and time of the interchange, written as they stand.
        test_content: Whether the data are a test's.
        derive: Adds the columns that follow from others.

    Raises:
        ConfigurationInvalid: Test data would be announced as production data, or a value that holds for the whole
            file does not fit.
    """

    def __init__(
        self,
        layout: SetLayout,
        profile: X12Profile,
        constants: Mapping[str, object],
        controls: ControlNumbers,
        created: datetime,
        *,
        test_content: bool,
        derive: Derive = lambda columns: columns,
    ) -> None:
        guard_test_content(profile, test_content=test_content)
        self._profile = profile
        self._layout = layout
        self._constants = {name: pa.scalar(value) for name, value in constants.items() if value is not None}
        self._controls = controls
        self._envelope = Envelope(profile, layout.id, controls, created)
        self._segments = SegmentWriter(profile)
        self._derive = derive
        self._progress = _Progress(level_numbers=(0,) * len(layout.levels))
        self._replaced: Counter[str] = Counter()
        self._groups_seen: set[int] = set()
        self._position = 0
        self._group_keys = layout.document or (layout.levels[-1].keys if layout.levels else ())
        self._opening = self._envelope.opening() + self._open_only_set()

    @property
    def written(self) -> Written:
        """What the file has so far."""
        return replace(self._progress.written, replaced=dict(sorted(self._replaced.items())))

    def start(self) -> Block:
        """ISA and GS, and the set's head where the whole file is one set."""
        return self._text_block(self._opening)

    def write(self, batch: pa.RecordBatch) -> Block:
        """The next rows.

        Args:
            batch: Rows with the layout's columns; those of one document, or of one account, follow one another.

        Raises:
            X12Misfit: A value does not fit; nothing of the batch was written, and the writer is as before.
            ValueError: A needed column is missing, or rows of one group do not follow one another.
            TypeError: A column's type cannot be written.
            ConfigurationInvalid: More groups than the set can count.
        """
        if not self._position:
            raise ValueError("The file has no beginning yet: call start first.")
        if batch.num_rows == 0:
            return Block(b"")
        rendering = _Rendering(self, batch, Misfits(limit=1))
        for misfit in rendering.misfits:
            raise misfit
        self._progress = rendering.progress
        self._groups_seen |= rendering.new_groups
        self._replaced += rendering.replaced
        return self._row_block(rendering.before, rendering.lines)

    def misfits(self, batch: pa.RecordBatch) -> list[X12Misfit]:
        """All values of a batch that do not fit; nothing is written, and the writer stays as it is.

        Once their `rows` are left out, the batch can be written.
        """
        if batch.num_rows == 0:
            return []
        return list(_Rendering(self, batch, Misfits()).misfits)

    def finish(self) -> Block:
        """The rest: the last set's foot, GE and IEA.

        Raises:
            ConfigurationInvalid: A total does not fit.
            ValueError: The file has no rows.
        """
        progress = self._progress
        if progress.written.rows == 0 or progress.open_set is None:
            raise ValueError("An X12 file without rows cannot be written; send none.")
        last = progress.open_set
        texts, segments = self._feet(last.head, np.array([last.lines]), np.array([last.segments]), progress)
        written = progress.written
        written = replace(written, sets=written.sets + 1, segments=written.segments + int(segments[0]))
        self._progress = replace(progress, open_set=None, written=written)
        return self._text_block(texts[0].as_py() + self._envelope.closing(written.sets))

    def _open_only_set(self) -> str:
        """The head of the set, where the whole file is one."""
        if self._layout.document:
            return ""
        head = {name: pa.repeat(value, 1) for name, value in self._constants.items()}
        head["set_control"] = self._set_controls(0, 1)
        misfits = Misfits(limit=1)
        text, segments = self._join(self._layout.head, head, 1, _outside(1), misfits, self._replaced)
        for misfit in misfits:
            raise ConfigurationInvalid(f"{misfit} It is a value of the instance or of the partner's profile.")
        self._progress = replace(self._progress, open_set=_OpenSet(head, 0, int(segments[0])))
        return str(text[0].as_py())

    def _set_controls(self, first: int, count: int) -> pa.Array:
        """ST02 of sets, counted from the file's first."""
        start = self._controls.first_set + first
        return pa.array([f"{number:04d}" for number in range(start, start + count)], pa.string())

    def _join(
        self,
        layouts: Sequence[SegmentLayout],
        frame: Columns,
        rows: int,
        place: Place,
        misfits: Misfits,
        replaced: Counter[str],
    ) -> tuple[pa.Array, Rows]:
        """Segments one after another, and how many each row has."""
        rendered = [self._segments.render(layout, frame, rows, place, misfits, replaced) for layout in layouts]
        counts = np.zeros(rows, np.int64)
        for one in rendered:
            counts += one.present
        if len(rendered) == 1:
            return rendered[0].text, counts
        return pc.binary_join_element_wise(*(one.text for one in rendered), ""), counts

    def _feet(self, heads: Columns, lines: Rows, segments: Rows, progress: _Progress) -> tuple[pa.Array, Rows]:
        """The ends of complete sets, and how many segments each set has altogether.

        Raises:
            ConfigurationInvalid: A count or a total does not fit.
        """
        rows = len(lines)
        frame = dict(heads)
        frame["line_count"] = pa.array(lines, mask=lines == 0)
        frame["group_count"] = pa.repeat(pa.scalar(progress.level_numbers[-1] if progress.level_numbers else 0), rows)
        frame["hash_total"] = pa.repeat(self._hash_total(progress.written.hash_total), rows)
        misfits = Misfits(limit=1)
        *totals, end = self._layout.foot
        text, counts = (
            self._join(totals, frame, rows, _outside(rows), misfits, Counter())
            if totals
            else (pa.repeat(pa.scalar(""), rows), np.zeros(rows, np.int64))
        )
        altogether = segments + counts + 1
        frame["segment_count"] = pa.array(altogether)
        ends, _ = self._join([end], frame, rows, _outside(rows), misfits, Counter())
        for misfit in misfits:
            raise ConfigurationInvalid(f"{misfit} Send the data in several files, or in another format.")
        return pc.binary_join_element_wise(text, ends, ""), altogether

    def _hash_total(self, total: Decimal) -> pa.Scalar:
        exact = total.normalize()
        too_long = len(format(abs(exact), "f").replace(".", "")) > 10
        if too_long and self._profile.hash_overflow == "omit":
            return pa.scalar(None, _TOTAL)
        return pa.scalar(total, _TOTAL)

    def _text_block(self, text: str) -> Block:
        data = text.encode(self._profile.encoding)
        self._position += len(data)
        return Block(data)

    def _row_block(self, before: pa.Array, lines: pa.Array) -> Block:
        """Rows in the file's encoding, and where they are."""
        rows = pc.binary_join_element_wise(before, lines, "")
        encoding = self._profile.encoding
        same_bytes = encoding in ("ascii", "utf-8")
        data = bytes(content(rows)) if same_bytes else str(content(rows), "utf-8").encode(encoding)
        length = pc.binary_length if same_bytes else pc.utf8_length
        ends = self._position + np.cumsum(np.asarray(length(rows)), dtype=np.int64)
        starts = ends - np.asarray(length(lines))
        self._position += len(data)
        return Block(data, starts, ends)


class _Rendering:
    """A batch in text: what stands before each row's own segments, these, and the progress after the batch."""

    def __init__(self, writer: SetFileWriter, batch: pa.RecordBatch, misfits: Misfits) -> None:
        self.misfits = misfits
        self.replaced: Counter[str] = Counter()
        self._writer = writer
        self._layout = writer._layout
        self._progress = writer._progress
        self._rows = batch.num_rows
        self._frame = self._columns(batch)
        self._keys = [_key(self._frame[name]) for name in writer._group_keys]
        document = len(self._layout.document)
        self._set_first = self._firsts(document, self._progress.last_keys)
        self._level_firsts = [self._firsts(len(level.keys), self._progress.last_keys) for level in self._layout.levels]
        self.new_groups = self._new_groups()
        self._counts = np.zeros(self._rows, np.int64)
        self._render()

    def _columns(self, batch: pa.RecordBatch) -> Columns:
        missing = [name for name in self._layout.needed if name not in batch.schema.names]
        if missing:
            raise ValueError(f"An {self._layout.id} needs the column {', '.join(missing)}.")
        columns: Columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name, constant in self._writer._constants.items():
            if name in columns:
                columns[name] = pc.coalesce(columns[name], constant)
        done = self._progress.written.rows
        columns["row_number"] = pa.array(np.arange(done + 1, done + 1 + self._rows))
        return self._writer._derive(columns)

    def _firsts(self, keys: int, last: tuple[str, ...] | None) -> Mask:
        """Rows in which one of the first keys differs from the row before."""
        firsts = np.zeros(self._rows, bool)
        for index, key in enumerate(self._keys[:keys]):
            firsts[1:] |= np.asarray(pc.not_equal(key[1:], key[:-1]).to_numpy(zero_copy_only=False), dtype=bool)
            firsts[0] |= last is None or key[0].as_py() != last[index]
        return firsts

    def _new_groups(self) -> set[int]:
        """The groups that begin in this batch, none of which may have been before.

        Raises:
            ValueError: A group begins for the second time.
        """
        if not self._keys:
            return set()
        at = pa.array(self._set_first if self._layout.document else self._level_firsts[-1])
        found: set[int] = set()
        for group in zip(*(key.filter(at).to_pylist() for key in self._keys), strict=True):
            known = hash(group)
            if known in found or known in self._writer._groups_seen:
                names = ", ".join(self._writer._group_keys)
                raise ValueError(
                    f"The rows of {names} {group!r} do not follow one another: sort them by {names} first."
                )
            found.add(known)
        return found

    def _render(self) -> None:
        opened = int(self._set_first.sum())
        before: list[tuple[Mask, pa.Array]] = []
        heads = self._heads(opened)
        if opened:
            before.append((self._set_first, self._head_text(heads, opened)))
        numbers = []
        for index, level in enumerate(self._layout.levels):
            first, number = self._level_firsts[index], self._progress.level_numbers[index]
            found = int(first.sum())
            numbers.append(number + found)
            _check_count(self._layout.id, number + found)
            if found:
                frame = self._at(first, level.segments)
                frame["level_number"] = pa.array(np.arange(number + 1, number + found + 1))
                before.append((first, self._segments_at(first, level.segments, frame)))
        self.lines, line_rows = self._line_text()
        self.progress, feet = self._close(heads, opened, line_rows, tuple(numbers))
        if feet is not None:
            before.insert(0, (self._set_first, feet))
        self.before = self._spread(before)

    def _heads(self, opened: int) -> Columns:
        """Columns of the rows that begin a set."""
        if not opened:
            return {}
        frame = self._at(self._set_first, (*self._layout.head, *self._layout.foot))
        frame["set_control"] = self._writer._set_controls(self._sets_begun(), opened)
        return frame

    def _sets_begun(self) -> int:
        return self._progress.written.sets + (self._progress.open_set is not None)

    def _head_text(self, heads: Columns, opened: int) -> pa.Array:
        # Totals are checked together with the head, while the whole document can still be held back.
        totals = [layout for layout in self._layout.foot[:-1] if not layout.when]
        place = self._place(self._set_first)
        if totals:
            self._writer._join(totals, heads, opened, place, self.misfits, Counter())
        return self._segments_at(self._set_first, self._layout.head, heads)

    def _segments_at(self, first: Mask, layouts: Sequence[SegmentLayout], frame: Columns) -> pa.Array:
        rows = int(first.sum())
        text, counts = self._writer._join(layouts, frame, rows, self._place(first), self.misfits, self.replaced)
        self._counts[first] += counts
        return text

    def _line_text(self) -> tuple[pa.Array, Mask]:
        """Every row's own segments, and in which rows the first of them is there."""
        falls = _extents(self._firsts(len(self._layout.document), None)) if self._layout.document else None
        place = Place(np.arange(self._rows), falls=falls)
        frame = self._at(None, self._layout.line)
        text, counts = self._writer._join(self._layout.line, frame, self._rows, place, self.misfits, self.replaced)
        self._counts += counts
        first = self._layout.line[0]
        return text, self._writer._segments.present(first, frame, self._rows)

    def _close(
        self, heads: Columns, opened: int, line_rows: Mask, numbers: tuple[int, ...]
    ) -> tuple[_Progress, pa.Array | None]:
        """The progress after the batch, and the feet of the sets that end in it, one per row that begins a set."""
        sets = np.cumsum(self._set_first)
        segments = np.bincount(sets, self._counts, opened + 1).astype(np.int64)
        lines = np.bincount(sets, line_rows, opened + 1).astype(np.int64)
        open_set, written = self._progress.open_set, self._progress.written
        if open_set is not None:
            segments[0] += open_set.segments
            lines[0] += open_set.lines
        after = replace(
            written,
            rows=written.rows + self._rows,
            groups=numbers[-1] if numbers else 0,
            hash_total=written.hash_total + self._hashed(),
        )
        last = {name: column[opened - 1 :] for name, column in heads.items()} if opened else None
        if last is None:
            assert open_set is not None, "a set is open as soon as there are rows"
            last = open_set.head
        still_open = _OpenSet(last, int(lines[-1]), int(segments[-1]))
        feet = None
        # Before the file's first set there is none that could end.
        begun = 0 if open_set is not None else 1
        if opened > begun:
            feet, altogether = self._feet_between(heads, opened, lines[begun:-1], segments[begun:-1])
            after = replace(after, sets=after.sets + len(altogether), segments=after.segments + int(altogether.sum()))
        return _Progress(still_open, self._last_keys(), numbers, after), feet

    def _feet_between(self, heads: Columns, opened: int, lines: Rows, segments: Rows) -> tuple[pa.Array, Rows]:
        """Feet of the sets that end before another begins; nothing before the file's first."""
        open_set = self._progress.open_set
        ended = {name: column[: opened - 1] for name, column in heads.items()}
        if open_set is not None:
            ended = {
                name: pa.concat_arrays([open_set.head[name].cast(column.type), column])
                for name, column in ended.items()
            }
        feet, altogether = self._writer._feet(ended, lines, segments, self._progress)
        if open_set is None:
            feet = pa.concat_arrays([pa.array([""], pa.string()), feet])
        return feet, altogether

    def _last_keys(self) -> tuple[str, ...] | None:
        return tuple(key[self._rows - 1].as_py() for key in self._keys) or None

    def _hashed(self) -> Decimal:
        if self._layout.hashed is None:
            return Decimal(0)
        total: Decimal | None = pc.sum(self._frame[self._layout.hashed].cast(AMOUNT)).as_py()
        return total or Decimal(0)

    def _place(self, first: Mask) -> Place:
        starts = np.flatnonzero(first)
        return Place(starts, np.append(starts[1:], self._rows))

    def _at(self, first: Mask | None, layouts: Sequence[SegmentLayout]) -> Columns:
        """The columns that segments use, in some rows; constants where the batch has no such column."""
        rows = self._rows if first is None else int(first.sum())
        mask = None if first is None else pa.array(first)
        columns: Columns = {}
        for name in _used(layouts):
            if name in self._frame:
                column = self._frame[name]
                columns[name] = column if mask is None else column.filter(mask)
            elif name in self._writer._constants:
                columns[name] = pa.repeat(self._writer._constants[name], rows)
        return columns

    def _spread(self, parts: Sequence[tuple[Mask, pa.Array]]) -> pa.Array:
        """Texts of some rows as a column of all rows."""
        nothing = pa.repeat(pa.scalar(""), self._rows)
        spread = [pc.replace_with_mask(nothing, pa.array(mask), text) for mask, text in parts if mask.any()]
        return pc.binary_join_element_wise(*spread, "") if spread else nothing


def _outside(rows: int) -> Place:
    """Values that belong to whole sets, not to rows."""
    return Place(np.full(rows, -1), np.full(rows, -1))


def _check_count(set_id: str, count: int) -> None:
    if count > COUNT_LIMIT:
        raise ConfigurationInvalid(
            f"An {set_id} can count {COUNT_LIMIT:,} groups, and there are more. "
            "Send the period in several files, or as fixed width or CSV."
        )


def _key(values: pa.Array) -> pa.Array:
    return pc.fill_null(values.cast(pa.string()), "")


def _extents(firsts: Mask) -> tuple[Rows, Rows]:
    """Per row: where its group starts, and where it ends, within the batch."""
    starts = np.flatnonzero(firsts)
    ends = np.append(starts[1:], len(firsts))
    group = np.cumsum(firsts) - 1
    return starts[group], ends[group]


def _used(layouts: Sequence[SegmentLayout]) -> set[str]:
    names = {name for layout in layouts for name in layout.when}
    for layout in layouts:
        names |= {source.name for source in layout.elements.values() if isinstance(source, Column)}
    return names
