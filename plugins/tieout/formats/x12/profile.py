"""A partner's X12 agreement: ids, release, separators, character set, and what happens to values that do not fit."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from tieout.formats.x12.tables import Version

BASIC = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !\"&'()*+,-./:;?=")
EXTENDED = BASIC | frozenset("abcdefghijklmnopqrstuvwxyz%~@[]_{}\\|<>#$")
PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))

_NEVER_SEPARATORS = frozenset(" -.,+")

Encoding = Literal["ascii", "latin-1", "cp1252", "utf-8", "cp037"]
Qualifier = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]
OneCharacter = Annotated[str, StringConstraints(min_length=1, max_length=1)]


class Section(BaseModel):
    """A part of a profile in which an unknown key is a mistake, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Participant(Section):
    """One side of the interchange.

    Attributes:
        id: ISA06 or ISA08, up to 15 characters; padded with spaces in the file.
        qualifier: ISA05 or ISA07: `ZZ` mutually defined, `01` DUNS, `12` telephone, `14` DUNS+4, `08` UCC.
        application: GS02 or GS03, 2 to 15 characters; the id where absent.
    """

    id: Annotated[str, StringConstraints(min_length=1, max_length=15)]
    qualifier: Qualifier = "ZZ"
    application: Annotated[str, StringConstraints(min_length=2, max_length=15)] | None = None

    @field_validator("id", "application")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        if value is not None and (value != value.strip() or not set(value) <= PRINTABLE):
            raise ValueError(f"{value!r} must be printable ASCII characters, without spaces at its ends")
        return value

    @model_validator(mode="after")
    def _application_is_long_enough(self) -> Participant:
        if len(self.group_id) < 2:
            raise ValueError(f"id {self.id!r} is too short for a group (GS02, GS03: 2 to 15): set `application` too")
        return self

    @property
    def group_id(self) -> str:
        """What GS02 or GS03 says."""
        return self.application or self.id


class X12Profile(Section):
    """How one partner wants X12.

    Attributes:
        sender: Our side.
        receiver: The partner's side.
        test_indicator: ISA15. `T` announces tests, `P` real data; test data is never written as `P`.
        version: Release of the sets: GS08, ISA12, and ISA11's meaning.
        gl_set: The set that carries G/L postings; there is no default, because neither is a standard use.
        element_separator: Between elements.
        component_separator: ISA16.
        repetition_separator: ISA11 in 005010.
        segment_terminator: After every segment.
        line_break: After every terminator; common, but not part of the standard.
        acknowledgment_requested: ISA14: whether a TA1 is asked for.
        charset: What data may consist of: X12's basic set (capitals), its extended one, or whatever `encoding` has.
        encoding: Of the file.
        upper_case: Capitals for all data; needed with the basic set.
        unsafe_texts: Names and descriptions with separators, control characters or characters outside `charset`:
            replaced and counted, or an error.
        unsafe_keys: The same for codes, numbers and accounts, where a replacement could make two keys one.
        replacements: Character → what stands for it, on top of the built-in table.
        substitute: For characters that no table knows; null makes them an error.
        truncate: Elements such as `PID05` whose texts may be cut to their greatest length. No other is ever cut.
        pad_short_codes: Character put in front of codes that are too short (N104, ENT04: at least 2); null: an error.
        hash_overflow: A hash total with more than CTT02's ten digits is an error, or left out.
        zero_before_point: `0.5` rather than `.5`; both are valid.
    """

    sender: Participant
    receiver: Participant
    test_indicator: Literal["T", "P"]
    version: Version = "004010"
    gl_set: Literal["830", "821"] | None = None
    element_separator: OneCharacter = "*"
    component_separator: OneCharacter = ">"
    repetition_separator: OneCharacter = "^"
    segment_terminator: OneCharacter = "~"
    line_break: Literal["", "\n", "\r\n"] = "\n"
    acknowledgment_requested: bool = False
    charset: Literal["basic", "extended", "any"] = "extended"
    encoding: Encoding = "ascii"
    upper_case: bool = False
    unsafe_texts: Literal["replace", "fail"] = "replace"
    unsafe_keys: Literal["replace", "fail"] = "fail"
    replacements: dict[OneCharacter, str] = Field(default_factory=dict)
    substitute: OneCharacter | None = "?"
    truncate: tuple[str, ...] = ()
    pad_short_codes: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]$")] | None = None
    hash_overflow: Literal["fail", "omit"] = "fail"
    zero_before_point: bool = True

    @property
    def separators(self) -> frozenset[str]:
        """What must not occur in data."""
        characters = {self.element_separator, self.component_separator, self.segment_terminator}
        if self.version != "004010":
            characters.add(self.repetition_separator)
        return frozenset(characters)

    @property
    def allowed(self) -> frozenset[str]:
        """The ASCII characters that data may have."""
        charset = {"basic": BASIC, "extended": EXTENDED, "any": PRINTABLE}[self.charset]
        return charset - self.separators

    @property
    def segment_end(self) -> str:
        """Terminator and line break."""
        return self.segment_terminator + self.line_break

    @field_validator("truncate")
    @classmethod
    def _elements(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if re.fullmatch(r"[A-Z][A-Z0-9]{1,2}\d\d", name) is None:
                raise ValueError(f"{name!r} is no element: write segment and position, such as PID05")
        return value

    @model_validator(mode="after")
    def _separators_work(self) -> X12Profile:
        if len(self.separators) != (3 if self.version == "004010" else 4):
            raise ValueError("element, component and repetition separator and segment terminator must all differ")
        for character in self.separators:
            if not character.isascii() or character.isalnum() or character in _NEVER_SEPARATORS:
                raise ValueError(f"{character!r} cannot separate anything, because numbers, dates and names have it")
            if character in "\r\n" and character != self.segment_terminator:
                raise ValueError(f"{character!r} can end segments, but cannot separate elements")
        if self.segment_terminator in self.line_break:
            raise ValueError("the segment terminator is a line break already: set line_break to an empty text")
        return self

    @model_validator(mode="after")
    def _characters_agree(self) -> X12Profile:
        if self.charset == "basic" and not self.upper_case:
            raise ValueError("the basic character set has capitals only: set `upper_case: true` with it")
        for participant in (self.sender, self.receiver):
            for value in (participant.id, participant.group_id):
                if not set(value) <= self.allowed:
                    raise ValueError(f"id {value!r} has a separator, or a character outside the {self.charset} set")
        for character, replacement in self.replacements.items():
            bad = set(replacement) - self.allowed
            if bad:
                raise ValueError(f"the replacement of {character!r} has {''.join(sorted(bad))!r}, not allowed in data")
        if self.substitute is not None and self.substitute not in self.allowed:
            raise ValueError(f"substitute {self.substitute!r} is a separator, or outside the {self.charset} set")
        return self
