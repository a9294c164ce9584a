"""From the texts of a record to a `SourceRecord`, with everything that is wrong with it in one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tieout.systems.stampli.columns import Kind
from tieout.systems.stampli.content_types import Origin
from tieout.systems.stampli.layout import Layout
from tieout.systems.stampli.records import RecordProblem, SourceRecord
from tieout.systems.stampli.sources import shown
from tieout.systems.stampli.values import BLANKS, InvalidValue

MISSING_KEY = "MISSING_KEY"
BAD_ROW = "BAD_ROW"
INVALID_ENCODING = "INVALID_ENCODING"
INVALID_AMOUNT = "INVALID_AMOUNT"
INVALID_DATE = "INVALID_DATE"
INVALID_VALUE = "INVALID_VALUE"
MISSING_VALUE = "MISSING_VALUE"
DUPLICATE_LINE = "DUPLICATE_LINE"
HEADER_MISMATCH = "HEADER_MISMATCH"

MAX_TOLD = 20
"""Problems of one record that are told; a record of thousands of lines can have as many."""

_OF_KIND = {Kind.AMOUNT: INVALID_AMOUNT, Kind.DATE: INVALID_DATE, Kind.TIMESTAMP: INVALID_DATE}

# In the order of weight: a record's reason code is that of its gravest problem.
_HINTS: Mapping[str, tuple[str, str]] = {
    MISSING_KEY: (
        "data engineer",
        "Let Stampli's export template fill in the id of every {noun}, or name the right column in the layout file.",
    ),
    BAD_ROW: (
        "data engineer",
        "Let Stampli export the {noun} again; values with delimiters, quotes or line breaks must be in quotes.",
    ),
    INVALID_ENCODING: (
        "data engineer",
        "Set `encoding` in the layout file to the one that Stampli's export template uses, then replay.",
    ),
    INVALID_AMOUNT: (
        "finance",
        "Correct the amount in Stampli and export the {noun} again; if all are written like that, set `amounts` in the "
        "layout file.",
    ),
    INVALID_DATE: (
        "finance",
        "Correct the date in Stampli and export the {noun} again; if all are written like that, set `dates` in the "
        "layout file.",
    ),
    INVALID_VALUE: (
        "finance",
        "Correct the value in Stampli and export the {noun} again; if all are written like that, correct the layout "
        "file.",
    ),
    MISSING_VALUE: ("finance", "Fill in the value in Stampli and export the {noun} again."),
    DUPLICATE_LINE: (
        "finance",
        "The {noun} stands more than once in the file, or its lines are numbered twice; export it again from Stampli.",
    ),
    HEADER_MISMATCH: (
        "finance",
        "Make sure in Stampli which value is right, and export the {noun} again so that all its lines agree.",
    ),
}


@dataclass(frozen=True)
class Texts:
    """Texts that stand together: a CSV row, a header element, a line element.

    Attributes:
        line: The line in the file.
        values: Canonical column → text as it is in the file; absent columns are not in it.
    """

    line: int
    values: Mapping[str, str]


@dataclass
class RawRecord:
    """What was found of one record.

    Attributes:
        headers: Every place where header values stand; the first is taken, the others must agree.
        lines: Places with line values.
        names: Canonical column → its name in the file.
        key_texts: The texts of the key columns where no header could be read.
        problems: (reason code, sentence) of what was wrong with its rows.
    """

    headers: list[Texts]
    lines: list[Texts]
    names: Mapping[str, str] = field(default_factory=dict)
    key_texts: Mapping[str, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Extent:
    """The bytes of a record: its payload, and the range in its file."""

    payload: bytes = field(repr=False)
    byte_start: int
    byte_end: int


def assemble(layout: Layout, raw: RawRecord, origin: Origin, extent: Extent) -> SourceRecord:
    """The record, good or with its problem.

    Args:
        layout: How its files are written.
        raw: Its texts.
        origin: Where it stands, and the key it has if it tells none itself.
        extent: Its bytes.
    """
    return _Assembly(layout, raw, origin).record(extent)


def key_of(layout: Layout, texts: Mapping[str, str]) -> str:
    """A record's key; empty when one of its columns is."""
    values = [layout.clean(column, texts.get(column, "")) for column in layout.key]
    return "|".join(values) if all(values) else ""


class _Assembly:
    def __init__(self, layout: Layout, raw: RawRecord, origin: Origin) -> None:
        self._layout = layout
        self._kind = layout.kind
        self._raw = raw
        self._origin = origin
        self._problems = list(raw.problems)

    def record(self, extent: Extent) -> SourceRecord:
        origin = self._origin
        first = self._raw.headers[0].values if self._raw.headers else self._raw.key_texts
        header = self._header(first)
        lines = self._lines()
        key = key_of(self._layout, first)
        if not key:
            self._missing_key(first)
        source_key = key or origin.fallback_key
        label = header[self._kind.label] or source_key
        told = Origin(**{**vars(origin), "key": source_key})
        return SourceRecord(
            entity=self._layout.entity,
            source_key=source_key,
            label=label,
            payload=extent.payload,
            content_type=str(told),
            header=header,
            lines=lines,
            where=origin.where,
            byte_start=extent.byte_start,
            byte_end=extent.byte_end,
            problem=self._problem(key and label),
        )

    def _header(self, first: Mapping[str, str]) -> dict[str, Any]:
        header = {}
        for column in self._kind.header:
            text = self._layout.clean(column, first.get(column, ""))
            header[column] = self._value(column, text, self._raw.headers[0].line if self._raw.headers else None)
            if not text and self._raw.headers and column in self._layout.required and column not in self._layout.key:
                self._add(MISSING_VALUE, f"{self._name(column)} is empty.")
        self._compare_headers(first)
        return header

    def _compare_headers(self, first: Mapping[str, str]) -> None:
        """All rows of a record agree on what it has once."""
        told: set[str] = set()
        for other in self._raw.headers[1:]:
            for column, text in other.values.items():
                if column not in self._kind.header or column in told or first.get(column) == text:
                    continue
                one, two = self._layout.clean(column, first.get(column, "")), self._layout.clean(column, text)
                if not self._same(column, one, two):
                    told.add(column)
                    self._add(
                        HEADER_MISMATCH,
                        f"{self._name(column)} is {shown(one)} in line {self._raw.headers[0].line} and {shown(two)} in "
                        f"line {other.line}, although it must be the same in all lines of one {self._kind.noun}.",
                    )

    def _same(self, column: str, one: str, two: str) -> bool:
        if one == two:
            return True
        try:
            return bool(self._layout.read(column, one) == self._layout.read(column, two))
        except InvalidValue:
            return False

    def _lines(self) -> tuple[Mapping[str, Any], ...]:
        lines = []
        numbers: dict[int, int] = {}
        for texts in self._raw.lines:
            if not any(self._text(column, texts) for column in self._kind.lines):
                continue
            line = {column: self._line_value(column, texts) for column in self._kind.lines}
            lines.append(line)
            number = line.get("line_number")
            if number is not None and numbers.setdefault(number, texts.line) != texts.line:
                self._add(
                    DUPLICATE_LINE, f"line number {number} stands in line {numbers[number]} and in line {texts.line}."
                )
        return tuple(lines)

    @staticmethod
    def _text(column: str, texts: Texts) -> str:
        return texts.values.get(column, "").strip(BLANKS)

    def _line_value(self, column: str, texts: Texts) -> Any:
        text = self._layout.clean(column, texts.values.get(column, ""))
        if not text and column in self._layout.required:
            self._add(MISSING_VALUE, f"{self._name(column)} is empty in line {texts.line}.")
        return self._value(column, text, texts.line)

    def _value(self, column: str, text: str, line: int | None) -> Any:
        try:
            return self._layout.read(column, text)
        except InvalidValue as error:
            place = f" in line {line}" if line is not None else ""
            code = _OF_KIND.get(self._kind.columns[column], INVALID_VALUE)
            self._add(code, f"{self._name(column)} is {shown(text)}{place}, which {error}.")
            return None

    def _missing_key(self, first: Mapping[str, str]) -> None:
        columns = [column for column in self._layout.key if not self._layout.clean(column, first.get(column, ""))]
        names = " and ".join(self._name(column) for column in columns)
        self._add(MISSING_KEY, f"{names}, by which {self._kind.a_noun} is known, cannot be read or is empty.")

    def _name(self, column: str) -> str:
        return self._raw.names.get(column) or self._layout.shown(column)

    def _add(self, code: str, sentence: str) -> None:
        if (code, sentence) not in self._problems[-MAX_TOLD:]:
            self._problems.append((code, sentence))

    def _problem(self, label: str) -> RecordProblem | None:
        if not self._problems:
            return None
        codes = {code for code, _ in self._problems}
        code = next(code for code in _HINTS if code in codes)
        owner, hint = _HINTS[code]
        return RecordProblem(
            reason_code=code,
            message=self._message(label),
            fix_hint=hint.format(noun=self._kind.noun),
            owner=owner,
        )

    def _message(self, label: str) -> str:
        sentences: Sequence[str] = [sentence for _, sentence in self._problems]
        more = len(sentences) - MAX_TOLD
        told = [*sentences[:MAX_TOLD], *([f"There are {more} more problems."] if more > 0 else [])]
        subject = f"{self._kind.noun} {label}" if label else self._kind.a_noun
        return f"{self._origin.where}, {subject}: " + " ".join(told)
