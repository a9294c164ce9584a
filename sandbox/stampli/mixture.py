"""The mixed drop: a day's files, sound and bad, and a later one with corrections."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.data import AS_OF
from sandbox.stampli.books import Books, Supplier
from sandbox.stampli.broken import BROKEN_CSV, BROKEN_XML, ONE_RECORD, REASONS
from sandbox.stampli.csv_files import CsvStyle
from sandbox.stampli.drop import StampliDrop, export_file, file_name
from sandbox.stampli.exports import StampliExports
from sandbox.stampli.model import Invoice, Payment, Vendor
from sandbox.stampli.scenario import DroppedFile, DropSizes, Scenario
from sandbox.stampli.spoil import INVOICE_DEFECTS, PAYMENT_DEFECTS, VENDOR_DEFECTS, Defect
from sandbox.stampli.text_records import TextRecord, text_record
from sandbox.stampli.xml_files import XmlStyle

STYLES: tuple[CsvStyle | XmlStyle, ...] = (
    CsvStyle(),
    XmlStyle(),
    CsvStyle(delimiter=";", bom=True, newline="\n"),
    XmlStyle(indent=False, omit_empty=True),
    CsvStyle(delimiter=";", encoding="cp1252"),
    CsvStyle(quote_all=True, extra_columns=(("exported_by", "nightly; batch"),)),
)
"""Styles of the sound files, in turn."""


def mixed_drop(
    drop: StampliDrop,
    company: Company | Books,
    *,
    seed: int = 1,
    sizes: DropSizes | None = None,
    company_id: str = "C1",
    as_of: date = AS_OF,
    own_ids: bool = False,
) -> Scenario:
    """Puts a day's files and tells what must become of them.

    Files bear times one minute apart, in the order in which they should be taken: vendors, invoices, payments.

    Args:
        drop: Where to put them.
        company: The books they are for, or codes of one's own.
        seed: Same books, seed and sizes: same bytes.
        sizes: How much of what.
        company_id: Stampli's id of the company.
        as_of: The day of the drop; no posting is later.
        own_ids: See `StampliExports`; the cross-reference is `scenario.exports.vendor_codes`.
    """
    books = company if isinstance(company, Books) else Books.of(company, as_of)
    exports = StampliExports(books, seed, company_id=company_id, as_of=as_of, own_ids=own_ids)
    chosen = sizes or DropSizes()
    maker = _Maker(drop, exports, chosen, random.Random(f"drop-{seed}"), Scenario(exports))
    maker.run()
    return maker.scenario


def correction_drop(drop: StampliDrop, scenario: Scenario, *, changed: int = 1, voided: int = 1) -> DroppedFile:
    """Puts a later file in which some of the scenario's posted invoices come again, changed or void.

    Which ones: the first `changed`, then the next `voided` of `scenario.invoices`. What becomes of them depends on
    the integration's settings; `scenario.exports.entry(...)` of the changed invoice is its entry if it is posted anew.
    """
    exports = scenario.exports
    records = [text_record(exports.changed(invoice)) for invoice in scenario.invoices[:changed]]
    records += [text_record(exports.voided(invoice)) for invoice in scenario.invoices[changed : changed + voided]]
    moment = _moment(exports, len(scenario.files))
    name = file_name("invoices", exports.company_id, moment, "csv")
    content = export_file("invoices", records, CsvStyle())
    drop.put(name, content, at=moment)
    file = DroppedFile(name, "invoices", len(records), len(content), "changed and void after approval")
    scenario.files.append(file)
    return file


def _moment(exports: StampliExports, number: int) -> datetime:
    """A minute per file, from six in the morning; the second is the seed's, so that two drops of a day go together."""
    return datetime.combine(exports.as_of, time(6), UTC) + timedelta(minutes=number, seconds=exports.seed % 60)


@dataclass
class _Maker:
    drop: StampliDrop
    exports: StampliExports
    sizes: DropSizes
    random: random.Random
    scenario: Scenario

    def run(self) -> None:
        self.vendors()
        self.invoices()
        self.payments()
        if self.sizes.repeated:
            self.repeated()
        if self.sizes.defects:
            self.bad_invoices()
        for kind in self.sizes.broken:
            self.broken_file(kind)

    def put(self, entity: str, records: Sequence[TextRecord], style: CsvStyle | XmlStyle, note: str) -> bytes:
        content = export_file(entity, list(records), style, company_id=self.exports.company_id)
        self.put_bytes(entity, content, "csv" if isinstance(style, CsvStyle) else "xml", len(records), note)
        return content

    def put_bytes(self, entity: str, content: bytes, extension: str, records: int, note: str) -> str:
        moment = _moment(self.exports, len(self.scenario.files))
        name = file_name(entity, self.exports.company_id, moment, extension)
        self.drop.put(name, content, at=moment)
        self.scenario.files.append(DroppedFile(name, entity, records, len(content), note))
        return name

    def vendors(self) -> None:
        sizes, exports = self.sizes, self.exports
        new = [exports.new_vendor(currency) for currency in _in_turn(exports.currencies, sizes.new_vendors)]
        # Whether a tab in a name is a change is a matter of taste: such suppliers get invoices only.
        known = [supplier for supplier in exports.books.suppliers if supplier.name.isprintable()]
        changed = known[: sizes.changed_vendors]
        same = known[sizes.changed_vendors : sizes.changed_vendors + sizes.unchanged_vendors]
        records = [self.posted_vendor(vendor) for vendor in new]
        bad = self.spoilt("vendors", VENDOR_DEFECTS, self.new_vendor_record) if sizes.defects else []
        if records or bad:
            self.put("vendors", records + bad, CsvStyle(), "new vendors, and bad ones")
        records = [self.posted_vendor(exports.changed_vendor(supplier)) for supplier in changed]
        records += [self.unchanged(supplier) for supplier in same]
        if records:
            self.put("vendors", records, XmlStyle(), "suppliers that changed, and such that did not")

    def posted_vendor(self, vendor: Vendor) -> TextRecord:
        self.scenario.partners[vendor.card_code] = vendor
        self.scenario.of("vendors").posted += 1
        return text_record(vendor)

    def unchanged(self, supplier: Supplier) -> TextRecord:
        self.scenario.of("vendors").duplicate += 1
        return text_record(self.exports.known_vendor(supplier))

    def new_vendor_record(self, defect: Defect) -> TextRecord:
        """Nobody is to be invoiced under a vendor that is held."""
        return text_record(self.exports.new_vendor(invoiced=False))

    def invoices(self) -> None:
        """Sound ones over several files; one cent off, once, and at least one with as many lines as can be."""
        made: list[Invoice] = []
        for number in range(self.sizes.invoices):
            made.append(self.sound_invoice(number))
        pending = [(invoice, text_record(invoice)) for invoice in made]
        for number in range(self.sizes.files):
            style = STYLES[number % len(STYLES)]
            share = -(-len(pending) // (self.sizes.files - number))
            taken = [pair for pair in pending if _can_carry(style, pair[1])][:share]
            left = {id(pair) for pair in taken}
            pending = [pair for pair in pending if id(pair) not in left]
            if taken:
                self.posted_invoices(taken, style, number == 0)
        if pending:
            self.posted_invoices(pending, CsvStyle(), False)

    def posted_invoices(
        self, taken: Sequence[tuple[Invoice, TextRecord]], style: CsvStyle | XmlStyle, may_repeat: bool
    ) -> None:
        records = [record for _, record in taken]
        content = self.put("invoices", records, style, "approved invoices")
        expected = self.scenario.of("invoices")
        for invoice, record in taken:
            expected.posted += 1
            expected.add_money("posted", record)
            self.scenario.entries[invoice.invoice_id] = self.exports.entry(invoice)
            self.scenario.invoices.append(invoice)
        if may_repeat and self.sizes.same_bytes:
            extension = "csv" if isinstance(style, CsvStyle) else "xml"
            self.put_bytes("invoices", content, extension, len(records), "the same bytes under another name")
            for record in records:
                self.duplicate("invoices", record)

    def sound_invoice(self, number: int) -> Invoice:
        if number == 0:
            return self.exports.invoice(lines=self.sizes.max_lines)
        if number == 1:
            local = self.exports.books.local_currency
            return self.exports.invoice(currency=local, off_by=Decimal("0.01"))
        lines = self.random.choice([1, 1, 1, 2, 2, 3, 4, 5, 8, 13])
        credit = self.random.random() < self.sizes.credit_share
        currency = self.exports.currencies[number % len(self.exports.currencies)] if number < 5 else None
        return self.exports.invoice(
            currency=currency, lines=min(lines, self.sizes.max_lines), credit=credit,
            negative=credit and self.random.random() < 1 / 3,
        )  # fmt: skip

    def duplicate(self, entity: str, record: TextRecord) -> None:
        expected = self.scenario.of(entity)
        expected.duplicate += 1
        expected.add_money("duplicate", record)

    def repeated(self) -> None:
        """The same records in a later file; one of them under a new id of Stampli's, still the same invoice."""
        sound = self.scenario.invoices[-self.sizes.repeated :]
        records = [text_record(invoice) for invoice in sound]
        if records:
            again = replace(sound[0], invoice_id=f"{sound[0].invoice_id}-2")
            records[0] = text_record(again)
            for record in records:
                self.duplicate("invoices", record)
            self.put("invoices", records, CsvStyle(), "invoices that came before")

    def payments(self) -> None:
        """Of one sound invoice, or of two of the same vendor and currency."""
        groups = self.to_pay()
        made = [self.exports.payment(group) for group in groups]
        records = [self.posted_payment(payment) for payment in made]
        bad: list[TextRecord] = []
        if self.sizes.defects and made:
            bad = self.spoilt("payments", PAYMENT_DEFECTS, lambda defect: text_record(self.exports.payment(groups[0])))
            bad.append(self.not_yet_paid(self.exports.payment(groups[0])))
        half = (len(records) + 1) // 2
        if records or bad:
            self.put("payments", records[:half] + bad, CsvStyle(), "payments, and bad ones")
        if records[half:]:
            self.put("payments", records[half:], XmlStyle(), "payments")

    def to_pay(self) -> list[list[Invoice]]:
        by_vendor: dict[tuple[str, str], list[Invoice]] = {}
        for invoice in self.scenario.invoices:
            if invoice.kind == "INVOICE":
                by_vendor.setdefault((invoice.vendor.vendor_id, invoice.currency), []).append(invoice)
        pairs = [group[index : index + 2] for group in by_vendor.values() for index in range(0, len(group), 2)]
        return pairs[: self.sizes.payments]

    def posted_payment(self, payment: Payment) -> TextRecord:
        record = text_record(payment)
        expected = self.scenario.of("payments")
        expected.posted += 1
        expected.add_money("posted", record)
        self.scenario.entries[payment.payment_id] = self.exports.entry(payment)
        return record

    def not_yet_paid(self, payment: Payment) -> TextRecord:
        record = text_record(replace(payment, status="SCHEDULED"))
        self.exclude("payments", record, "SCHEDULED")
        return record

    def exclude(self, entity: str, record: TextRecord, why: str) -> None:
        expected = self.scenario.of(entity)
        expected.excluded[why] += 1
        expected.add_money("excluded", record)

    def bad_invoices(self) -> None:
        """One of each kind, and an invoice that was voided before it was ever posted."""
        in_xml = {name: defect for name, defect in INVOICE_DEFECTS.items() if not defect.csv_only}
        half = list(in_xml)[::2]
        xml_records = self.spoilt("invoices", {name: in_xml[name] for name in half}, self.to_spoil)
        csv_records = self.spoilt(
            "invoices", {name: defect for name, defect in INVOICE_DEFECTS.items() if name not in half}, self.to_spoil
        )
        void = text_record(self.exports.voided(self.exports.invoice()))
        self.exclude("invoices", void, "VOID")
        self.put("invoices", [*csv_records, void], CsvStyle(), "bad invoices, and a void one")
        self.put("invoices", xml_records, XmlStyle(), "bad invoices")

    def to_spoil(self, defect: Defect) -> TextRecord:
        return text_record(self.exports.invoice(lines=defect.lines or 2))

    def spoilt(
        self, entity: str, defects: Mapping[str, Defect], make: Callable[[Defect], TextRecord]
    ) -> list[TextRecord]:
        """One record of each kind, noted as held."""
        records = []
        for name, defect in self.applicable(defects):
            record = defect.apply(make(defect))
            self.scenario.of(entity).held[defect.reason] += 1
            self.scenario.held[record.key or f"{entity}#{name}"] = defect.reason
            records.append(record)
        return records

    def applicable(self, defects: Mapping[str, Defect]) -> Iterable[tuple[str, Defect]]:
        """An unknown code is only wrong where there are known ones."""
        books = self.exports.books
        known = {
            "UNKNOWN_COST_CENTRE": books.cost_centres, "UNKNOWN_PROJECT": books.projects,
            "UNKNOWN_TAX_CODE": books.tax_codes,
        }  # fmt: skip
        return [(name, defect) for name, defect in defects.items() if known.get(defect.reason, True)]

    def broken_file(self, kind: str) -> None:
        record = [text_record(self.exports.invoice())]
        if kind in BROKEN_CSV:
            content, extension = BROKEN_CSV[kind](export_file("invoices", record, CsvStyle())), "csv"
        elif kind in BROKEN_XML:
            content, extension = BROKEN_XML[kind](export_file("invoices", record, XmlStyle())), "xml"
        else:
            known = ", ".join(sorted({*BROKEN_CSV, *BROKEN_XML}))
            raise ValueError(f"{kind!r} is no kind of broken file; known are {known}.")
        reason = REASONS.get(kind, "UNREADABLE_FILE")
        name = self.put_bytes("invoices", content, extension, 1, f"broken: {kind}")
        self.scenario.of("invoices").held[reason] += 1
        self.scenario.held[record[0].key if kind in ONE_RECORD else name] = reason


def _in_turn(values: Sequence[str], count: int) -> list[str]:
    return [values[number % len(values)] for number in range(count)]


def _can_carry(style: CsvStyle | XmlStyle, record: TextRecord) -> bool:
    if isinstance(style, XmlStyle) or style.encoding.startswith("utf"):
        return True
    try:
        record.characters().encode(style.encoding)
    except UnicodeEncodeError:
        return False
    return True
