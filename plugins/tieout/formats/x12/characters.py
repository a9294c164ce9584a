"""Keeps separators, control characters and foreign characters out of data; X12 004010 has no escape for them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.csv import content
from tieout.formats.x12.profile import X12Profile

_PLAIN = {
    "’": "'", "‘": "'", "‚": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "…": "...", "€": "EUR", "£": "GBP", "¥": "JPY",
    "ß": "ss", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o", "Œ": "OE", "œ": "oe", "Ł": "L", "ł": "l", "Đ": "D",
    "đ": "d", "Þ": "Th", "þ": "th", "ı": "i", "×": "x", "{": "(", "}": ")", "[": "(", "]": ")", "_": "-",
}  # fmt: skip
"""What a reader takes for the same, where the character itself is not allowed."""


@dataclass(frozen=True)
class Cleaned:
    """A value that may stand in the file.

    Attributes:
        text: The value.
        replaced: How many of its characters were replaced.
        unknown: The first character for which there is no replacement; None when there is for all.
    """

    text: str
    replaced: int
    unknown: str | None = None


class Characters:
    """What a profile allows in data, and what stands for the rest."""

    def __init__(self, profile: X12Profile) -> None:
        self._profile = profile
        self._allowed = profile.allowed
        self._allowed_bytes = "".join(sorted(self._allowed)).encode("ascii")
        self._unsafe = "[^" + re.escape("".join(sorted(self._allowed))) + "]"
        self.clean = lru_cache(maxsize=4096)(self._clean)

    def unsafe(self, values: pa.Array) -> pa.Array | None:
        """Which values have a character that may not stand there as it is; None when none has.

        Args:
            values: A string array without nulls.
        """
        if not bytes(content(values)).translate(None, self._allowed_bytes):
            return None
        return pc.match_substring_regex(values, self._unsafe)

    def _clean(self, value: str) -> Cleaned:
        """A value with every character that is not allowed replaced."""
        kept: list[str] = []
        replaced = 0
        for character in value:
            if self._fits(character):
                kept.append(character)
                continue
            replacement = self._replacement(character)
            if replacement is None:
                return Cleaned(value, 0, character)
            kept.append(replacement)
            replaced += 1
        return Cleaned("".join(kept), replaced)

    def _fits(self, character: str) -> bool:
        if character.isascii():
            return character in self._allowed
        if self._profile.charset != "any" or unicodedata.category(character)[0] in "CZ":
            return False
        return character.encode(self._profile.encoding, errors="ignore") != b""

    def _replacement(self, character: str) -> str | None:
        declared = self._profile.replacements.get(character)
        if declared is not None:
            return declared
        if character in self._profile.separators or unicodedata.category(character) in ("Cc", "Zs", "Zl", "Zp"):
            return " "
        for plain in (_PLAIN.get(character, ""), _without_marks(character)):
            if plain and set(plain) <= self._allowed:
                return plain
        return self._profile.substitute


def _without_marks(character: str) -> str:
    """`é` as `e`: the compatibility decomposition without its combining marks."""
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(part for part in decomposed if not unicodedata.combining(part))
