"""The bytes of an encoding that numbers, signs and plain text are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tieout.formats.fixed_width.file_spec import CONTROL, FileSpec

Bytes = npt.NDArray[np.uint8]

_EBCDIC_ZERO = 0xF0
_POSITIVE, _NEGATIVE = "{ABCDEFGHI", "}JKLMNOPQR"


class Charset:
    """An encoding, with what the spec says about characters that it lacks.

    Attributes:
        file: The spec's part about the file.
        zero: The byte of the digit 0; the others follow it.
        space: The byte of a space.
        plain: The byte of each printable ASCII character, 0 where the encoding has none or it is to be replaced.
    """

    def __init__(self, file: FileSpec) -> None:
        self.file = file
        self.space = self.byte(" ")
        self.zero = self.byte("0")
        self.plain: Bytes = np.zeros(256, np.uint8)
        for code in range(0x20, 0x7F):
            if file.has(chr(code)) and chr(code) not in file.replace:
                self.plain[code] = self.byte(chr(code))

    def byte(self, character: str) -> int:
        """The one byte of a character."""
        return character.encode(self.file.encoding)[0]

    def overpunch(self) -> Bytes:
        """Last digits with the sign in them: row 0 for numbers that are not negative, row 1 for negative ones."""
        if self.zero == _EBCDIC_ZERO:
            # Zoned decimals are bytes C0-C9 and D0-D9 whatever character a national code page shows for them.
            return np.array([range(0xC0, 0xCA), range(0xD0, 0xDA)], np.uint8)
        return np.array([list(signs.encode(self.file.encoding)) for signs in (_POSITIVE, _NEGATIVE)], np.uint8)

    def clean(self, text: str) -> tuple[str | None, int]:
        """A text as it may stand in the file and how many characters were changed.

        Returns:
            None instead of the text where a character is not allowed and the spec declares no substitution.
        """
        changed = sum(text.count(character) for character in self.file.replace)
        for character, instead in self.file.replace.items():
            text = text.replace(character, instead)
        if self.file.problem_of(text) is None:
            return text, changed
        if self.file.on_unmappable == "error":
            return None, 0
        characters = [self.file.substitute if self._lacks(character) else character for character in text]
        changed += sum(self._lacks(character) for character in text)
        return "".join(characters), changed

    def lacking(self, text: str) -> str:
        """The first character of a text that the file cannot have."""
        for character in self.file.replace:
            text = text.replace(character, "")
        return next((character for character in text if self._lacks(character)), text[:1])

    def is_clean(self, text: str) -> bool:
        """Whether a text needs no change."""
        return self.file.problem_of(text) is None and not any(character in text for character in self.file.replace)

    def _lacks(self, character: str) -> bool:
        return bool(CONTROL.match(character)) or not self.file.has(character)
