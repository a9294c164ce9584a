"""The general ledger: journal entries are posted, cancelled and corrected here, and approvals wait here.

What is checked, in SAP's order: dates and periods, series, every line, exchange rates, balance in foreign, local and
system currency and per branch. Nothing is stored before everything is checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.sap_b1.bodies import Values, check_values
from sandbox.sap_b1.errors import field_not_updatable, no_such_key, refused, unsupported_action
from sandbox.sap_b1.journal_lines import ZERO, Line, build_line, check_project, line_error
from sandbox.sap_b1.money import CURRENCY_DECIMALS, amount, rounded
from sandbox.sap_b1.schema import ENTITY_SETS
from sandbox.sap_b1.table import Record, copy_of

if TYPE_CHECKING:
    from sandbox.sap_b1.company import Company

ENTITY = ENTITY_SETS["JournalEntries"]
LINES = "JournalEntryLines"
SERIES = 17

_UNBALANCED = "Unbalanced Transaction"
_ASSIGNED = ("JdtNum", "Number", "Original", "OriginalJournal", "BaseReference")
_HEADER_CHANGES = ("Memo", "Reference", "Reference2", "Reference3", "DueDate")
_LINE_CHANGES = ("LineMemo", "Reference1", "Reference2", "AdditionalReference", "DueDate")
_SIDES = (("Debit", "Credit"), ("FCDebit", "FCCredit"), ("DebitSys", "CreditSys"))


@dataclass
class PostingRules:
    """Where companies, builds and sources differ.

    Attributes:
        negative_amounts: Whether a negative debit is taken, as a setting of the company allows.
        partner_currency: Whether a business partner of one currency refuses postings in another foreign one.
        branches: With branches every line names one, and each branch balances by itself.
        reversals_keep_references: Whether the entry that reverses another carries its references.
    """

    negative_amounts: bool = False
    partner_currency: bool = False
    branches: tuple[int, ...] = ()
    reversals_keep_references: bool = True


class Journal:
    """Posts to one company's books. Callers hold the company's lock."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._parked: dict[int, Values] = {}

    def checked(self, body: dict[str, Any]) -> Values:
        """A body of Python values as those of a request. Raises ServiceLayerError as a request's would."""
        return check_values(body, ENTITY)

    def post(self, values: Values) -> Record:
        """Posts an entry.

        Args:
            values: The body of `POST JournalEntries`, read by `bodies`.

        Raises:
            ServiceLayerError: As the Service Layer refuses it; nothing is stored then.
        """
        return self._store(self.prepare(values))

    def prepare(self, values: Values) -> Record:
        """The entry as it would be stored, but for its numbers; checked completely."""
        header = self._header(values)
        sent = values.get(LINES) or []
        if not sent:
            raise refused(-5002, "Journal entry has no lines  [JDT1.Account]")
        lines = [build_line(self._company, number, line, header) for number, line in enumerate(sent, start=1)]
        self._translate(lines, header["ReferenceDate"])
        self._translate_to_system(lines, header["ReferenceDate"])
        self._check_balance(lines)
        _contra_accounts(lines)
        header[LINES] = [line.stored() for line in lines]
        return header

    def _header(self, values: Values) -> Record:
        today = self._company.local_now().date()
        own = {name: value for name, value in values.items() if name not in (*_ASSIGNED, LINES)}
        header: Record = {**ENTITY.blank(), **own}
        header["ReferenceDate"] = header["ReferenceDate"] or today.isoformat()
        for name in ("DueDate", "TaxDate", "VatDate"):
            header[name] = header[name] or header["ReferenceDate"]
        for name in ("UseAutoStorno", "AutoVAT", "StampTax", "AdjustTransaction"):
            header[name] = header[name] or "tNO"
        if header["AutoVAT"] == "tYES":
            raise refused(-5002, "AutoVAT is not simulated; send the tax lines and AutoVAT tNO  [OJDT.AutoVAT]")
        self._company.periods.check(header["ReferenceDate"], today)
        header["Series"] = header["Series"] or SERIES
        if header["Series"] != SERIES:
            raise refused(-10, f"To generate this document, first define the numbering series  [OJDT.Series] , "
                               f"'{header['Series']}'")  # fmt: skip
        if header["ProjectCode"]:
            check_project(self._company, header["ProjectCode"], header["ReferenceDate"], "[OJDT.Project]")
        return header

    def _translate(self, lines: Sequence[Line], day: str) -> None:
        """Works out local amounts that were not sent."""
        company, local = self._company, self._company.local_currency
        untold = [line for line in lines if line.net is None]
        for line in lines:
            if line.currency is not None:
                rate = company.rates.needed(line.currency, day)
                line.net = rounded(line.foreign * rate, local) if line.net is None else line.net
        one_currency = len({line.currency for line in lines}) == 1
        if len(untold) == len(lines) and one_currency and not sum((line.foreign for line in lines), ZERO):
            # SAP balances what it works out itself; public sources do not say on which line.
            difference = sum((line.net or ZERO for line in lines), ZERO)
            lines[-1].net = (lines[-1].net or ZERO) - _made_by_rounding(difference, len(lines), local)

    def _translate_to_system(self, lines: Sequence[Line], day: str) -> None:
        """Works out system amounts that were not sent."""
        system = self._company.system_currency
        rate = self._company.rates.needed(system, day)
        untold = [line for line in lines if line.system is None]
        for line in untold:
            line.system = rounded((line.net or ZERO) / rate, system)
        if len(untold) == len(lines):
            difference = sum((line.system or ZERO for line in lines), ZERO)
            lines[-1].system = (lines[-1].system or ZERO) - _made_by_rounding(difference, len(lines), system)

    def _check_balance(self, lines: Sequence[Line]) -> None:
        currencies = {line.currency for line in lines}
        if len(currencies) == 1 and sum((line.foreign for line in lines), ZERO):
            raise refused(-5002, _UNBALANCED)
        if sum((line.net or ZERO for line in lines), ZERO) or sum((line.system or ZERO for line in lines), ZERO):
            raise refused(-5002, _UNBALANCED)
        if self._company.rules.branches:
            self._check_branches(lines)

    def _check_branches(self, lines: Sequence[Line]) -> None:
        by_branch: dict[int, Decimal] = defaultdict(Decimal)
        for line in lines:
            branch = line.record["BPLID"]
            if branch not in self._company.rules.branches:
                raise line_error(line.number, "BPLId", "Specify an active branch", branch or "")
            by_branch[branch] += line.net or ZERO
        if any(by_branch.values()):
            raise refused(-5002, _UNBALANCED)

    def _store(self, record: Record) -> Record:
        table = self._company.tables["JournalEntries"]
        number = table.next_key()
        record.update(JdtNum=number, Number=number, OriginalJournal="ttJournalEntry")
        record["Original"] = record["Original"] or number
        record["BaseReference"] = str(record["Original"])
        table.put(record)
        for line in record[LINES]:
            self._move_balances(line)
        return record

    def _move_balances(self, line: Record) -> None:
        net = amount(line["Debit"]) - amount(line["Credit"])
        for entity_set, key, name in (
            ("ChartOfAccounts", line["AccountCode"], "Balance"),
            ("BusinessPartners", line["ShortName"], "CurrentAccountBalance"),
        ):
            table = self._company.tables[entity_set]
            row = table.rows.get(key)
            if row is not None:
                table.put({**row, name: float(amount(row[name]) + net)})

    def cancel(self, jdt_num: int) -> Record:
        """Reverses an entry on its own posting date and returns the reversing one.

        Raises:
            ServiceLayerError: 404/-2028 for an unknown entry, -5006 for one that is reversed or reverses another,
                or the period is locked.
        """
        entry = self._entry(jdt_num)
        if entry["Original"] != jdt_num or self._reversal_of(jdt_num) is not None:
            raise unsupported_action()
        day = entry["ReferenceDate"]
        self._company.periods.check(day, self._company.local_now().date())
        mirror = copy_of(entry)
        mirror.update(Memo=f"Reversal - {entry['Memo'] or jdt_num}"[:50], Original=jdt_num, StornoDate=day)
        if not self._company.rules.reversals_keep_references:
            mirror.update(Reference=None, Reference2=None, Reference3=None)
        for line in mirror[LINES]:
            for debit, credit in _SIDES:
                line[debit], line[credit] = line[credit], line[debit]
        self._company.tables["JournalEntries"].put({**entry, "StornoDate": day})
        return self._store(mirror)

    def _entry(self, jdt_num: int) -> Record:
        entry = self._company.tables["JournalEntries"].rows.get(jdt_num)
        if entry is None:
            raise no_such_key(jdt_num)
        return entry

    def _reversal_of(self, jdt_num: int) -> Record | None:
        rows = self._company.tables["JournalEntries"].rows.values()
        return next((row for row in rows if row["Original"] == jdt_num and row["JdtNum"] != jdt_num), None)

    def change(self, jdt_num: int, values: Values) -> None:
        """Changes what may change of a posted entry: memo, references and due dates, in the header and in lines.

        Raises:
            ServiceLayerError: 404/-2028 for an unknown entry, -1029 for any other property.
        """
        entry = copy_of(self._entry(jdt_num))
        for name, value in values.items():
            if name == LINES:
                for line in value:
                    _change_line(entry, line)
            elif name in _HEADER_CHANGES:
                entry[name] = value
            elif name not in _ASSIGNED and not _same(entry[name], value):
                raise field_not_updatable()
        self._company.tables["JournalEntries"].put(entry)

    def park(self, values: Values) -> int:
        """Makes a draft of a sound entry, as an approval procedure does; returns the draft's DocEntry.

        The draft is a document like any other, which has no third reference: the entry's is in `NumAtCard`.
        """
        entry = self.prepare(values)
        partner = next((line["ShortName"] for line in entry[LINES] if line["ControlAccount"]), None)
        total = sum((amount(line["Debit"]) for line in entry[LINES]), ZERO)
        key = int(
            self._company.insert(
                "Drafts",
                {
                    "DocType": "dDocument_Service", "DocObjectCode": "oJournalEntries",
                    "DocDate": entry["ReferenceDate"],
                    "DocDueDate": entry["DueDate"], "TaxDate": entry["TaxDate"], "CardCode": partner,
                    "DocTotal": float(total), "DocCurrency": self._company.local_currency, "JournalMemo": entry["Memo"],
                    "Reference1": entry["Reference"], "Reference2": entry["Reference2"],
                    "NumAtCard": entry["Reference3"], "DocumentStatus": "bost_Open", "Cancelled": "tNO",
                    "AuthorizationStatus": "dasPending",
                },
            )
        )  # fmt: skip
        self._parked[key] = values
        return key

    def approve(self, doc_entry: int) -> Record:
        """Posts the entry of a draft and closes the draft. Raises KeyError for one that does not wait."""
        entry = self.post(self._parked[doc_entry])
        del self._parked[doc_entry]
        self._company.update(
            "Drafts", doc_entry, {"DocumentStatus": "bost_Close", "AuthorizationStatus": "dasGenerated"}
        )
        return entry

    def reject(self, doc_entry: int) -> None:
        """Removes a draft. Raises KeyError for one that does not wait."""
        del self._parked[doc_entry]
        self._company.delete("Drafts", doc_entry)

    def balance(self, code: str) -> Decimal:
        """Debits less credits on an account or a business partner, in local currency."""
        total = ZERO
        for entry in self._company.tables["JournalEntries"].rows.values():
            for line in entry[LINES]:
                if code in (line["AccountCode"], line["ShortName"]):
                    total += amount(line["Debit"]) - amount(line["Credit"])
        return rounded(total, self._company.local_currency)


def _made_by_rounding(difference: Decimal, lines: int, currency: str) -> Decimal:
    """The difference where rounding can have made it, half a unit per line; zero for a larger one."""
    unit = Decimal(1).scaleb(-CURRENCY_DECIMALS[currency])
    return difference if abs(difference) <= unit / 2 * lines else ZERO


def _contra_accounts(lines: Sequence[Line]) -> None:
    """Every line names the first one of the other side."""
    first = {side: next((line for line in lines if line.side == side), None) for side in (1, -1)}
    for line in lines:
        other = first[-line.side]
        line.record["ContraAccount"] = other.record["ShortName"] if other is not None else None


def _change_line(entry: Record, values: Values) -> None:
    line = next((line for line in entry[LINES] if line["Line_ID"] == values.get("Line_ID")), None)
    if line is None:
        raise field_not_updatable()
    for name, value in values.items():
        if name in _LINE_CHANGES:
            line[name] = value
        elif name != "Line_ID" and not _same(line[name], value):
            raise field_not_updatable()


def _same(stored: Any, sent: Any) -> bool:
    return amount(stored) == amount(float(sent)) if isinstance(sent, Decimal) else bool(stored == sent)
