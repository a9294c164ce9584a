"""The part of a record spec about the file as a whole: its encoding, its separators, characters that do not fit."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_SEPARATORS = {None: "", "none": "", "crlf": "\r\n", "lf": "\n"}

# What would break a record for whoever reads it by lines; U+0085 is a line's end in EBCDIC.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _separator(value: object) -> object:
    return _SEPARATORS.get(value, value) if value is None or isinstance(value, str) else value


def _codec_problem(name: str) -> str | None:
    try:
        codec: Any = codecs.lookup(name)
        if not codec._is_text_encoding:
            raise LookupError
    except (LookupError, ValueError):
        return f"encoding: Python has no text encoding {name!r}. Write one such as cp1252, cp037 or utf-8."
    try:
        digits = "0123456789".encode(name)
        consecutive = [byte - digits[0] for byte in digits] == list(range(10))
        single = all(len(char.encode(name, "ignore")) <= 1 for char in _PRINTABLE) and len(" ".encode(name)) == 1
    except (UnicodeError, ValueError):
        consecutive = single = False
    if not (consecutive and single):
        return f"encoding: in {name!r} a digit or a letter is not one byte. Take one such as cp1252, cp037 or utf-8."
    return None


class Strict(BaseModel):
    """A section in which an unknown key or a value of another type is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileSpec(Strict):
    """The file as a whole.

    Attributes:
        name: The file's name template, for whoever names it; the writer does not use it.
        encoding: Any codec of Python's in which a space and a digit are one byte each: cp1252, cp037 (EBCDIC), utf-8.
        record_separator: After every record, the last one too: CRLF, LF, or none (also written `crlf`, `lf`, `none`).
        on_overflow: A value wider than its field is an error, always.
        on_unmappable: A character that the encoding does not have, or a control character: `error`, or `substitute`.
        substitute: What then stands for it; one character.
        replace: Characters that are always written differently, such as a dash for an en dash; they are counted.
    """

    name: str | None = None
    encoding: str = "cp1252"
    record_separator: Annotated[Literal["\r\n", "\n", "\r", "\x85", ""], BeforeValidator(_separator)] = "\r\n"
    on_overflow: Literal["error"] = "error"
    on_unmappable: Literal["error", "substitute"] = "error"
    substitute: str = Field(default="?", min_length=1, max_length=1)
    replace: dict[str, str] = {}

    @model_validator(mode="after")
    def _check(self) -> FileSpec:
        problem = _codec_problem(self.encoding)
        if problem:
            raise ValueError(problem)
        for key, text in self.replace.items():
            if len(key) != 1:
                raise ValueError(f"replace: {key!r} is not one character. Replace characters one by one.")
            self._must_have(text, f"replace: {key!r}")
            if any(other in text for other in self.replace):
                raise ValueError(f"replace: {text!r} holds a character that is replaced itself. Write the final text.")
        self._must_have(self.substitute, "substitute")
        self._must_have(self.record_separator, "record_separator", control=True)
        return self

    def problem_of(self, text: str, *, control: bool = False) -> str | None:
        """Why this text cannot stand in the file, or None."""
        if not control and CONTROL.search(text):
            return f"{text!r} holds a control character"
        if self.has(text):
            return None
        lost = next((character for character in text if not self.has(character)), text)
        return f"{self.encoding} has no {lost!r}"

    def has(self, text: str) -> bool:
        """Whether the encoding has a text, exactly: some write a similar character instead, cp932 `￠` for `¢`."""
        try:
            return text.encode(self.encoding).decode(self.encoding) == text
        except UnicodeError:
            return False

    def _must_have(self, text: str, where: str, *, control: bool = False) -> None:
        problem = self.problem_of(text, control=control)
        if problem:
            raise ValueError(f"{where}: {problem}. Choose another text.")
