"""The part of a record spec about one field: where it stands, what it shows, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from tieout.formats.fixed_width.file_spec import Strict

NUMBERS = ("num", "integer", "decimal")
# Oracle's JD Edwards EDI documents: sign, 20 integer digits, decimal character, 10 decimals.
JDE_WIDTH, JDE_PLACES = 32, 10
MAX_DECIMALS = 18
MAX_NUMBER_WIDTH = 40

_DATE_PARTS = {"%Y": 4, "%y": 2, "%m": 2, "%d": 2, "%j": 3, "%%": 1}


class FieldSpec(Strict):
    """One field of a record.

    Attributes:
        name: Its name in messages.
        start: Its first byte in the record, from 1.
        width: Its bytes.
        source: YAML `from`: the column, or the value, that it shows. For `sequence`: `detail_number` (the default) or
            `record_number`, which also counts header and subtotals.
        const: A text that is always the same; `""` makes a filler.
        type: `text`, `num` (a number with `scale` decimals, none by default), `integer` and `decimal` (the same, said
            more strictly), `date` (from YYYY-MM-DD), `sequence` (the writer counts), `dc` (whether a number is a
            debit or a credit).
        scale: Decimals; they are implied unless `point` is given. A value with more of them is an error.
        sign: `unsigned` (a negative is an error); `overpunch` (in the last digit); `trailing` and `leading` (a position
            of its own); `dc` (absolute, a field of type `dc` has the sign); `jde` (32 wide: sign `0` or `-`, 20 digits,
            point, 10 decimals).
        plus: What stands in the sign's position of a number that is not negative; by default `+` for `leading` and a
            space for `trailing`.
        point: A decimal point that is written, `.` or `,`; without it decimals are implied.
        justify: Text is `left`, numbers are `right`, unless said otherwise.
        pad: Text is filled with spaces, numbers with zeros; numbers may have a space here.
        format: Dates: `%Y %y %m %d %j` and other characters, by default `%Y%m%d`. `dc`: the two letters, `DC`.
        null: What stands for no value: `spaces`, `zeros`, or `error`; text has spaces by default, all else an error.
        truncate: Text that is too wide is cut (and counted); otherwise it is an error.
    """

    name: str = Field(min_length=1)
    start: int = Field(ge=1)
    width: int = Field(ge=1, le=10_000)
    source: str | None = Field(default=None, alias="from", min_length=1)
    const: str | None = None
    type: Literal["text", "num", "integer", "decimal", "date", "sequence", "dc"] = "text"
    scale: int | None = Field(default=None, ge=0, le=MAX_DECIMALS)
    sign: Literal["unsigned", "overpunch", "trailing", "leading", "dc", "jde"] = "unsigned"
    plus: Literal["+", " "] | None = None
    point: Literal[".", ","] | None = None
    justify: Literal["left", "right"] | None = None
    pad: str | None = Field(default=None, min_length=1, max_length=1)
    format: str | None = None
    null: Literal["spaces", "zeros", "error"] | None = None
    truncate: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the field shows a number from the data."""
        return self.type in NUMBERS

    @property
    def end(self) -> int:
        """The position of its last byte, from 1."""
        return self.start + self.width - 1

    @property
    def positions(self) -> str:
        """Where it stands, for messages: `positions 77-90`."""
        return f"positions {self.start}-{self.end}" if self.width > 1 else f"position {self.start}"

    @property
    def decimals(self) -> int:
        """How many decimals a value may have."""
        return self.scale if self.scale is not None else JDE_PLACES if self.sign == "jde" else 0

    @property
    def places(self) -> int:
        """How many decimals are written."""
        return JDE_PLACES if self.sign == "jde" else self.decimals

    @property
    def written_point(self) -> str | None:
        """The decimal point as it is written, or None where decimals are implied."""
        return self.point or ("." if self.sign == "jde" else None)

    @property
    def digits(self) -> int:
        """How many digits there is room for, decimals included."""
        return self.width - (self.sign in ("trailing", "leading", "jde")) - (self.written_point is not None)

    @property
    def when_null(self) -> Literal["spaces", "zeros", "error"]:
        """What stands for no value."""
        return self.null or ("spaces" if self.type == "text" else "error")

    @model_validator(mode="after")
    def _check(self) -> FieldSpec:
        problem = next(self._problems(), None)
        if problem:
            raise ValueError(f"field {self.name!r}: {problem}")
        return self

    def _problems(self) -> Iterator[str]:
        yield from self._source_problems()
        yield from self._key_problems()
        if self.is_number or self.type == "sequence":
            yield from self._number_problems()
        if self.type == "date":
            yield from self._date_problems()
        if self.type == "dc":
            if len(set(self.format or "DC")) != 2 or len(self.format or "DC") != 2:
                yield "format must be two different characters, the debit's first, such as DC. Correct it."
            if self.width != 1:
                yield "a `dc` field is one position wide. Set width to 1."

    def _source_problems(self) -> Iterator[str]:
        if self.const is not None:
            if self.source is not None:
                yield "it has both `from` and `const`. Keep one of them."
            if self.type != "text" or self.truncate or self.null is not None:
                yield "a `const` is written as it stands. Remove type, truncate and null."
            if len(self.const) > self.width:
                yield f"the const {self.const!r} is wider than {self.width}. Shorten it or widen the field."
        elif self.type == "sequence":
            if self.source not in (None, "detail_number", "record_number"):
                yield "a sequence is `from: detail_number` or `from: record_number`. Choose one."
        elif self.source is None:
            yield 'it has neither `from` nor `const`. Say where its value comes from; `const: ""` makes a filler.'

    def _key_problems(self) -> Iterator[str]:
        """Keys that say nothing for this type."""
        number = self.is_number
        given = {
            "scale": (self.scale is not None, number),
            "sign": (self.sign != "unsigned", number),
            "plus": (self.plus is not None, self.sign in ("trailing", "leading")),
            "point": (self.point is not None, number),
            "format": (self.format is not None, self.type in ("date", "dc")),
            "truncate": (self.truncate, self.type == "text"),
            "pad": (self.pad is not None, self.type not in ("date", "dc")),
            "justify": (self.justify is not None, self.type not in ("date", "dc")),
            "null": (self.null is not None, self.type != "sequence"),
        }
        for key, (is_given, makes_sense) in given.items():
            if is_given and not makes_sense:
                sign = f" and sign {self.sign}" if key == "plus" else ""
                yield f"`{key}` has no meaning for type {self.type}{sign}. Remove it."
        if self.type == "dc" and self.null == "zeros":
            yield "null of a `dc` field is `spaces` or `error`. Choose one."

    def _number_problems(self) -> Iterator[str]:
        if self.type == "decimal" and self.scale is None and self.sign != "jde":
            yield "a decimal needs `scale`, the number of decimals. Add it."
        if self.type == "integer" and self.scale:
            yield "an integer has no decimals. Remove scale, or make it a decimal."
        if self.pad not in (None, "0", " "):
            yield "a number is padded with 0 or a space. Correct pad."
        if self.justify == "left" and self.pad != " ":
            yield 'a number on the left would change its value by zeros behind it. Set pad to " " too.'
        if self.sign == "jde" and self.width != JDE_WIDTH:
            yield f"sign jde is {JDE_WIDTH} positions wide. Set width to {JDE_WIDTH}."
        if self.sign == "jde" and self.pad == " ":
            yield "sign jde is filled with zeros. Remove pad."
        if self.decimals > self.places:
            yield f"sign jde has {JDE_PLACES} decimals. Lower scale."
        if self.point is not None and self.places == 0:
            yield "there is no decimal point without decimals. Remove point, or set scale."
        if self.width > MAX_NUMBER_WIDTH:
            yield f"a number is at most {MAX_NUMBER_WIDTH} positions wide. Put a filler beside it."
        needed = self.places + (self.written_point is not None)
        if self.digits < max(1, needed):
            room = max(0, self.digits)
            yield f"its width {self.width} leaves room for {room} digits, but {max(1, needed)} are needed. Widen it."

    def _date_problems(self) -> Iterator[str]:
        width = 0
        for part in date_parts(self.format or "%Y%m%d"):
            if part.startswith("%") and part not in _DATE_PARTS:
                yield f"format: {part} is not known. Use %Y, %y, %m, %d, %j."
            width += _DATE_PARTS.get(part, len(part))
        if width != self.width:
            yield f"format {self.format or '%Y%m%d'} is {width} wide, but width is {self.width}. Make them the same."


def date_parts(text: str) -> list[str]:
    """A date's format taken apart: `%d.%m` → `%d`, `.`, `%m`."""
    return re.findall("%.|[^%]|%$", text)
