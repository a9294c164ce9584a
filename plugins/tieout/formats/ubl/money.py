"""A document's amount, read a second time by another parser than everything else here, for the tie-out."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final
from xml.parsers import expat

from tieout.formats.ubl.names import CAC, CBC, CREDIT_NOTE, INVOICE

_BETWEEN: Final = "\t"
_ROOTS: Final = (f"{INVOICE}{_BETWEEN}Invoice", f"{CREDIT_NOTE}{_BETWEEN}CreditNote")
_CURRENCY: Final = [f"{CBC}{_BETWEEN}DocumentCurrencyCode"]
_AMOUNT: Final = [f"{CAC}{_BETWEEN}LegalMonetaryTotal", f"{CBC}{_BETWEEN}TaxInclusiveAmount"]
_DECIMAL: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_PIECE: Final = 1_048_576


class _DocumentType(Exception):
    """Stops at a document type declaration."""


def money_of(data: bytes) -> tuple[str, Decimal] | None:
    """Currency and tax-inclusive amount (BT-112) of an invoice or credit note, as written: never rounded or negated.

    Reads with expat in pieces, whatever prefixes the document uses, and knows nothing of the other readers.

    Returns:
        None when the file is not a readable invoice or credit note with exactly one such amount, a decimal number.
    """
    reader = _Reader()
    try:
        for start in range(0, len(data), _PIECE):
            reader.parser.Parse(data[start : start + _PIECE], False)
        reader.parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, _DocumentType):
        return None
    return reader.money()


class _Reader:
    """Keeps the texts of two elements, found by their whole path from the root."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.document_currency = ""
        self.amount_currencies: list[str] = []
        self.amounts: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=_BETWEEN)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._document_type

    def money(self) -> tuple[str, Decimal] | None:
        if len(self.amounts) != 1 or not _DECIMAL.fullmatch(self.amounts[0].strip()):
            return None
        currency = (self.amount_currencies[0] or self.document_currency).strip()
        return (currency, Decimal(self.amounts[0].strip())) if currency else None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name)
        if self._at(_AMOUNT):
            self.amounts.append("")
            self.amount_currencies.append(attributes.get("currencyID", ""))

    def _end(self, name: str) -> None:
        self.path.pop()

    def _text(self, text: str) -> None:
        if self._at(_AMOUNT):
            self.amounts[-1] += text
        elif self._at(_CURRENCY):
            self.document_currency += text

    def _at(self, below_root: list[str]) -> bool:
        return len(self.path) == len(below_root) + 1 and self.path[1:] == below_root and self.path[0] in _ROOTS

    def _document_type(self, *_: object) -> None:
        raise _DocumentType
