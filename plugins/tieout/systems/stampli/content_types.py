"""The content type of a payload: all that is needed to read it again as it was read from its file.

    text/csv; charset=utf-8; delimiter=comma; lines=5-9+14; key=INV-1; name=invoices_C1.csv
    application/xml; charset=utf-8; root.companyId=C1; lines=3-20; key=INV-1; name=invoices_C1.xml
    application/octet-stream; name=invoices_C1.csv

Values are percent-encoded. `lines` are those of the file, so that messages name them also later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

CSV = "text/csv"
XML = "application/xml"
WHOLE_FILE = "application/octet-stream"

DELIMITERS: Mapping[str, bytes] = {"comma": b",", "semicolon": b";", "tab": b"\t", "pipe": b"|"}

LineRange = tuple[int, int]


@dataclass(frozen=True)
class Origin:
    """Where a payload came from and how it is written.

    Attributes:
        media_type: CSV, XML or WHOLE_FILE.
        name: The file's.
        charset: Of the payload.
        delimiter: `comma`, `semicolon`, `tab` or `pipe`; empty for XML.
        lines: First and last line of each piece.
        key: The record's key when it was read first.
        root: Attributes of an XML document's element.
    """

    media_type: str
    name: str
    charset: str = ""
    delimiter: str = ""
    lines: tuple[LineRange, ...] = ()
    key: str = ""
    root: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """File and lines, for messages."""
        return f"{self.name}, {lines_in_words(self.lines)}" if self.lines else self.name

    @property
    def fallback_key(self) -> str:
        """The key of a record that tells none itself: the one it was given first, else file and line."""
        return self.key or f"{self.name}#{self.lines[0][0] if self.lines else 1}"

    def __str__(self) -> str:
        parameters = {
            "charset": self.charset,
            "delimiter": self.delimiter,
            **{f"root.{name}": value for name, value in self.root.items()},
            "lines": "+".join(f"{first}-{last}" if last > first else str(first) for first, last in self.lines),
            "key": self.key,
            "name": self.name,
        }
        shown = (f"{quote(name, safe='')}={quote(value, safe='+')}" for name, value in parameters.items() if value)
        return "; ".join((self.media_type, *shown))


def parse_content_type(text: str) -> Origin:
    """The origin that a content type tells of; what it does not tell is empty.

    Raises:
        ValueError: It is none of ours.
    """
    media_type, *rest = (part.strip() for part in text.split(";"))
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[unquote(name)] = unquote(value)
    if media_type not in (CSV, XML, WHOLE_FILE):
        raise ValueError(f"The content type {media_type!r} is none of a Stampli record.")
    return Origin(
        media_type=media_type,
        name=parameters.get("name", ""),
        charset=parameters.get("charset", ""),
        delimiter=parameters.get("delimiter", ""),
        lines=tuple(_range(piece) for piece in parameters.get("lines", "").split("+") if piece),
        key=parameters.get("key", ""),
        root={name[5:]: value for name, value in parameters.items() if name.startswith("root.")},
    )


def file_name_of(content_type: str) -> str:
    """The name of the file that a payload came from; empty where the content type does not tell it."""
    try:
        return parse_content_type(content_type).name
    except ValueError:
        return ""


def _range(text: str) -> LineRange:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def lines_in_words(lines: Sequence[LineRange]) -> str:
    """Line ranges as people write them: `line 5`, `lines 5-9 and 14`; many ranges are cut short."""
    if len(lines) == 1 and lines[0][0] == lines[0][1]:
        return f"line {lines[0][0]}"
    shown = [f"{first}-{last}" if last > first else str(first) for first, last in lines[:6]]
    if len(lines) > 6:
        return f"lines {', '.join(shown)} and {len(lines) - 6} more places"
    return f"lines {', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else f"lines {shown[0]}"
