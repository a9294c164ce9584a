"""Lineage of Banqup's documents: what of a document, and of what Banqup says of it, takes part in name and index.

A document's bytes are delivered as they came. Its folder and name, and the indexes that the expectations look at, are
made of the listing, of the UBL elements and of the fields of CODA, whose positions count bytes from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tieout.mapping.lineage import GENERATED, ColumnLineage, Kind

INTEGRATION = "banqup_to_sftp"

_Rows = tuple[tuple[str, str, str, Kind], ...]
"""Target, source, transformation, kind."""

_AS_IT_IS = "rename"
_LISTED = "documents"
_DAY: _Rows = (("day in the file name", GENERATED, "the run's day", Kind.GENERATED),)
_NUMBERED: _Rows = (
    ("number in the file name", f"{_LISTED}.documentNumber", "safe characters only", Kind.CONVERSION),
    ("id in the file name", f"{_LISTED}.id", "safe characters only", Kind.CONVERSION),
)
_FOLDER: _Rows = (
    ("[external_id] in the path", "${clients.external_id}", "setting", Kind.SETTING),
    ("[uen_number] in the path", "${clients.uen_number}", "setting, as uen_format says", Kind.SETTING),
    ("[invoice_type] in the path", f"{_LISTED}.folder", "lookup invoice_types", Kind.LOOKUP),
    ("[file_type] in the path", f"{_LISTED}.folder", "lookup file_types", Kind.LOOKUP),
    ("[year] in the path", GENERATED, "the run's year", Kind.GENERATED),
)
_PATH = (*_DAY, *_NUMBERED, *_FOLDER)

_SELLER = "Invoice.cac:AccountingSupplierParty/cac:Party"
_BUYER = "Invoice.cac:AccountingCustomerParty/cac:Party"
_IDENTIFIERS = (
    "cbc:EndpointID",
    "cac:PartyTaxScheme/cbc:CompanyID",
    "cac:PartyLegalEntity/cbc:CompanyID",
    "cac:PartyName/cbc:Name",
    "cac:PartyLegalEntity/cbc:RegistrationName",
)
_OF_ALL: _Rows = (
    ("key", "${clients.external_id}", "setting", Kind.SETTING),
    ("key", f"{_LISTED}.id", "join", Kind.CONVERSION),
    ("client", "${clients.external_id}", "setting", Kind.SETTING),
    ("document_id", f"{_LISTED}.id", _AS_IT_IS, Kind.IDENTITY),
)
_INVOICE_INDEX: _Rows = (
    *_OF_ALL,
    ("kind", f"{_LISTED}.folder", "purchases or sales", Kind.LOOKUP),
    ("number", "Invoice.cbc:ID", _AS_IT_IS, Kind.IDENTITY),
    ("type", "Invoice", "the root element: invoice or credit_note", Kind.LOOKUP),
    ("issue_date", "Invoice.cbc:IssueDate", _AS_IT_IS, Kind.IDENTITY),
    ("due_date", "Invoice.cbc:DueDate", "first of several", Kind.CHOICE),
    ("due_date", "Invoice.cac:PaymentMeans/cbc:PaymentDueDate", "first of several", Kind.CHOICE),
    ("status_date", f"{_LISTED}.statusDates.document", "its day", Kind.CONVERSION),
    ("currency", "Invoice.cbc:DocumentCurrencyCode", _AS_IT_IS, Kind.IDENTITY),
    ("total", "Invoice.cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount", _AS_IT_IS, Kind.IDENTITY),
    *(("seller", f"{_SELLER}/{name}", "first of several", Kind.CHOICE) for name in _IDENTIFIERS),
    *(("buyer", f"{_BUYER}/{name}", "first of several", Kind.CHOICE) for name in _IDENTIFIERS),
)
_ACCOUNT = "CODA.record 1, positions 6-42"
_SEQUENCE = "CODA.record 1, positions 126-128"
_CREATED = "CODA.record 0, positions 6-11"
_NEW_DATE = "CODA.record 8, positions 58-63"
_BOOK: _Rows = tuple(
    ("follows", source, "compared with the statement before", Kind.CALCULATION)
    for source in (_ACCOUNT, _SEQUENCE, "CODA.record 0, positions 84-88")
)
_STATEMENT_INDEX: _Rows = (
    *_OF_ALL,
    ("account", _ACCOUNT, "part of the field", Kind.CONVERSION),
    ("currency", _ACCOUNT, "part of the field", Kind.CONVERSION),
    ("year", _NEW_DATE, "its year", Kind.CONVERSION),
    ("year", "CODA.record 1, positions 59-64", "its year, where the new balance has no date", Kind.CHOICE),
    ("year", _CREATED, "its year, where no balance has a date", Kind.CHOICE),
    ("sequence", _SEQUENCE, "whole number", Kind.CONVERSION),
    ("date", _NEW_DATE, "first of several", Kind.CHOICE),
    ("date", _CREATED, "first of several", Kind.CHOICE),
    *_BOOK,
    ("balance_follows", "CODA.record 1, positions 43-58", "compared with the statement before", Kind.CALCULATION),
    ("balance_follows", "CODA.record 8, positions 42-57", "compared by the statement after", Kind.CALCULATION),
)
_FILES: Mapping[tuple[str, str], _Rows] = MappingProxyType(
    {
        ("invoices", "file"): (("content", "Invoice", "as it came", Kind.IDENTITY), *_PATH),
        ("invoices", "index"): _INVOICE_INDEX,
        ("statements", "file"): (("content", "CODA", "as it came", Kind.IDENTITY), *_PATH),
        ("statements", "index"): _STATEMENT_INDEX,
    }
)


def banqup() -> dict[tuple[str, str], list[ColumnLineage]]:
    """Entity and form (`file`: what the client gets; `index`: what expectations look at) → its rows.

    Sources begin with `documents` (Banqup's listing), `Invoice` (UBL; a credit note has the same elements) or `CODA`.
    """
    return {
        key: [ColumnLineage(source, "", target, words, kind) for target, source, words, kind in rows]
        for key, rows in _FILES.items()
    }
