"""SYSPRO's tables that are read: keys, columns and their types.

Types are those of SYSPRO 8's tables as far as they are known, else those of columns of the same name elsewhere. A site
that lacks a column is read without it, and its values are null; a missing key column is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from tieout.odata.schema import FieldType

_T, _N, _I, _D = FieldType.TEXT, FieldType.NUMBER, FieldType.INTEGER, FieldType.DATE

Value = str | int | Decimal | date
Operator = Literal["eq", "ne", "gt", "ge", "lt", "le"]


@dataclass(frozen=True)
class Table:
    """A table: its name, the columns of its primary key in order, and all columns that are of use."""

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, FieldType]

    def __post_init__(self) -> None:
        missing = [name for name in self.key if name not in self.columns]
        if missing or not self.key:
            raise ValueError(f"Table {self.name} needs a key whose columns are declared; {missing} are not.")


@dataclass(frozen=True)
class Condition:
    """`column operator value`. A date is compared with the date as written, whatever time zone is behind it."""

    column: str
    operator: Operator
    value: Value


@dataclass(frozen=True)
class TableRead:
    """What to read of a table, always in the order of its key.

    Attributes:
        table: The table.
        where: Conditions that all hold.
        columns: Wanted columns besides the key; None for all that are declared.
        raw: Whether each record's original bytes come along, as `_raw`.
    """

    table: Table
    where: tuple[Condition, ...] = ()
    columns: tuple[str, ...] | None = None
    raw: bool = True
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        """Refuses what the table does not have.

        Raises:
            ValueError: An unknown column, or a value that does not fit its column's type.
        """
        declared = self.table.columns
        wanted = tuple(declared) if self.columns is None else self.columns
        asked = {condition.column for condition in self.where}
        unknown = [name for name in (*wanted, *asked) if name not in declared]
        if unknown:
            raise ValueError(f"Table {self.table.name} has no column {', '.join(unknown)}.")
        for condition in self.where:
            _check_value(condition, declared[condition.column])
        needed = {*self.table.key, *wanted, *asked}
        object.__setattr__(self, "_names", tuple(name for name in declared if name in needed))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that are asked for, in the table's order: the wanted ones, the key, and those of conditions."""
        return self._names


def _check_value(condition: Condition, kind: FieldType) -> None:
    value = condition.value
    fits = {
        _T: isinstance(value, str),
        _N: isinstance(value, int | Decimal) and not isinstance(value, bool),
        _I: isinstance(value, int) and not isinstance(value, bool),
        _D: type(value) is date,
    }[kind]
    if not fits:
        raise ValueError(f"{condition.column} is {kind.value}; {value!r} cannot be compared with it.")


def _declare(name: str, key: str, columns: str) -> Table:
    """`columns` as `Name` (text), `Name:n` (number), `Name:i` (integer) or `Name:d` (date)."""
    kinds = {"": _T, "n": _N, "i": _I, "d": _D}
    pairs = (word.partition(":") for word in columns.split())
    return Table(name, tuple(key.split()), {column: kinds[kind] for column, _, kind in pairs})


GEN_JOURNAL_CTL = _declare(
    "GenJournalCtl", "GlYear GlPeriod GlJournal",
    """GlYear:i GlPeriod:i GlJournal:i JournalDate:d PostDate:d NumOfEntries:i DebitAmount:n CreditAmount:n
    JnlPostingType Source JournalSource JnlStatus JnlPrintFlag Operator Reference AuthorisedBy PostedBy Authorised
    Notation""",
)  # fmt: skip
GEN_JOURNAL_DETAIL = _declare(
    "GenJournalDetail", "GlYear GlPeriod Journal EntryNumber",
    """GlYear:i GlPeriod:i Journal:i EntryNumber:i EntryType GlCode Reference Comment EntryValue:n EntryDate:d
    EntryPosted InterCompanyFlag Company CurrencyValue:n AnalysisEntry Source""",
)  # fmt: skip
GEN_TRANSACTION = _declare(
    "GenTransaction", "Company GlCode GlYear GlPeriod GlLine",
    """Company GlCode GlYear:i GlPeriod:i GlLine:i Source Journal:i JnlDate:d TransactionDate:d Reference Comment
    EntryValue:n SubModJournal:i""",
)  # fmt: skip
GEN_MASTER = _declare(
    "GenMaster", "Company GlCode",
    """Company GlCode Description AccountType GlGroup CurrentBalance:n PtdDrValue:n PtdCrValue:n PrevPerEndBal:n
    ControlAccFlag AccOnHldFlag""",
)  # fmt: skip
AP_INVOICE = _declare(
    "ApInvoice", "Supplier Invoice",
    """Supplier Invoice InvoiceDate:d DueDate:d OrigInvValue:n OrigDiscValue:n MthInvBal1:n MthInvBal2:n MthInvBal3:n
    Currency PostCurrency ConvRate:n MulDiv InvoiceYear:i InvoiceMonth:i JournalDate:d PaymentNumber Bank Branch
    Reference InvoiceStatus""",
)  # fmt: skip
AP_JNL_SUMMARY = _declare(
    "ApJnlSummary", "Supplier Invoice TrnYear TrnMonth Journal EntryNumber",
    "Supplier Invoice TrnYear:i TrnMonth:i Journal:i EntryNumber:i TransactionCode InvoiceValue:n",
)  # fmt: skip
AP_JNL_DISTRIB = _declare(
    "ApJnlDistrib", "TrnYear TrnMonth Journal EntryNumber SubEntry",
    """TrnYear:i TrnMonth:i Journal:i EntryNumber:i SubEntry:i ExpenseGlCode ExpenseType DistrValue:n Reference""",
)  # fmt: skip
AP_SUPPLIER = _declare(
    "ApSupplier", "Supplier",
    "Supplier SupplierName SupShortName SupplierClass CurrentBalance:n OnHold TermsCode Currency",
)  # fmt: skip
POR_MASTER_HDR = _declare(
    "PorMasterHdr", "PurchaseOrder",
    """PurchaseOrder Supplier OrderStatus OrderEntryDate:d OrderDueDate:d MemoDate:d DateLastDocPrt:d DatePoCompleted:d
    CancelledFlag ActiveFlag PaymentTerms ShippingInstrs Customer Currency Buyer""",
)  # fmt: skip
POR_MASTER_DETAIL = _declare(
    "PorMasterDetail", "PurchaseOrder Line",
    """PurchaseOrder Line:i LineType MStockCode MStockDes MWarehouse MOrderUom MOrderQty:n MReceivedQty:n MPrice:n
    MPriceUom MForeignPrice:n MSupCatalogue MGlCode MOrigDueDate:d MLatestDueDate:d MLastReceiptDat:d MCompleteFlag
    MTaxCode MRequisition NComment""",
)  # fmt: skip
INV_MASTER = _declare(
    "InvMaster", "StockCode",
    "StockCode Description LongDesc StockUom Mass:n ProductClass Supplier TaxCode Buyer DateStkAdded:d",
)  # fmt: skip

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        GEN_JOURNAL_CTL, GEN_JOURNAL_DETAIL, GEN_TRANSACTION, GEN_MASTER, AP_INVOICE, AP_JNL_SUMMARY, AP_JNL_DISTRIB,
        AP_SUPPLIER, POR_MASTER_HDR, POR_MASTER_DETAIL, INV_MASTER,
    )
}  # fmt: skip
"""All tables by name."""
