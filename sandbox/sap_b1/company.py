"""The simulated company's books, and what people do to them while integrations run."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.clock import SandboxClock
from sandbox.sap_b1.documents import Draft, build_document
from sandbox.sap_b1.exchange_rates import ExchangeRates
from sandbox.sap_b1.journal import Journal, PostingRules
from sandbox.sap_b1.money import amount, exchange_rate, rounded
from sandbox.sap_b1.pdf import PNG, one_page_pdf
from sandbox.sap_b1.periods import PostingPeriods
from sandbox.sap_b1.schema import ENTITY_SETS
from sandbox.sap_b1.table import Key, Record, Table, copy_of

_FIRST_NUMBERS = {
    "Invoices": 100_000, "CreditNotes": 300_000, "IncomingPayments": 500_000, "PurchaseOrders": 700_000,
    "Drafts": 900_000,
}  # fmt: skip


class Company:
    """All records of one SAP Business One company.

    Mutations stamp `UpdateDate`/`UpdateTime` with the sandbox clock in the company's own time zone, unless
    `updated_at` says otherwise; they raise `KeyError` for a record that does not exist. Thread-safe.

    Attributes:
        database: The CompanyDB to log in to.
        users: User name → password.
        tables: Entity set → rows.
        planted: Kind of bad record → keys of the invoices that carry it.
        control_accounts: Type of business partner → its control account.
        periods: Which days may be posted to.
        rates: Exchange rates by currency and day.
        rules: What this company is strict about when it posts.
        journal: Posts journal entries.
    """

    def __init__(
        self,
        *,
        database: str = "SBODEMOEU",
        users: dict[str, str] | None = None,
        local_currency: str = "EUR",
        time_zone: str = "UTC",
        clock: SandboxClock | None = None,
        tax_property: str = "VatGroup",
        system_currency: str | None = None,
    ) -> None:
        self.database = database
        self.users = dict(users or {"tieout": "tie-out-1"})
        self.local_currency = local_currency
        self.time_zone = ZoneInfo(time_zone)
        self.clock = clock or SandboxClock()
        self.tax_property = tax_property
        self.lock = threading.RLock()
        self.tables = {name: Table(entity) for name, entity in ENTITY_SETS.items()}
        self.planted: dict[str, list[int]] = {}
        self.system_currency = system_currency or local_currency
        self.control_accounts: dict[str, str] = {}
        self.periods = PostingPeriods()
        self.rates = ExchangeRates(local_currency)
        self.rules = PostingRules()
        self.journal = Journal(self)
        self._files: dict[tuple[int, str], list[str] | bytes] = {}

    def __repr__(self) -> str:
        return f"Company({self.database!r}, {self.counts()})"

    def counts(self) -> dict[str, int]:
        """Entity set → number of records."""
        return {name: len(table) for name, table in self.tables.items()}

    def rows(self, entity_set: str) -> list[Record]:
        """Copies of all records of an entity set, by key."""
        with self.lock:
            table = self.tables[entity_set]
            return [copy_of(table.rows[key]) for key in table.keys]

    def get(self, entity_set: str, key: Key) -> Record:
        """A copy of one record."""
        with self.lock:
            return copy_of(self.tables[entity_set].rows[key])

    def local_now(self) -> datetime:
        """The sandbox's moment on the company's own wall clock."""
        return self.clock.now().astimezone(self.time_zone)

    def insert(self, entity_set: str, values: dict[str, Any], *, at: datetime | None = None) -> Key:
        """Adds a record; integer keys and, for documents, `DocNum` are assigned when absent. Returns the key.

        Args:
            entity_set: Such as `Invoices`.
            values: Properties to set; the rest is null or empty.
            at: Back-dates creation and change; a naive moment is taken as company-local.

        Raises:
            ValueError: The key is missing or already there, or a property is unknown.
        """
        with self.lock:
            table = self.tables[entity_set]
            entity = table.entity
            self._check_names(entity_set, values)
            record = {**entity.blank(), **copy_of(values)}
            if record[entity.key] is None:
                if entity.key_type == "Edm.String":
                    raise ValueError(f"{entity_set}: {entity.key} is missing; give the new record a key.")
                record[entity.key] = table.next_key()
            if record[entity.key] in table.rows:
                raise ValueError(f"{entity_set}({record[entity.key]!r}) is already there; use update().")
            if "DocNum" in record and record["DocNum"] is None:
                record["DocNum"] = self._next_number(entity_set)
            self._stamp(entity_set, record, at, created=True)
            return table.put(record)

    def update(
        self,
        entity_set: str,
        key: Key,
        values: dict[str, Any],
        *,
        updated_at: datetime | None = None,
        touch: bool = True,
    ) -> Record:
        """Changes properties of a record and returns a copy of it as it now is.

        Args:
            entity_set: Such as `BusinessPartners`.
            key: The record's key.
            values: Properties to change; a collection is replaced as a whole.
            updated_at: Back-dates the change; a naive moment is taken as company-local.
            touch: False leaves UpdateDate, UpdateTime and DataVersion as they are, as some side effects in SAP do.
        """
        with self.lock:
            table = self.tables[entity_set]
            self._check_names(entity_set, values)
            if values.get(table.entity.key, key) != key:
                raise ValueError(f"{entity_set}({key!r}): the key itself cannot be changed.")
            return copy_of(self._change(entity_set, key, copy_of(values), updated_at, touch=touch))

    def _change(
        self, entity_set: str, key: Key, values: dict[str, Any], at: datetime | None, *, touch: bool = True
    ) -> Record:
        """`update` without checks and copies, for changes of our own making."""
        table = self.tables[entity_set]
        record = {**table.rows[key], **values}
        if touch:
            self._stamp(entity_set, record, at)
        table.put(record)
        return record

    def delete(self, entity_set: str, key: Key) -> None:
        """Deletes a record for good, as SAP does for business partners, items and drafts: no trace is left."""
        with self.lock:
            self.tables[entity_set].delete(key)

    def add_document(self, entity_set: str, draft: Draft, *, at: datetime | None = None) -> Record:
        """Posts an invoice or credit note that adds up, and returns a copy of it."""
        with self.lock:
            table = self.tables[entity_set]
            record = build_document(
                draft, entity_set=entity_set, doc_entry=table.next_key(), doc_num=self._next_number(entity_set),
                local_currency=self.local_currency, tax_property=self.tax_property,
            )  # fmt: skip
            self._stamp(entity_set, record, at, created=True)
            record["DataVersion"] = 1
            table.put(record)
            return copy_of(record)

    def add_payment(
        self,
        card_code: str,
        applied: Sequence[tuple[int, Decimal]],
        *,
        method: str = "transfer",
        on_account: Decimal = Decimal(0),
        currency: str | None = None,
        reference: str | None = None,
        day: str | None = None,
        at: datetime | None = None,
    ) -> Record:
        """Receives a payment, applies it to invoices and returns a copy of it.

        Args:
            card_code: The customer.
            applied: (invoice's DocEntry, amount in the invoice's own currency); one currency per payment.
            method: `transfer`, `cash`, `check`, `credit_card`, `bill_of_exchange`, or `mixed` (cash and transfer).
            on_account: Amount beyond what is applied, in the payment's currency.
            currency: Needed only when nothing is applied; the local currency otherwise.
            reference: The bank's reference.
            day: Posting date, company-local, `YYYY-MM-DD`; today when absent.
            at: Back-dates the change this makes to the invoices.

        Raises:
            ValueError: More is applied to an invoice than it leaves open, or currencies differ.
        """
        with self.lock:
            invoices = [self.tables["Invoices"].rows[entry] for entry, _ in applied]
            currencies = {invoice["DocCurrency"] for invoice in invoices} or {currency or self.local_currency}
            if len(currencies) > 1:
                raise ValueError(
                    f"One payment cannot settle invoices in {', '.join(sorted(currencies))}; split it by currency."
                )
            own_currency = currencies.pop()
            rows = [
                self._apply(number, entry, part, own_currency, invoice, at)
                for number, ((entry, part), invoice) in enumerate(zip(applied, invoices, strict=True))
            ]
            record = self._payment_header(card_code, own_currency, day, reference)
            record["PaymentInvoices"] = rows
            total = sum((part for _, part in applied), Decimal(0)) + on_account
            self._set_means(record, method, total, own_currency)
            self.tables["IncomingPayments"].put(record)
            return copy_of(record)

    def _apply(
        self, number: int, entry: int, part: Decimal, currency: str, invoice: Record, at: datetime | None
    ) -> Record:
        foreign = currency != self.local_currency
        total, paid = ("DocTotalFc", "PaidToDateFC") if foreign else ("DocTotal", "PaidToDate")
        still_open = amount(invoice[total]) - amount(invoice[paid])
        if part > rounded(still_open, currency):
            raise ValueError(f"Invoices({entry}) leaves {still_open} {currency} open; {part} cannot be applied.")
        rest_local = rounded(amount(invoice["DocTotal"]) - amount(invoice["PaidToDate"]), self.local_currency)
        settles = part == rounded(still_open, currency)
        local = (
            rest_local if settles else rounded(part * exchange_rate(currency, self.local_currency), self.local_currency)
        )
        changes = {"PaidToDate": float(rounded(amount(invoice["PaidToDate"]) + local, self.local_currency))}
        if foreign:
            changes["PaidToDateFC"] = float(rounded(amount(invoice["PaidToDateFC"]) + part, currency))
        status = {"DocumentStatus": "bost_Close"} if settles else {}
        self._change("Invoices", entry, {**changes, **status}, at)
        row = ENTITY_SETS["IncomingPayments"].blank_member("PaymentInvoices")
        row.update(
            LineNum=number, DocEntry=entry, SumApplied=float(local), AppliedFC=float(part) if foreign else 0.0,
            AppliedSys=float(local), DocRate=0.0, DocLine=0, InvoiceType="it_Invoice", DiscountPercent=0.0, PaidSum=0.0,
            InstallmentId=1, TotalDiscount=0.0, TotalDiscountFC=0.0,
        )  # fmt: skip
        return row

    def _payment_header(self, card_code: str, currency: str, day: str | None, reference: str | None) -> Record:
        table = self.tables["IncomingPayments"]
        record = table.entity.blank()
        entry = table.next_key()
        date = day or self.local_now().date().isoformat()
        customer = self.tables["BusinessPartners"].rows.get(card_code, {})
        rows_number = self._next_number("IncomingPayments")
        record.update(
            DocEntry=entry, DocNum=rows_number, DocType="rCustomer", DocTypte="rCustomer", HandWritten="tNO",
            Printed="tNO",
            DocDate=date, TaxDate=date, DueDate=date, VatDate=date, CardCode=card_code,
            CardName=customer.get("CardName"),
            DocCurrency=currency, DocRate=float(exchange_rate(currency, self.local_currency)), LocalCurrency="tNO",
            CurrencyIsLocal="tYES" if currency == self.local_currency else "tNO", CashSum=0.0, CashSumFC=0.0,
            CashSumSys=0.0, TransferSum=0.0, TransferReference=reference, BillOfExchangeAmount=0.0,
            BillOfExchangeAmountFC=0.0, BankChargeAmount=0.0, BankChargeAmountInFC=0.0, Series=15, Cancelled="tNO",
            AuthorizationStatus="pasWithout", DocObjectCode="bopot_IncomingPayments", ControlAccount="400000",
            JournalRemarks=f"Incoming Payments - {card_code}", SplitTransaction="tNO", ApplyVAT="tNO", Proforma="tNO",
        )  # fmt: skip
        return record

    def _set_means(self, record: Record, method: str, total: Decimal, currency: str) -> None:
        """Splits the total over the means of payment.

        `CashSum` is local with its foreign twin `CashSumFC`; the other sums have no reliable foreign twin on the wire
        and are stated in the payment's own currency.
        """
        cash = {"cash": total, "mixed": rounded(total / 2, currency)}.get(method, Decimal(0))
        rest = total - cash
        if cash:
            local = rounded(cash * exchange_rate(currency, self.local_currency), self.local_currency)
            record.update(CashSum=float(local), CashAccount="570000", CashSumSys=float(local))
            record["CashSumFC"] = float(cash) if currency != self.local_currency else 0.0
        if method in ("transfer", "mixed") and rest:
            record.update(TransferSum=float(rest), TransferAccount="550000", TransferDate=record["DocDate"])
        elif method == "check":
            check = ENTITY_SETS["IncomingPayments"].blank_member("PaymentChecks")
            check.update(
                LineNum=0, DueDate=record["DocDate"], CheckNumber=record["DocEntry"] + 7000, BankCode="BBRUBEBB",
                AccounttNum="00123", CheckSum=float(rest), Currency=currency, CountryCode="BE", ManualCheck="tNO",
            )  # fmt: skip
            record.update(PaymentChecks=[check], CheckAccount="551000")
        elif method == "credit_card":
            card = ENTITY_SETS["IncomingPayments"].blank_member("PaymentCreditCards")
            card.update(
                LineNum=0, CreditCard=1, CreditAcct="552000", CreditCardNumber="0042", CardValidUntil="2030-12-31",
                VoucherNum=str(record["DocEntry"]), NumOfPayments=1, CreditSum=float(rest), CreditCur=currency,
                SplitPayments="tNO",
            )  # fmt: skip
            record["PaymentCreditCards"] = [card]
        elif method == "bill_of_exchange":
            record["BillOfExchangeAmount"] = float(rest)
        elif method not in ("transfer", "mixed", "cash"):
            raise ValueError(f"Unknown payment method {method!r}.")

    def cancel_invoice(self, doc_entry: int, *, at: datetime | None = None) -> Record:
        """Cancels an unpaid invoice: it keeps `Cancelled` = tYES, and a mirror document is posted and returned.

        Args:
            doc_entry: The invoice.
            at: Back-dates the cancellation.
        """
        with self.lock:
            invoice = self.get("Invoices", doc_entry)
            if invoice["CancelStatus"] != "csNo":
                raise ValueError(f"Invoices({doc_entry}) is already cancelled, or is itself a cancellation.")
            if invoice["PaidToDate"]:
                raise ValueError(f"Invoices({doc_entry}) has payments applied; cancel those first.")
            settled = {
                "PaidToDate": invoice["DocTotal"],
                "PaidToDateFC": invoice["DocTotalFc"],
                "DocumentStatus": "bost_Close",
            }
            table = self.tables["Invoices"]
            mirror = copy_of(invoice)
            mirror.update(
                settled, DocEntry=table.next_key(), DocNum=self._next_number("Invoices"), CancelStatus="csCancellation",
                Cancelled="tNO", AttachmentEntry=None, DocDate=(at or self.local_now()).date().isoformat(),
            )  # fmt: skip
            for line in mirror["DocumentLines"]:
                line.update(
                    BaseType=13,
                    BaseEntry=doc_entry,
                    BaseLine=line["LineNum"],
                    DocEntry=mirror["DocEntry"],
                    LineStatus="bost_Close",
                )
            self._stamp("Invoices", mirror, at, created=True)
            table.put(mirror)
            cancelled = {"Cancelled": "tYES", "CancelStatus": "csYes", "CancelDate": mirror["DocDate"]}
            self._change("Invoices", doc_entry, {**settled, **cancelled}, at)
            return copy_of(mirror)

    def cancel_payment(self, doc_entry: int, *, touch_invoices: bool = True, at: datetime | None = None) -> Record:
        """Cancels a payment: `Cancelled` flips on the old row, its rows stay, and the invoices open again.

        Args:
            doc_entry: The payment.
            touch_invoices: False leaves the invoices' UpdateDate alone, as some builds do.
            at: Back-dates the change this makes to the invoices.
        """
        with self.lock:
            payment = self.get("IncomingPayments", doc_entry)
            if payment["Cancelled"] == "tYES":
                raise ValueError(f"IncomingPayments({doc_entry}) is already cancelled.")
            for row in payment["PaymentInvoices"]:
                if row["InvoiceType"] == "it_Invoice":
                    self._reopen(row, payment["DocCurrency"], at, touch=touch_invoices)
            return self.update("IncomingPayments", doc_entry, {"Cancelled": "tYES"})

    def _reopen(self, row: Record, currency: str, at: datetime | None, *, touch: bool) -> None:
        invoice = self.tables["Invoices"].rows.get(row["DocEntry"])
        if invoice is None:
            return
        paid = rounded(amount(invoice["PaidToDate"]) - amount(row["SumApplied"]), self.local_currency)
        changes = {"PaidToDate": float(paid), "DocumentStatus": "bost_Open"}
        if currency != self.local_currency:
            changes["PaidToDateFC"] = float(
                rounded(amount(invoice["PaidToDateFC"]) - amount(row["AppliedFC"]), currency)
            )
        self._change("Invoices", row["DocEntry"], changes, at, touch=touch)

    def attach(
        self, doc_entry: int, *, pdf_first: bool = True, extension: str = "pdf", entity_set: str = "Invoices"
    ) -> int:
        """Attaches a PDF of the document, after an image when `pdf_first` is false; returns the AttachmentEntry."""
        with self.lock:
            document = self.tables[entity_set].rows[doc_entry]
            names = [(f"Invoice_{document['DocNum']}", extension)]
            if not pdf_first:
                names.insert(0, (f"Delivery_{document['DocNum']}", "png"))
            entry = self.tables["Attachments2"].next_key()
            lines = []
            for number, (name, kind) in enumerate(names):
                line = ENTITY_SETS["Attachments2"].blank_member("Attachments2_Lines")
                line.update(
                    AbsoluteEntry=entry, LineNum=number + 1, SourcePath="C:\\Attachments\\Inbox", FileName=name,
                    FileExtension=kind,
                    AttachmentDate=document["DocDate"], UserID="1", Override="tNO", TargetPath="\\\\b1\\Attachments",
                )  # fmt: skip
                lines.append(line)
                self._files[(entry, f"{name}.{kind}")] = _page_text(document)
            self.tables["Attachments2"].put({"AbsoluteEntry": entry, "Attachments2_Lines": lines})
            self._change(entity_set, doc_entry, {"AttachmentEntry": entry}, None, touch=False)
            return entry

    def attachment(self, entry: int, file_name: str | None = None) -> tuple[str, bytes]:
        """(name, content) of an attachment's file; the first line's when no name is given. Raises KeyError."""
        with self.lock:
            lines = self.tables["Attachments2"].rows[entry]["Attachments2_Lines"]
            name = file_name or f"{lines[0]['FileName']}.{lines[0]['FileExtension']}"
            content = self._files[(entry, name)]
        if isinstance(content, bytes):
            return name, content
        return name, PNG if name.lower().endswith(".png") else one_page_pdf(content)

    def replace_attachment(self, entry: int, file_name: str, content: bytes) -> None:
        """Puts other bytes in the place of an attached file, as somebody might in the attachments folder."""
        with self.lock:
            if (entry, file_name) not in self._files:
                raise KeyError(file_name)
            self._files[(entry, file_name)] = content

    def _next_number(self, entity_set: str) -> int:
        """The next DocNum: numbers of a series ascend with the keys."""
        table = self.tables[entity_set]
        base = _FIRST_NUMBERS[entity_set]
        return int(table.rows[table.keys[-1]]["DocNum"]) + 1 if table.keys else base + 1

    def account(self, number: str) -> str:
        """The key of the account that people know by `number` (its FormatCode). Raises KeyError for an unknown one."""
        for row in self.tables["ChartOfAccounts"].rows.values():
            if number in (row["FormatCode"], row["Code"]):
                return str(row["Code"])
        raise KeyError(number)

    def lock_period(self, period: str) -> None:
        """Locks a month, `2026-01`, against postings."""
        self.periods.lock(period)

    def unlock_period(self, period: str) -> None:
        """Opens a locked month again."""
        self.periods.unlock(period)

    def set_rate(self, currency: str, day: str, rate: Decimal | float | str | None) -> None:
        """Enters an exchange rate: units of local currency per unit of `currency`; None takes the day's rate away."""
        self.rates.set(currency, day, rate)

    def post_entry(self, body: dict[str, Any]) -> Record:
        """Posts a journal entry as somebody in SAP might, by the same rules, and returns a copy of it.

        Args:
            body: As in `POST JournalEntries`; amounts may be Decimal.

        Raises:
            ServiceLayerError: As the Service Layer refuses it.
        """
        with self.lock:
            return copy_of(self.journal.post(self.journal.checked(body)))

    def cancel_entry(self, jdt_num: int) -> Record:
        """Cancels a journal entry and returns a copy of the one that reverses it."""
        with self.lock:
            return copy_of(self.journal.cancel(jdt_num))

    def entries(self) -> list[Record]:
        """Copies of all journal entries, oldest first."""
        return self.rows("JournalEntries")

    def entries_by_reference3(self) -> dict[str, list[Record]]:
        """Reference3 → copies of the journal entries that carry it, oldest first; those without one are left out."""
        found: dict[str, list[Record]] = {}
        for entry in self.entries():
            if entry["Reference3"]:
                found.setdefault(entry["Reference3"], []).append(entry)
        return found

    def balance(self, code: str) -> Decimal:
        """Debits less credits of all journal entries on an account or a business partner, in local currency."""
        with self.lock:
            return self.journal.balance(code)

    def approve_draft(self, doc_entry: int) -> Record:
        """Approves a draft that an approval procedure made: the entry is posted, the draft closed.

        Returns:
            A copy of the journal entry.
        """
        with self.lock:
            return copy_of(self.journal.approve(doc_entry))

    def reject_draft(self, doc_entry: int) -> None:
        """Rejects a draft: it is removed, and nothing is posted."""
        with self.lock:
            self.journal.reject(doc_entry)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: what fails inside takes back every change to the books, drafts apart."""
        with self.lock:
            kept = {name: table.snapshot() for name, table in self.tables.items() if name != "Drafts"}
            try:
                yield
            except BaseException:
                for name, snapshot in kept.items():
                    self.tables[name].restore(snapshot)
                raise

    def _check_names(self, entity_set: str, values: dict[str, Any]) -> None:
        unknown = [name for name in values if not ENTITY_SETS[entity_set].knows(name)]
        if unknown:
            raise ValueError(f"{entity_set} has no property {', '.join(unknown)}.")

    def _stamp(self, entity_set: str, record: Record, at: datetime | None, *, created: bool = False) -> None:
        entity = ENTITY_SETS[entity_set]
        moment = at.astimezone(self.time_zone) if at is not None and at.tzinfo else (at or self.local_now())
        day, time = moment.date().isoformat(), moment.strftime("%H:%M:%S")
        if "UpdateDate" in entity.properties:
            record.update(UpdateDate=day, UpdateTime=time)
        if created and entity.created_property:
            record[entity.created_property] = day
            if "CreateTime" in entity.properties:
                record["CreateTime"] = time
        if "DataVersion" in entity.properties:
            record["DataVersion"] = 1 if created else (record["DataVersion"] or 0) + 1


def _page_text(document: Record) -> list[str]:
    total = document["DocTotalFc"] or document["DocTotal"]
    return [
        f"Invoice {document['DocNum']}",
        f"Customer {document['CardCode'] or '-'}  {document['CardName'] or ''}",
        f"Date {document['DocDate']}   Due {document['DocDueDate']}",
        *(
            f"{line['LineNum'] + 1}. {line['ItemDescription']}  {line['Quantity']} x {line['Price']}"
            for line in document["DocumentLines"]
        ),
        f"Total {document['DocCurrency']} {amount(total)}",
    ]
