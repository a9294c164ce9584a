"""Bad records: sound ones with one thing wrong, and the reason for which each must be held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from sandbox.stampli.text_records import TextRecord


@dataclass(frozen=True)
class Defect:
    """One thing that can be wrong with a record.

    Attributes:
        reason: Reason code under which it must be held.
        apply: Sound record → bad record.
        lines: How many lines the record must have; None: any number.
        csv_only: XML cannot say it.
    """

    reason: str
    apply: Callable[[TextRecord], TextRecord]
    lines: int | None = None
    csv_only: bool = False


def _with(**values: str) -> Callable[[TextRecord], TextRecord]:
    return lambda record: replace(record, header={**record.header, **values})


def _with_line(number: int, **values: str) -> Callable[[TextRecord], TextRecord]:
    """Changes one line, by position; -1 is the last."""

    def apply(record: TextRecord) -> TextRecord:
        lines = list(record.lines)
        lines[number] = {**lines[number], **values}
        return replace(record, lines=tuple(lines))

    return apply


def _without_id(column: str) -> Callable[[TextRecord], TextRecord]:
    return lambda record: replace(record, key="", header={**record.header, column: ""})


def _more(column: str) -> Callable[[TextRecord], TextRecord]:
    """Ten more in an amount of the header."""
    return lambda record: _with(**{column: str(Decimal(record.header[column]) + 10)})(record)


def _over_applied(record: TextRecord) -> TextRecord:
    return _with_line(-1, applied_amount=str(Decimal(record.lines[-1]["applied_amount"]) + 10))(record)


INVOICE_DEFECTS: dict[str, Defect] = {
    "lines_do_not_add_up": Defect("LINE_SUM_MISMATCH", _more("total_amount")),
    "header_differs": Defect("HEADER_MISMATCH", _with_line(-1, due_date="2031-12-24"), lines=3, csv_only=True),
    "unknown_currency": Defect("UNKNOWN_CURRENCY", _with(currency="XQX")),
    "bad_date": Defect("INVALID_DATE", _with(invoice_date="2025-06-31")),
    "bad_amount": Defect("INVALID_AMOUNT", _with_line(0, line_amount="12.3O")),
    "not_approved": Defect("NOT_APPROVED", _with(status="PAID")),
    "vendor_unknown": Defect("UNKNOWN_VENDOR", _with(vendor_id="V-NOBODY", vendor_erp_id="V-NOBODY")),
    "vendor_missing": Defect("MISSING_VENDOR", _with(vendor_id="", vendor_erp_id="")),
    "missing_id": Defect("MISSING_KEY", _without_id("stampli_invoice_id"), lines=1),
    "missing_number": Defect("MISSING_VALUE", _with(invoice_number="")),
    "wrong_column_count": Defect("BAD_ROW", lambda record: replace(record, extra_cells=1), lines=2, csv_only=True),
    "line_number_twice": Defect("DUPLICATE_LINE", _with_line(-1, line_number="1"), lines=2),
    "unknown_account": Defect("UNKNOWN_ACCOUNT", _with_line(0, gl_account="999999")),
    "unknown_cost_centre": Defect("UNKNOWN_COST_CENTRE", _with_line(0, cost_center="CC-NOWHERE")),
    "unknown_project": Defect("UNKNOWN_PROJECT", _with_line(0, project="P-NOTHING")),
    "unknown_tax_code": Defect("UNKNOWN_TAX_CODE", _with_line(0, tax_code="T?")),
}
"""What can be wrong with an invoice."""

VENDOR_DEFECTS: dict[str, Defect] = {
    "missing_id": Defect("MISSING_KEY", _without_id("vendor_id")),
    "missing_name": Defect("MISSING_VALUE", _with(name="")),
    "code_too_long": Defect("CARD_CODE_INVALID", _with(erp_vendor_id="V-SIXTEEN-LETTERS")),
}
"""What can be wrong with a vendor."""

PAYMENT_DEFECTS: dict[str, Defect] = {
    "over_applied": Defect("PAYMENT_OVER_APPLIED", _over_applied),
    "bad_date": Defect("INVALID_DATE", _with(payment_date="30.02.2025")),
    "vendor_unknown": Defect("UNKNOWN_VENDOR", _with(vendor_id="V-NOBODY")),
}
"""What can be wrong with a payment."""
