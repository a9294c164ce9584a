"""An answer of e.net's COMFND: rows of a table as XML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from tieout.systems.syspro.answers import decode_text
from tieout.systems.syspro.errors import Unreadable

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ROW = re.compile(r"<Row>.*?</Row>|<Row\s*/>", re.DOTALL)


@dataclass(frozen=True)
class XmlRows:
    """The rows of an answer.

    Attributes:
        rows: Number of rows.
        values: Per column, one text or None (an empty element) per row.
        raw: Each row's XML, UTF-8.
    """

    rows: int
    values: Mapping[str, Sequence[str | None]]
    raw: list[bytes]


def read_rows(body: bytes, table: str, names: Sequence[str], content_type: str = "") -> XmlRows:
    """Reads an answer.

    Where an object edits its numbers for people (`Edited_X`), the value is that of `Unedited_X`.

    Raises:
        Unreadable: It is cut short, or is not an answer about this table.
    """
    text = _DECLARATION.sub("", decode_text(body, content_type), count=1)
    if "<!DOCTYPE" in text[:2000]:
        raise Unreadable("an answer with a DOCTYPE, which e.net never sends")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        raise Unreadable("the answer broke off" if text.strip() else "an empty answer") from None
    if root.tag != table:
        raise Unreadable(f"an answer about {root.tag!r}")
    rows = [{child.tag: child.text for child in row} for row in root.iterfind("Row")]
    raw = [match.encode() for match in _ROW.findall(text)]
    returned = root.findtext("RowsReturned")
    if len(raw) != len(rows) or (returned is not None and returned.strip() != str(len(rows))):
        raise Unreadable(f"{len(rows)} rows where {(returned or '').strip()} were announced")
    values = {name: [row[name] if name in row else row.get(f"Unedited_{name}") for row in rows] for name in names}
    return XmlRows(len(rows), values, raw)
