"""What the connector knows of Stampli's records: the canonical columns, their kinds, and which belong to a line.

Stampli publishes no file grammar, so these are our own names; a layout file says what a customer's files call them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """How a column's text is read."""

    TEXT = "text"
    AMOUNT = "amount"
    DATE = "date"
    TIMESTAMP = "timestamp"
    INTEGER = "integer"
    FLAG = "flag"


@dataclass(frozen=True)
class RecordKind:
    """The columns of one kind of record.

    Attributes:
        entity: `invoices`, `vendors` or `payments`.
        noun: What people call one, in messages.
        element: Its element in XML, unless the layout says otherwise.
        key: The columns that identify a record, unless the layout says otherwise.
        label: The column by which people know it.
        required: Columns without which a record is useless, unless the layout says otherwise.
        header: Columns with one value per record.
        lines: Columns with one value per line of a record.
    """

    entity: str
    noun: str
    element: str
    key: tuple[str, ...]
    label: str
    required: tuple[str, ...]
    header: Mapping[str, Kind]
    lines: Mapping[str, Kind]

    @property
    def a_noun(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"

    @property
    def columns(self) -> Mapping[str, Kind]:
        """All columns; no name is both a header's and a line's."""
        return {**self.header, **self.lines}


def _columns(names: str) -> Mapping[str, Kind]:
    """`name` for text, `name:kind` for others, in the order of the files."""
    pairs = (name.partition(":") for name in names.split())
    return MappingProxyType({name: Kind(kind or "text") for name, _, kind in pairs})


_INVOICES = RecordKind(
    entity="invoices",
    noun="invoice",
    element="Invoice",
    key=("stampli_invoice_id",),
    label="invoice_number",
    required=(
        "stampli_invoice_id",
        "invoice_number",
        "invoice_date",
        "currency",
        "total_amount",
        "status",
        "line_amount",
    ),
    header=_columns(
        "stampli_invoice_id company_id invoice_number vendor_id vendor_erp_id vendor_name invoice_date:date "
        "due_date:date posting_date:date currency subtotal:amount tax_amount:amount total_amount:amount invoice_type "
        "status approved_at:timestamp approvers po_number terms description document_url"
    ),
    lines=_columns(
        "line_number:integer line_type gl_account department location class project cost_center quantity:amount "
        "unit_price:amount line_amount:amount tax_code line_description"
    ),
)

_VENDORS = RecordKind(
    entity="vendors",
    noun="vendor",
    element="Vendor",
    key=("vendor_id",),
    label="name",
    required=("vendor_id", "name"),
    header=_columns(
        "vendor_id erp_vendor_id name legal_name tax_id email phone address_line1 address_line2 city state postal_code "
        "country payment_terms default_gl_account currency active:flag updated_at:timestamp"
    ),
    lines=_columns(""),
)

_PAYMENTS = RecordKind(
    entity="payments",
    noun="payment",
    element="Payment",
    key=("payment_id",),
    label="reference",
    required=("payment_id", "payment_date", "amount", "currency", "vendor_id"),
    header=_columns("payment_id payment_date:date method amount:amount currency vendor_id status reference"),
    lines=_columns("invoice_number stampli_invoice_id applied_amount:amount"),
)

RECORD_KINDS: Mapping[str, RecordKind] = MappingProxyType(
    {kind.entity: kind for kind in (_INVOICES, _VENDORS, _PAYMENTS)}
)
"""Entity → its columns."""
