"""Invoices (810), purchase orders (850), items (832) as X12; one row per line, the document's columns repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from tieout.formats.x12.envelope import ControlNumbers
from tieout.formats.x12.gl import Party
from tieout.formats.x12.profile import X12Profile
from tieout.formats.x12.sets import LAYOUTS
from tieout.formats.x12.tables import segment
from tieout.formats.x12.writer import Columns, SetFileWriter


@dataclass(frozen=True)
class DocumentHeader:
    """What holds for every document of a file.

    Attributes:
        company: The company whose documents they are: N1*BY in 810 and 850, N1*FR in 832.
        currency: Of documents that do not name their own; null: CUR is left out.
        purpose: `00` original, `05` replaces what was sent before.
        partner: Who receives them (832).
        batch: REF*BT (832).
        catalogue: BCT02 (832), up to 15 characters.
    """

    company: Party
    currency: str | None = None
    purpose: Literal["00", "05"] = "00"
    partner: Party | None = None
    batch: str | None = None
    catalogue: str | None = None


def document_writer(
    set_id: Literal["810", "850", "832"],
    profile: X12Profile,
    header: DocumentHeader,
    controls: ControlNumbers,
    created: datetime,
    *,
    test_content: bool,
) -> SetFileWriter:
    """A writer of one file of documents.

    Dates are text YYYY-MM-DD or dates, amounts and quantities decimals; a column that is not there is empty.

    - 810, one set per supplier and invoice: `supplier`, `supplier_name`, `invoice_number`, `invoice_date`,
      `purchase_order`, `purchase_order_date`, `invoice_type` (DI, CR), `currency`, `voucher`, `due_date`, `net_days`,
      `ship_date`, `account`, `total_amount`, and per line `line_number`, `quantity`, `uom`, `unit_price`,
      `stock_code`, `supplier_stock_code`, `description`, `line_account`. Without `line_number`, no IT1.
    - 850, one set per order: `purchase_order`, `order_date`, `order_type` (SA), `purpose`, `currency`, `cost_centre`,
      `delivery_date`, `supplier`, `supplier_name`, and lines as above.
    - 832, one set per file: `stock_code`, `supplier_stock_code`, `description`, `line_account`, `unit_price`, `uom`.

    Args:
        set_id: The set.
        profile: The partner's agreement.
        header: What holds for the whole file.
        controls: Numbers allocated for this file.
        created: Date and time of the interchange.
        test_content: Whether the documents are a test's.

    Raises:
        ConfigurationInvalid: Test data would be announced as production data.
    """
    constants = {
        "company_name": header.company.name,
        "company_code": header.company.code,
        "partner_name": header.partner.name if header.partner else None,
        "partner_code": header.partner.code if header.partner else None,
        "currency": header.currency,
        "purpose": header.purpose,
        "replacing": header.purpose if header.purpose != "00" else None,
        "order_type": "SA",
        "batch": header.batch,
        "reference": header.catalogue,
    }
    longest = segment("REF", profile.version).elements[1].maximum

    def derive(columns: Columns) -> Columns:
        return _with_line_accounts(columns, longest)

    return SetFileWriter(
        LAYOUTS[set_id], profile, constants, controls, created, test_content=test_content, derive=derive
    )


def _with_line_accounts(columns: Columns, longest: int) -> Columns:
    """A line's account goes to REF02, or to REF03 when it is too long for it."""
    if "line_account" not in columns:
        return columns
    account = columns["line_account"].cast(pa.string())
    fits = pc.less_equal(pc.utf8_length(account), longest)
    return {
        **columns,
        "line_account": pc.if_else(fits, account, None),
        "long_line_account": pc.if_else(fits, None, account),
    }
