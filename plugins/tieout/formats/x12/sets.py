"""The sets we write, as data: which segment stands where, and which column fills which element.

The order of segments is the standard's; what is optional there and useful here is in. 830 and 821 carry G/L postings,
which neither was made for: 830 is a planning schedule whose quantities are amounts, 821 financial information
reporting with account, debit/credit flag and currency, the better choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tieout.formats.x12.segments import Column, Const, SegmentLayout, check_layout


@dataclass(frozen=True)
class Level:
    """Segments that stand once before the lines of each group of rows.

    Attributes:
        keys: Columns that tell one group from the next; rows of a group follow one another.
        segments: What is written at its first row. The column `level_number` counts the groups from 1.
    """

    keys: tuple[str, ...]
    segments: tuple[SegmentLayout, ...]


@dataclass(frozen=True)
class SetLayout:
    """A transaction set.

    Attributes:
        id: ST01.
        document: Columns that tell one set from the next; empty when the whole file is one set.
        head: From ST on, once per set.
        levels: Groups within a set, outer ones first.
        line: Once per row.
        foot: Up to SE. `line_count` counts the rows that have the line's first segment, `group_count` the last
            level's groups, `hash_total` sums the column `hashed`, `segment_count` counts everything.
        hashed: The line's column that CTT02 sums; none where absent.
        needed: Columns that the data must have.
    """

    id: str
    document: tuple[str, ...]
    head: tuple[SegmentLayout, ...]
    levels: tuple[Level, ...]
    line: tuple[SegmentLayout, ...]
    foot: tuple[SegmentLayout, ...]
    hashed: str | None
    needed: tuple[str, ...]

    def __post_init__(self) -> None:
        for layout in self.segments():
            check_layout(layout)

    def segments(self) -> Iterator[SegmentLayout]:
        """All its segments, in order."""
        yield from self.head
        for level in self.levels:
            yield from level.segments
        yield from self.line
        yield from self.foot


def _segment(segment_id: str, *elements: tuple[int, str | Const | Column], when: str = "") -> SegmentLayout:
    filled = {position: Const(source) if isinstance(source, str) else source for position, source in elements}
    return SegmentLayout(segment_id, filled, tuple(when.split()))


def _party(role: str, name: str, code: str, *, by: str = "92") -> SegmentLayout:
    return _segment(
        "N1",
        (1, role),
        (2, Column(name, free_text=True)),
        (3, Const(by, beside=4)),
        (4, Column(code)),
        when=f"{name} {code}",
    )


def _st(set_id: str) -> SegmentLayout:
    return _segment("ST", (1, set_id), (2, Column("set_control")))


_SE = _segment("SE", (1, Column("segment_count")), (2, Column("set_control")))
_CURRENCY = _segment("CUR", (1, "FR"), (2, Column("currency")), when="currency")
_BUYER_CURRENCY = _segment("CUR", (1, "BY"), (2, Column("currency")), when="currency")
_BATCH = _segment("REF", (1, "BT"), (2, Column("batch")), when="batch")
_FROM = _party("FR", "company_name", "company_code")
_TO = _party("TO", "partner_name", "partner_code")
_BUYER = _party("BY", "company_name", "company_code")
_SUPPLIER = _party("SU", "supplier_name", "supplier")
_DESCRIPTION = _segment("PID", (1, "F"), (5, Column("description", free_text=True)), when="description")
_ITEM_CODES = (
    (6, Const("BP", beside=7)),
    (7, Column("stock_code")),
    (8, Const("VP", beside=9)),
    (9, Column("supplier_stock_code")),
)
# A row of an invoice without lines has none of these.
_LINE_COLUMNS = (
    "line_number quantity uom unit_price stock_code supplier_stock_code description line_account long_line_account"
)
# An account too long for REF02 goes to REF03, which takes 80 characters.
_LINE_ACCOUNT = _segment(
    "REF",
    (1, "GZ"),
    (2, Column("line_account")),
    (3, Column("long_line_account")),
    when="line_account long_line_account",
)

GL_830 = SetLayout(
    id="830",
    document=(),
    head=(
        _st("830"),
        _segment(
            "BFR",
            (1, Column("purpose")),
            (2, Column("reference")),
            (4, "ZZ"),
            (5, "A"),
            (6, Column("period_start")),
            (7, Column("period_end")),
            (8, Column("generated")),
        ),
        _CURRENCY,
        _BATCH,
        _FROM,
        _TO,
    ),
    levels=(
        Level(
            ("cost_centre", "account"),
            (
                _segment(
                    "LIN",
                    (1, Column("level_number")),
                    (2, "ZZ"),
                    (3, Column("cost_centre")),
                    (4, "ZZ"),
                    (5, Column("account", required=True)),
                ),
                _segment("UIT", (1, "ZZ")),
                _segment("PID", (1, "F"), (5, Column("account_name", free_text=True)), when="account_name"),
                _segment("REF", (1, "CA"), (2, Column("cost_centre"))),
                _segment("REF", (1, "GZ"), (2, Column("short_account")), when="short_account"),
            ),
        ),
    ),
    line=(
        _segment(
            "FST",
            (1, Column("amount")),
            (2, "Z"),
            (3, "D"),
            (4, Column("date_or_period_end")),
            (8, "VV"),
            (9, Column("voucher", required=True)),
        ),
    ),
    foot=(_segment("CTT", (1, Column("group_count")), (2, Column("hash_total"))), _SE),
    hashed="amount",
    needed=("cost_centre", "account", "year", "period", "journal", "date", "amount"),
)

GL_821 = SetLayout(
    id="821",
    document=(),
    head=(
        _st("821"),
        _segment("B2A", (1, Column("purpose"))),
        _segment("DTM", (1, "193"), (2, Column("period_start"))),
        _segment("DTM", (1, "194"), (2, Column("period_end"))),
        _segment("TRN", (1, "1"), (2, Column("batch"))),
        _FROM,
        _TO,
        _BATCH,
    ),
    levels=(
        Level(
            ("cost_centre",),
            (
                _segment(
                    "ENT",
                    (1, Column("level_number")),
                    (2, "DV"),
                    (3, "92"),
                    (4, Column("cost_centre", required=True)),
                ),
            ),
        ),
        Level(
            ("cost_centre", "account"),
            (
                _segment("ACT", (1, Column("account")), (2, Column("account_name", free_text=True))),
                _CURRENCY,
            ),
        ),
    ),
    line=(
        _segment(
            "FIR",
            (1, "ZZ"),
            (2, Column("source")),
            (3, Column("absolute_amount", decimals=2)),
            (4, Column("date")),
            (9, Column("debit_or_credit")),
        ),
        _segment("REF", (1, "VV"), (2, Column("voucher", required=True))),
    ),
    foot=(_SE,),
    hashed=None,
    needed=("cost_centre", "account", "year", "period", "journal", "date", "amount"),
)

INVOICES_810 = SetLayout(
    id="810",
    document=("supplier", "invoice_number"),
    head=(
        _st("810"),
        _segment(
            "BIG",
            (1, Column("invoice_date")),
            (2, Column("invoice_number")),
            (3, Column("purchase_order_date")),
            (4, Column("purchase_order")),
            (7, Column("invoice_type")),
            (8, Column("replacing")),
        ),
        _BUYER_CURRENCY,
        _segment("REF", (1, "VV"), (2, Column("voucher")), when="voucher"),
        _SUPPLIER,
        _BUYER,
        _segment(
            "ITD", (1, "05"), (2, "3"), (6, Column("due_date")), (7, Column("net_days")), when="due_date net_days"
        ),
        _segment("DTM", (1, "011"), (2, Column("ship_date")), when="ship_date"),
        _segment("FA1", (1, "ZZ"), when="account"),
        _segment("FA2", (1, "ZZ"), (2, Column("account")), when="account"),
    ),
    levels=(),
    line=(
        _segment(
            "IT1",
            (1, Column("line_number", required=True)),
            (2, Column("quantity")),
            (3, Column("uom")),
            (4, Column("unit_price")),
            *_ITEM_CODES,
            when=_LINE_COLUMNS,
        ),
        _DESCRIPTION,
        _LINE_ACCOUNT,
    ),
    foot=(
        _segment("TDS", (1, Column("total_amount"))),
        _segment("CTT", (1, Column("line_count")), when="line_count"),
        _SE,
    ),
    hashed=None,
    needed=("supplier", "invoice_number", "invoice_date", "total_amount"),
)

PURCHASE_ORDERS_850 = SetLayout(
    id="850",
    document=("purchase_order",),
    head=(
        _st("850"),
        _segment(
            "BEG",
            (1, Column("purpose")),
            (2, Column("order_type")),
            (3, Column("purchase_order")),
            (5, Column("order_date")),
        ),
        _BUYER_CURRENCY,
        _segment("REF", (1, "DP"), (2, Column("cost_centre")), when="cost_centre"),
        _segment("DTM", (1, "002"), (2, Column("delivery_date")), when="delivery_date"),
        _BUYER,
        _SUPPLIER,
    ),
    levels=(),
    line=(
        _segment(
            "PO1",
            (1, Column("line_number")),
            (2, Column("quantity", required=True)),
            (3, Column("uom")),
            (4, Column("unit_price")),
            *_ITEM_CODES,
        ),
        _DESCRIPTION,
        _LINE_ACCOUNT,
    ),
    foot=(_segment("CTT", (1, Column("line_count")), when="line_count"), _SE),
    hashed=None,
    needed=("purchase_order", "order_date", "line_number", "quantity"),
)

ITEMS_832 = SetLayout(
    id="832",
    document=(),
    head=(
        _st("832"),
        _segment("BCT", (1, "PC"), (2, Column("reference")), (10, Column("purpose"))),
        _BATCH,
        _CURRENCY,
        _FROM,
        _TO,
    ),
    levels=(),
    line=(
        _segment(
            "LIN",
            (1, Column("row_number")),
            (2, "BP"),
            (3, Column("stock_code")),
            (4, Const("VP", beside=5)),
            (5, Column("supplier_stock_code")),
        ),
        _LINE_ACCOUNT,
        _DESCRIPTION,
        _segment(
            "CTP",
            (2, "LPR"),
            (3, Column("unit_price")),
            (4, Const("1", beside=5)),
            (5, Column("uom")),
            when="unit_price",
        ),
    ),
    foot=(_segment("CTT", (1, Column("line_count"))), _SE),
    hashed=None,
    needed=("stock_code",),
)

LAYOUTS = {layout.id: layout for layout in (GL_830, GL_821, INVOICES_810, PURCHASE_ORDERS_850, ITEMS_832)}
