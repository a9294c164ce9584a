"""The books of a SYSPRO company, made by formula from a seed: the same seed gives the same books.

G/L codes are `account-cost centre-sub-account`. Journal numbers start anew in every period. Every journal balances;
every 25th is held (JnlStatus `H`). Debits are positive.
"""

from __future__ import annotations

import base64
import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from sandbox.syspro.table import BINARY, DATE, DECIMAL, INTEGER, NO_DATE, SCALE, Column, Table

COMPANY = "EDU1"
ACCOUNTS = ("1100", "1200", "1500", "2100", "2200", "3000", "4000", "4100", "5000", "6000", "6100", "7000")
COST_CENTRES = ("10", "20", "30", "40", "50", "60")
SUB_ACCOUNTS = ("000", "100", "200")
CODES = tuple(f"{a}-{c}-{s}" for a in ACCOUNTS for c in COST_CENTRES for s in SUB_ACCOUNTS)
_COMMENTS = (
    "Monthly charge", "Café supplies – November", "Correction of an earlier posting", "Freight € paid by agent",
    "Accrual", "Payroll", "Müller & Söhne", "", "Stock adjustment", 'Order "A" <urgent>',
)  # fmt: skip
PLANTED = ("unmatched_code", "unbalanced", "many_decimals", "period_13")


@dataclass(frozen=True)
class BookSizes:
    """How much there is.

    Attributes:
        first_year: The first of the years, whose periods are calendar months.
        years: How many.
        lines: G/L lines per period.
        large_period: `(year, period)` that has `large_lines` instead.
        large_lines: G/L lines of the large period.
        suppliers: Suppliers; also as many invoices each as 8, and 3 purchase orders.
        items: Stock items.
    """

    first_year: int = 2025
    years: int = 2
    lines: int = 320
    large_period: tuple[int, int] | None = None
    large_lines: int = 0
    suppliers: int = 30
    items: int = 60


def generate_books(seed: int = 1, sizes: BookSizes | None = None, *, planted: Sequence[str] = ()) -> Books:
    """Makes the books; `planted` names bad records, see `PLANTED`."""
    unknown = [name for name in planted if name not in PLANTED]
    if unknown:
        raise ValueError(f"Unknown planted records {', '.join(unknown)}; known are {', '.join(PLANTED)}.")
    books = Books(seed, sizes or BookSizes())
    for name in planted:
        books.plant(name)
    return books


class Books:
    """All tables of a company, and the figures that a reader must come to."""

    def __init__(self, seed: int, sizes: BookSizes) -> None:
        self.company = COMPANY
        self.sizes = sizes
        random = np.random.default_rng(seed)
        headers, details = _ledger(random, sizes)
        self.tables: dict[str, Table] = {
            "GenJournalCtl": headers,
            "GenJournalDetail": details,
            "GenMaster": _chart(),
            **_purchasing(random, sizes),
            "InvMaster": _items(sizes),
        }
        self._transactions: tuple[int, Table] | None = None

    def table(self, name: str) -> Table:
        """A table by name. Raises KeyError."""
        return self._gen_transaction() if name == "GenTransaction" else self.tables[name]

    @property
    def names(self) -> list[str]:
        """Names of all tables."""
        return [*self.tables, "GenTransaction"]

    # -- what a reader must come to -----------------------------------------------------------------------------------

    def control_totals(self, year: int, period: int) -> dict[str, Any]:
        """Lines, debit and credit (positive) of the posted journals of a period, and the balance per G/L code."""
        detail = self.tables["GenJournalDetail"]
        mask = (detail.array("GlYear") == year) & (detail.array("GlPeriod") == period)
        mask &= detail.array("EntryPosted") == "Y"
        values = detail.array("EntryValue")[mask]
        codes, inverse = np.unique(detail.array("GlCode")[mask].astype(str), return_inverse=True)
        sums = np.zeros(len(codes), dtype=np.int64)
        np.add.at(sums, inverse, values)
        return {
            "lines": int(mask.sum()),
            "debit": _money(values[values > 0].sum()),
            "credit": _money(-values[values < 0].sum()),
            "by_code": {str(code): _money(total) for code, total in zip(codes, sums, strict=True)},
        }

    # -- what happens in the company ----------------------------------------------------------------------------------

    def post_journal(
        self, year: int, period: int, entries: Sequence[tuple[str, Any]], *, day: date | None = None, status: str = "P"
    ) -> int:
        """Posts a journal of (G/L code, value) entries under the period's next number, which it returns."""
        header, detail = self.tables["GenJournalCtl"], self.tables["GenJournalDetail"]
        inside = (header.array("GlYear") == year) & (header.array("GlPeriod") == period)
        number = int(header.array("GlJournal")[inside].max(initial=0)) + 1
        on = (day or _last_day(year, period)).isoformat()
        values = [Decimal(str(value)) for _, value in entries]
        header.insert({
            "GlYear": year, "GlPeriod": period, "GlJournal": number, "JournalDate": on, "PostDate": on,
            "NumOfEntries": len(entries), "DebitAmount": sum(v for v in values if v > 0),
            "CreditAmount": -sum(v for v in values if v < 0), "JnlPostingType": "N", "Source": "GL",
            "JournalSource": "GJ", "JnlStatus": status, "JnlPrintFlag": "Y", "Operator": "ADMIN",
            "Reference": "Late posting", "Notation": "",
        })  # fmt: skip
        detail.insert(*(
            {
                "GlYear": year, "GlPeriod": period, "Journal": number, "EntryNumber": position, "EntryType": "N",
                "GlCode": code, "Reference": f"LATE-{number}-{position}", "Comment": "Late posting",
                "EntryValue": value, "EntryDate": on, "EntryPosted": "Y" if status == "P" else "N",
                "InterCompanyFlag": "N", "Company": COMPANY, "CurrencyValue": value, "Source": "GL",
            }
            for position, ((code, _), value) in enumerate(zip(entries, values, strict=True), 1)
        ))  # fmt: skip
        return number

    def plant(self, name: str) -> int:
        """Posts a journal with something wrong in the first year's first period; returns its number."""
        year = self.sizes.first_year
        match name:
            case "unmatched_code":
                return self.post_journal(year, 1, [("SUSPENSE", "12.50"), ("1100-10-000", "-12.50")])
            case "unbalanced":
                return self.post_journal(year, 1, [("4000-20-100", "100"), ("1100-10-000", "-99.99")])
            case "many_decimals":
                return self.post_journal(year, 1, [("4000-20-100", "10.12345"), ("1100-10-000", "-10.12345")])
        return self.post_journal(year, 13, [("6000-30-000", "500"), ("2200-30-000", "-500")])

    def _gen_transaction(self) -> Table:
        detail = self.tables["GenJournalDetail"]
        if self._transactions is None or self._transactions[0] != detail.version:
            self._transactions = (detail.version, _transactions(detail))
        return self._transactions[1]


def _money(value: Any) -> Decimal:
    return (Decimal(int(value)) / SCALE).normalize() + Decimal("0.00")


def _last_day(year: int, period: int) -> date:
    month = min(period, 12)
    return date(year, month, calendar.monthrange(year, month)[1])


def _objects(values: Sequence[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _always(text: str) -> Callable[[np.ndarray], list[str]]:
    return lambda numbers: [text] * len(numbers)


def _numbered(form: str) -> Callable[[np.ndarray], list[str]]:
    return lambda numbers: [form % number for number in numbers.tolist()]


def _row_version(numbers: np.ndarray) -> list[str]:
    return [base64.b64encode((number * 7 + 2001).to_bytes(8, "big")).decode() for number in numbers.tolist()]


def _columns(text: str) -> list[Column]:
    """`Name`, `Name:i`, `Name:d`, `Name:n2` (decimal, two places), `Name:c3` (character(3)), `Name:b` (rowversion)."""
    columns = []
    for word in text.split():
        name, _, kind = word.partition(":")
        number = int(kind[1:] or 0)
        kinds = {"": "text", "i": INTEGER, "d": DATE, "n": DECIMAL, "c": "text", "b": BINARY}
        columns.append(
            Column(name, kinds[kind[:1]], number if kind[:1] == "n" else 0, number if kind[:1] == "c" else 0)
        )
    return columns


# -- general ledger ------------------------------------------------------------------------------------------------


def _ledger(random: np.random.Generator, sizes: BookSizes) -> tuple[Table, Table]:
    parts = []
    for year in range(sizes.first_year, sizes.first_year + sizes.years):
        for period in range(1, 13):
            large = (year, period) == sizes.large_period
            parts.append(_period(random, year, period, sizes.large_lines if large else sizes.lines))
    lines = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
    heads = {name: np.concatenate([part[1][name] for part in parts]) for name in parts[0][1]}
    return _journal_headers(heads), _journal_lines(lines)


def _period(random: np.random.Generator, year: int, period: int, lines: int) -> tuple[dict[str, Any], dict[str, Any]]:
    count = min(lines, 60)
    lengths = random.integers(2, count, size=max(1, 2 * lines // count + 1)) if count > 2 else np.array([2])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    starts = starts[starts <= lines - 2]
    lengths = np.diff(np.append(starts, lines))
    journals = np.arange(1, len(starts) + 1)
    journal = np.repeat(journals, lengths)
    values = random.integers(1, 5_000_00, size=lines) * random.choice([-1, 1], size=lines) * (SCALE // 100)
    last = np.append(starts[1:], lines) - 1
    values[last] -= np.add.reduceat(values, starts)
    held = journals % 25 == 0
    first_day = date(year, period, 1).toordinal()
    span = calendar.monthrange(year, period)[1]
    days = first_day + (journals * 7) % span
    entry = np.arange(lines) - np.repeat(starts, lengths) + 1
    dates = np.repeat(days, lengths) - entry % 3
    dates[np.arange(lines) % 97 == 96] = NO_DATE
    detail = {
        "GlYear": np.full(lines, year), "GlPeriod": np.full(lines, period), "Journal": journal, "EntryNumber": entry,
        "GlCode": _objects(CODES)[random.integers(0, len(CODES), size=lines)], "EntryValue": values,
        "EntryDate": dates, "EntryPosted": _objects(("Y", "N"))[np.repeat(held, lengths).astype(int)],
    }  # fmt: skip
    header = {
        "GlYear": np.full(len(journals), year), "GlPeriod": np.full(len(journals), period), "GlJournal": journals,
        "JournalDate": days, "PostDate": days, "NumOfEntries": lengths,
        "DebitAmount": np.add.reduceat(np.maximum(values, 0), starts),
        "CreditAmount": -np.add.reduceat(np.minimum(values, 0), starts),
        "JnlStatus": _objects(("P", "H"))[held.astype(int)],
    }  # fmt: skip
    return detail, header


def _journal_headers(stored: dict[str, Any]) -> Table:
    formulas = {
        "JnlPostingType": _always("N"), "Source": _always("GL"), "JournalSource": _always("GJ"),
        "JnlPrintFlag": _always("Y"), "Operator": _always("ADMIN"), "Reference": _numbered("Journal %d"),
        "AuthorisedBy": _always(""), "PostedBy": _always("ADMIN"), "Authorised": _always("Y"),
        "Notation": _always(""), "TimeStamp": _row_version,
    }  # fmt: skip
    columns = _columns(
        "GlYear:i GlPeriod:i GlJournal:i JournalDate:d PostDate:d NumOfEntries:i DebitAmount:n2 CreditAmount:n2 "
        "JnlPostingType:c1 Source:c2 JournalSource:c2 JnlStatus:c1 JnlPrintFlag:c1 Operator Reference AuthorisedBy "
        "PostedBy Authorised:c1 Notation TimeStamp:b"
    )
    return Table("GenJournalCtl", ("GlYear", "GlPeriod", "GlJournal"), columns, stored, formulas)


def _journal_lines(stored: dict[str, Any]) -> Table:
    comments = _objects(_COMMENTS)
    formulas = {
        "EntryType": _always("N"), "Reference": _numbered("REF-%07d"),
        "Comment": lambda numbers: list(comments[numbers % len(comments)]), "InterCompanyFlag": _always("N"),
        "Company": _always(COMPANY), "AnalysisEntry": _always("0"), "Source": _always("GL"),
        "TimeStamp": _row_version,
    }  # fmt: skip
    columns = _columns(
        "GlYear:i GlPeriod:i Journal:i EntryNumber:i EntryType:c1 GlCode:c20 Reference Comment EntryValue:n2 "
        "EntryDate:d EntryPosted:c1 InterCompanyFlag:c1 Company:c4 CurrencyValue:n2 AnalysisEntry Source:c2 "
        "TimeStamp:b"
    )
    stored = {**stored, "CurrencyValue": stored["EntryValue"]}
    return Table("GenJournalDetail", ("GlYear", "GlPeriod", "Journal", "EntryNumber"), columns, stored, formulas)


def _transactions(detail: Table) -> Table:
    """The posted lines, numbered within G/L code, year and period."""
    rows = np.flatnonzero(detail.array("EntryPosted") == "Y")
    codes, code = np.unique(detail.array("GlCode")[rows].astype(str), return_inverse=True)
    year, period = detail.array("GlYear")[rows], detail.array("GlPeriod")[rows]
    order = np.lexsort([np.arange(len(rows)), period, year, code])
    rows, code, year, period = rows[order], code[order], year[order], period[order]
    group = (code * 10_000 + year) * 100 + period
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1])) if len(group) else np.array([], dtype=int)
    lengths = np.diff(np.append(starts, len(group)))
    line = np.arange(len(group)) - np.repeat(starts, lengths) + 1
    dates = detail.array("EntryDate")[rows]
    stored = {
        "GlCode": _objects(codes.tolist())[code], "GlYear": year, "GlPeriod": period, "GlLine": line,
        "Journal": detail.array("Journal")[rows], "SubModJournal": np.zeros(len(rows), dtype=np.int64),
        "JnlDate": dates, "TransactionDate": dates, "EntryValue": detail.array("EntryValue")[rows],
    }  # fmt: skip
    formulas = {
        "Company": _always(COMPANY), "Source": _always("GL"), "TimeStamp": _row_version,
        "Reference": lambda numbers: detail.texts("Reference", rows[numbers]),
        "Comment": lambda numbers: detail.texts("Comment", rows[numbers]),
    }  # fmt: skip
    columns = _columns(
        "Company:c4 GlCode:c20 GlYear:i GlPeriod:i GlLine:i Source:c2 Journal:i JnlDate:d TransactionDate:d Reference "
        "Comment EntryValue:n2 SubModJournal:i TimeStamp:b"
    )
    return Table("GenTransaction", ("Company", "GlCode", "GlYear", "GlPeriod", "GlLine"), columns, stored, formulas)


def _chart() -> Table:
    stored = {"GlCode": _objects(CODES), "CurrentBalance": np.zeros(len(CODES), dtype=np.int64)}
    formulas = {
        "Company": _always(COMPANY), "Description": _numbered("Account %d"), "AccountType": _always("A"),
        "GlGroup": _always("MAIN"), "ControlAccFlag": _always("N"), "AccOnHldFlag": _always("N"),
        "TimeStamp": _row_version,
    }  # fmt: skip
    columns = _columns(
        "Company:c4 GlCode:c20 Description AccountType:c1 GlGroup CurrentBalance:n2 ControlAccFlag:c1 AccOnHldFlag:c1 "
        "TimeStamp:b"
    )
    return Table("GenMaster", ("Company", "GlCode"), columns, stored, formulas)


# -- purchasing and stock ------------------------------------------------------------------------------------------


def _purchasing(random: np.random.Generator, sizes: BookSizes) -> dict[str, Table]:
    suppliers = [f"{number:07d}" for number in range(1, sizes.suppliers + 1)]
    count = sizes.suppliers * 8
    first = date(sizes.first_year, 1, 1).toordinal()
    issued = first + (np.arange(count) * 365 * sizes.years) // max(count, 1)
    invoices = {
        "Supplier": _objects(suppliers)[np.arange(count) % len(suppliers)],
        "Invoice": _objects([f"INV{number:06d}" for number in range(1, count + 1)]),
        "InvoiceDate": issued, "DueDate": issued + 30, "JournalDate": issued,
        "OrigInvValue": random.integers(1_00, 9_000_00, size=count) * (SCALE // 100),
        "InvoiceYear": np.array([date.fromordinal(day).year for day in issued.tolist()], dtype=np.int64),
        "InvoiceMonth": np.array([date.fromordinal(day).month for day in issued.tolist()], dtype=np.int64),
    }  # fmt: skip
    invoices["MthInvBal1"] = invoices["OrigInvValue"]
    return {
        "ApSupplier": Table(
            "ApSupplier", ("Supplier",),
            _columns("Supplier SupplierName SupShortName SupplierClass CurrentBalance:n2 OnHold:c1 TermsCode:c2 "
                     "Currency:c3 TimeStamp:b"),
            {"Supplier": _objects(suppliers), "CurrentBalance": np.zeros(len(suppliers), dtype=np.int64)},
            {
                "SupplierName": lambda numbers: [f"Fournisseur Né {number} € Ltd" for number in numbers.tolist()],
                "SupShortName": _numbered("SUP %d"), "SupplierClass": _always("A"), "OnHold": _always("N"),
                "TermsCode": _always("30"), "Currency": _always("USD"), "TimeStamp": _row_version,
            },
        ),
        "ApInvoice": Table(
            "ApInvoice", ("Supplier", "Invoice"),
            _columns("Supplier Invoice InvoiceDate:d DueDate:d OrigInvValue:n2 MthInvBal1:n2 Currency:c3 "
                     "InvoiceYear:i InvoiceMonth:i JournalDate:d Reference InvoiceStatus:c1 TimeStamp:b"),
            invoices,
            {
                "Currency": lambda numbers: ["USD" if n % 5 else "EUR" for n in numbers.tolist()],
                "Reference": _numbered("AP %d"), "InvoiceStatus": _always("O"), "TimeStamp": _row_version,
            },
        ),
        **_orders(random, sizes, suppliers),
    }  # fmt: skip


def _orders(random: np.random.Generator, sizes: BookSizes, suppliers: list[str]) -> dict[str, Table]:
    count = sizes.suppliers * 3
    orders = [f"{number:015d}" for number in range(1, count + 1)]
    entered = date(sizes.first_year, 1, 1).toordinal() + (np.arange(count) * 365 * sizes.years) // max(count, 1)
    line = np.tile(np.arange(1, 4), count)
    return {
        "PorMasterHdr": Table(
            "PorMasterHdr", ("PurchaseOrder",),
            _columns("PurchaseOrder Supplier OrderStatus:c1 OrderEntryDate:d OrderDueDate:d CancelledFlag:c1 "
                     "ActiveFlag:c1 PaymentTerms Currency:c3 Buyer TimeStamp:b"),
            {
                "PurchaseOrder": _objects(orders), "Supplier": _objects(suppliers)[np.arange(count) % len(suppliers)],
                "OrderStatus": _objects(("1", "4", "9", "*"))[np.arange(count) % 4],
                "OrderEntryDate": entered, "OrderDueDate": entered + 14,
            },
            {
                "CancelledFlag": _always("N"), "ActiveFlag": _always("Y"), "PaymentTerms": _always("30"),
                "Currency": _always("USD"), "Buyer": _always("BUY1"), "TimeStamp": _row_version,
            },
        ),
        "PorMasterDetail": Table(
            "PorMasterDetail", ("PurchaseOrder", "Line"),
            _columns("PurchaseOrder Line:i LineType:c1 MStockCode MStockDes MWarehouse MOrderUom MOrderQty:n6 "
                     "MReceivedQty:n6 MPrice:n5 MPriceUom MGlCode MLatestDueDate:d MCompleteFlag:c1 TimeStamp:b"),
            {
                "PurchaseOrder": np.repeat(_objects(orders), 3), "Line": line,
                "MOrderQty": random.integers(1, 500, size=len(line)) * SCALE,
                "MReceivedQty": np.zeros(len(line), dtype=np.int64),
                "MPrice": random.integers(1, 90_000, size=len(line)) * (SCALE // 1000),
                "MLatestDueDate": np.repeat(entered + 14, 3),
            },
            {
                "LineType": _always("1"), "MStockCode": lambda numbers: [
                    f"A{n % sizes.items + 1:05d}" for n in numbers.tolist()
                ],
                "MStockDes": _numbered("Part %d"), "MWarehouse": _always("E"), "MOrderUom": _always("EA"),
                "MPriceUom": _always("EA"), "MGlCode": _always("1500-10-000"), "MCompleteFlag": _always("N"),
                "TimeStamp": _row_version,
            },
        ),
    }  # fmt: skip


def _items(sizes: BookSizes) -> Table:
    count = sizes.items
    added = date(sizes.first_year - 1, 1, 1).toordinal() + np.arange(count)
    stored = {
        "StockCode": _objects([f"A{number:05d}" for number in range(1, count + 1)]),
        "Mass": np.arange(1, count + 1) * (SCALE // 8), "DateStkAdded": added,
    }  # fmt: skip
    formulas = {
        "Description": _numbered("Item %d"), "LongDesc": _always(""), "StockUom": _always("EA"),
        "ProductClass": _always("GEN"), "Supplier": _always("0000001"), "TaxCode": _always("A"),
        "Buyer": _always("BUY1"), "TimeStamp": _row_version,
    }  # fmt: skip
    columns = _columns(
        "StockCode Description LongDesc StockUom Mass:n6 ProductClass Supplier TaxCode Buyer DateStkAdded:d TimeStamp:b"
    )
    return Table("InvMaster", ("StockCode",), columns, stored, formulas)
