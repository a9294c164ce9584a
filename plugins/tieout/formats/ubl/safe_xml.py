"""XML from strangers: parsed without document types, entities or network, and of a bounded size."""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from lxml import etree

# An embedded file of 100 MB is 134 MB in base64.
LARGEST: Final = 160_000_000
_PIECE: Final = 65_536


class UblUnreadable(ValueError):
    """The bytes are not an XML document that may be read, or not an invoice or credit note.

    Attributes:
        line: Where in the document, counted from 1, if it is known.
        rule: `XML`, `XML-DTD` for a document type declaration, `XSD` for a root that UBL billing does not have.
    """

    def __init__(self, message: str, line: int | None = None, rule: str = "XML") -> None:
        super().__init__(message)
        self.line = line
        self.rule = rule


def parse(data: bytes) -> etree._Element:
    """The root element of a document.

    Args:
        data: The document's bytes in whatever encoding it declares.

    Raises:
        UblUnreadable: Empty, too large, not well-formed, or with a document type declaration.
    """
    _refuse_size(data)
    _refuse_document_type(data)
    # `huge_tree` lifts the limit of 10 MB for one text, which embedded files exceed. It also lifts libxml2's guard
    # against entities that multiply, which is why documents that could declare any are refused before.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise UblUnreadable(f"The file is not well-formed XML: {_sentence(error)}", error.lineno) from None
    if root.getroottree().docinfo.doctype:
        raise _document_type(None)
    return root


def _refuse_size(data: bytes) -> None:
    if not data.strip():
        raise UblUnreadable("The file is empty.")
    if len(data) > LARGEST:
        raise UblUnreadable(f"The file has {len(data):,} bytes; more than {LARGEST:,} are not read.")


def _refuse_document_type(data: bytes) -> None:
    """Reads up to the first element, which is as far as a document type can be declared."""
    parser = expat.ParserCreate()
    inside = False

    def element(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        inside = True

    def document_type(*_: object) -> None:
        raise _document_type(parser.CurrentLineNumber)

    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = document_type
    try:
        for start in range(0, len(data), _PIECE):
            parser.Parse(data[start : start + _PIECE], False)
            if inside:
                return
    except expat.ExpatError as error:
        if not inside:
            reason = expat.ErrorString(error.code) or "unknown error"
            raise UblUnreadable(f"The file is not well-formed XML: {reason}.", error.lineno) from None
    except LookupError as error:
        raise UblUnreadable(f"The file is not readable as XML: {error}.", 1) from None


def _document_type(line: int | None) -> UblUnreadable:
    return UblUnreadable(
        "The file has a document type declaration (<!DOCTYPE …>), which UBL documents never need and which can "
        "declare entities: it is refused unread.",
        line,
        "XML-DTD",
    )


def _sentence(error: etree.XMLSyntaxError) -> str:
    text = str(error.msg or "unknown error").split(", line ")[0].strip()
    return f"{text}." if not text.endswith(".") else text
