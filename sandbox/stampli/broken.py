"""Broken files, from sound ones: as a whole they cannot be read, or not by who goes strictly by the format."""

from __future__ import annotations

import codecs
from collections.abc import Callable


def unterminated_quote(content: bytes) -> bytes:
    """CSV: the last row opens a quote that nothing closes."""
    return content.rstrip(b"\r\n") + b'\r\n"and so on'


def nul_bytes(content: bytes) -> bytes:
    """CSV: a block that the disk lost."""
    middle = content.index(b"\n") + 1
    return content[:middle] + bytes(512) + content[middle:]


def without_column(content: bytes) -> bytes:
    """CSV: the header row does not name its first column."""
    return b"something_else" + content[content.index(b",") :]


def half_a_character(content: bytes) -> bytes:
    """CSV: UTF-16 that ends in the middle of a character."""
    return codecs.BOM_UTF16_LE + content.decode().encode("utf-16-le")[:-1]


def mixed_encodings(content: bytes) -> bytes:
    """CSV: a mark that says UTF-8, and in the first record a byte that is none: that record alone is bad."""
    return codecs.BOM_UTF8 + content.replace(b"https://", b"https://\xfc.", 1)


def cut_xml(content: bytes) -> bytes:
    """XML: ends in the middle of an element."""
    return content[: content.rindex(b"</")]


def mismatched_tag(content: bytes) -> bytes:
    """XML: a start tag is closed by another name."""
    return content.replace(b"</Header>", b"</Haeder>", 1)


def wrong_declared_encoding(content: bytes) -> bytes:
    """XML: says UTF-8 and has a Latin-1 byte."""
    return content.replace(b"</Header>", b"\xe9</Header>", 1)


def external_entity(content: bytes, target: str = "file:///etc/hostname") -> bytes:
    """XML: a DTD whose entity is another file, referred to from a record."""
    return _with_dtd(content, f'<!ENTITY outside SYSTEM "{target}">', "&outside;")


def billion_laughs(content: bytes) -> bytes:
    """XML: a DTD with entities of entities, which would fill the memory of whoever expands them."""
    entities = '<!ENTITY e0 "ha">' + "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10))
    return _with_dtd(content, entities, "&e9;")


def _with_dtd(content: bytes, declarations: str, reference: str) -> bytes:
    start = content.index(b"<StampliExport")
    doctype = f"<!DOCTYPE StampliExport [{declarations}]>\n".encode()
    body = content[start:].replace(b"</Header>", f"<note>{reference}</note></Header>".encode(), 1)
    return content[:start] + doctype + body


def empty(content: bytes) -> bytes:
    """Nothing at all."""
    return b""


BROKEN_CSV: dict[str, Callable[[bytes], bytes]] = {
    "unterminated_quote": unterminated_quote,
    "nul_bytes": nul_bytes,
    "without_column": without_column,
    "half_a_character": half_a_character,
    "mixed_encodings": mixed_encodings,
    "empty": empty,
}
"""What can be wrong with a CSV file (comma, UTF-8) as a whole."""

BROKEN_XML: dict[str, Callable[[bytes], bytes]] = {
    "cut_xml": cut_xml,
    "mismatched_tag": mismatched_tag,
    "wrong_declared_encoding": wrong_declared_encoding,
    "external_entity": external_entity,
    "billion_laughs": billion_laughs,
    "empty": empty,
}
"""What can be wrong with an XML file (UTF-8) as a whole."""

REASONS = {"empty": "EMPTY_FILE", "without_column": "MISSING_COLUMN", "mixed_encodings": "INVALID_ENCODING"}
"""Kind → reason code for which the file must be held, where it is not UNREADABLE_FILE."""

ONE_RECORD = frozenset({"mixed_encodings"})
"""Kinds in which a record is held and not the file."""
