"""From Stampli's records to drafts of what is posted to SAP Business One."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

from tieout.config import StampliToSapB1
from tieout.errors import ConfigurationInvalid
from tieout.integrations.stampli_to_sap_b1 import checks, partners
from tieout.integrations.stampli_to_sap_b1.checks import Findings, Money, one_of, text
from tieout.integrations.stampli_to_sap_b1.coding import Coder
from tieout.integrations.stampli_to_sap_b1.drafts import (
    EntryDraft,
    Exclude,
    Hold,
    PartnerDraft,
    entry_fingerprint,
)
from tieout.integrations.stampli_to_sap_b1.entries import EntryMaker, Head, cut, payment_values
from tieout.integrations.stampli_to_sap_b1.references import Needed, References
from tieout.integrations.stampli_to_sap_b1.rules import (
    BUSINESS_PARTNERS,
    JOURNAL_ENTRIES,
    BusinessPartnerRules,
    JournalEntryRules,
    filled,
    load_rules,
)
from tieout.mapping.cross_reference import (
    PAYMENT_METHODS,
    RECORD_ONLY,
    CrossReference,
    content_version,
    load_cross_reference,
)
from tieout.mapping.held import HeldReason
from tieout.mapping.loader import find_mapping
from tieout.mapping.model import Owner
from tieout.systems.stampli.records import SourceRecord

Draft = EntryDraft | PartnerDraft | Hold | Exclude
T = TypeVar("T")

_ALWAYS = ("accounts", "projects", "tax_codes", PAYMENT_METHODS, "vendor_codes")


class Accounting:
    """The rules and cross-references of one integration.

    Args:
        folder: The mapping files, such as `include/mappings/stampli_to_sap_b1`.
        settings: The instance's.

    Raises:
        ConfigurationInvalid: A file is missing or wrong; says file, line and key.
    """

    def __init__(self, folder: Path | str, settings: StampliToSapB1) -> None:
        self.settings = settings
        entries = _rules(folder, JOURNAL_ENTRIES, JournalEntryRules)
        partner_rules = _rules(folder, BUSINESS_PARTNERS, BusinessPartnerRules)
        self.invoices, self.payments, self.partners = entries.invoices, entries.payments, partner_rules
        names = dict.fromkeys((*_ALWAYS, *(each.cross_reference for each in self.invoices.dimensions.values())))
        self.cross_references = {name: load_cross_reference(find_mapping(folder, name)) for name in names}
        versions = [content_version(entries), content_version(partner_rules)]
        versions += [self.cross_references[name].version for name in sorted(names)]
        self._version = hashlib.sha256("\n".join(versions).encode()).hexdigest()

    @property
    def version(self) -> str:
        """SHA-256 of all files' content; comments and layout do not matter."""
        return self._version

    # -- what is needed of SAP ----------------------------------------------------------------------------------------

    def need(self, record: SourceRecord, needed: Needed) -> None:
        """Notes what a record refers to; call it for all records of a batch before `read_references`."""
        if record.problem is not None:
            return
        if record.entity == "vendors":
            self._need_vendor(record, needed)
        elif record.entity == "payments":
            self._need_payment(record, needed)
        else:
            self._need_invoice(record, needed)

    def _need_vendor(self, record: SourceRecord, needed: Needed) -> None:
        code = partners.vendor_card_code(record, self._vendors, self.partners)
        needed.partner_properties |= partners.owned_properties(self.partners)
        if not code:
            return
        vendor_id, tax_id = text(record.header, "vendor_id"), text(record.header, "tax_id")
        needed.vendors.add(code)
        if vendor_id:
            needed.card_codes[vendor_id] = code
        if tax_id and not self._vendors.has_entry(vendor_id):
            needed.tax_ids.setdefault(tax_id, set()).add(code)

    def _need_invoice(self, record: SourceRecord, needed: Needed) -> None:
        vendor_id, erp_id = text(record.header, "vendor_id"), text(record.header, "vendor_erp_id")
        if vendor_id and erp_id and not self._vendors.has_entry(vendor_id):
            needed.card_codes.setdefault(vendor_id, erp_id)
        self._need_partner(vendor_id, erp_id, needed)
        self._need_rate(record, self._day(record), needed)
        needed.accounts = True
        tables = self.cross_references
        for line in record.lines:
            for dimension in self.invoices.dimensions.values():
                match = tables[dimension.cross_reference].match(line.get(dimension.column))
                needed.cost_centres |= match.code is not None
            needed.projects |= tables["projects"].match(line.get("project")).code is not None
            needed.tax_codes |= tables["tax_codes"].match(line.get("tax_code")).code is not None

    def _need_payment(self, record: SourceRecord, needed: Needed) -> None:
        self._need_partner(text(record.header, "vendor_id"), "", needed)
        self._need_rate(record, text(record.header, "payment_date"), needed)
        needed.accounts = True

    def _need_partner(self, vendor_id: str, erp_id: str, needed: Needed) -> None:
        code = partners.card_code(vendor_id, erp_id, self._vendors, self.partners, {})
        if code:
            needed.vendors.add(code)
        if vendor_id and not erp_id and not self._vendors.has_entry(vendor_id):
            needed.vendor_ids.add(vendor_id)

    def _need_rate(self, record: SourceRecord, day: str, needed: Needed) -> None:
        currency = text(record.header, "currency").upper()
        if currency and day:
            needed.rates.add((currency, day))

    # -- drafts -------------------------------------------------------------------------------------------------------

    def draft(self, record: SourceRecord, references: References) -> Draft:
        """What becomes of a record.

        Args:
            record: An invoice, a vendor or a payment.
            references: From `read_references`, for a batch that this record was part of.

        Returns:
            A draft to post, every reason to hold the record, or the rule that leaves it out.
        """
        if record.problem is not None:
            problem = record.problem
            owner: Owner = "data engineer" if problem.owner == "data engineer" else "finance"
            return Hold((HeldReason(problem.reason_code, problem.message, problem.fix_hint, owner),))
        if record.entity == "vendors":
            return partners.partner_draft(record, self._vendors, self.partners, references)
        if record.entity == "payments":
            return self._payment(record, references)
        return self._invoice(record, references)

    def _invoice(self, record: SourceRecord, references: References) -> Draft:
        found = Findings(f"Invoice {record.label or record.source_key}")
        checks.check_company(record, self.settings.company_id, found)
        number = checks.require_text(record, "invoice_number", "invoice", found)
        money = checks.check_money(record, "total_amount", "invoice", found)
        credit = checks.is_credit(record, self.invoices, found)
        partner = self._partner(record, text(record.header, "vendor_erp_id"), "invoice", references, found)
        if found or money is None:
            # Whatever else is wrong is told at once, so that nobody repairs an invoice twice.
            self._invoice_body(record, references, money, partner, credit, found)
            return Hold(found.reasons())
        status = text(record.header, "status")
        void, approved = one_of(status, self.invoices.void), one_of(status, self.invoices.approved)
        body = None if void else self._invoice_body(record, references, money, partner, credit, found)
        if found and approved:
            return Hold(found.reasons())
        kind = "CREDIT" if credit else "INVOICE"
        # Of an invoice that may not be posted only its identity counts: whether it was posted before.
        return _entry(
            record, partner, number, f"{partner}|{number}|{kind}", money, void, body, approved=void or approved
        )

    def _invoice_body(
        self,
        record: SourceRecord,
        references: References,
        money: Money | None,
        partner: str,
        credit: bool,
        found: Findings,
    ) -> dict[str, Any] | None:
        document_day = checks.require_text(record, "invoice_date", "invoice", found)
        amounts = checks.check_amounts(record, money, self.invoices, found) if money else None
        day = self._day(record)
        if not day:
            return None
        coder = self._coder(references, day, found)
        codings = coder.lines(record.lines)
        if money is None or amounts is None:
            return None
        head = Head(
            day=day,
            due=text(record.header, "due_date") or day,
            document_day=document_day,
            memo=cut(filled(self.invoices.memo, record.header)),
            reference=text(record.header, "invoice_number"),
            reference2=text(record.header, "stampli_invoice_id") or record.source_key,
        )
        maker = EntryMaker(coder, money, partner, head, found)
        return maker.invoice(record, codings, amounts, self.invoices, credit=credit)

    def _payment(self, record: SourceRecord, references: References) -> Draft:
        status, rules = text(record.header, "status"), self.payments
        if one_of(status, rules.pending):
            return Exclude(f"payment not made yet (status {status})")
        found = Findings(f"Payment {record.label or record.source_key}")
        number = checks.require_text(record, "payment_id", "payment", found)
        checks.unknown_status(status, rules, found)
        money = checks.check_money(record, "amount", "payment", found)
        partner = self._partner(record, "", "payment", references, found)
        void = one_of(status, rules.void)
        record_only, body = False, None
        if not void:
            record_only, body = self._payment_body(record, references, money, partner, found)
        if found or money is None:
            return Hold(found.reasons())
        return _entry(record, partner, number, f"payment|{number}", money, void, body, record_only=record_only)

    def _payment_body(
        self, record: SourceRecord, references: References, money: Money | None, partner: str, found: Findings
    ) -> tuple[bool, dict[str, Any] | None]:
        """Whether the payment is only recorded, and its entry where it is not."""
        day = checks.require_text(record, "payment_date", "payment", found)
        if money is not None:
            checks.check_applied(record, money, found)
        coder = self._coder(references, day, found)
        method = coder.match(PAYMENT_METHODS, "method", text(record.header, "method"))
        if self.settings.posting.payments == RECORD_ONLY or method.code == RECORD_ONLY:
            return True, None
        values = payment_values(record)
        memo = cut(filled(self.payments.memo, values))
        if money is None or not day:
            return False, None
        head = Head(day, day, day, memo, values["reference"], text(record.header, "payment_id"))
        return False, EntryMaker(coder, money, partner, head, found).payment(record, method, self.payments)

    def _partner(self, record: SourceRecord, erp_id: str, what: str, references: References, found: Findings) -> str:
        vendor_id = text(record.header, "vendor_id")
        checks.check_vendor(vendor_id, erp_id, what, found)
        code = partners.card_code(vendor_id, erp_id, self._vendors, self.partners, references.card_codes)
        if code is None:
            checks.mapping_missing(self._vendors.file_name, "vendor_id", vendor_id, "", found)
        elif code:
            partners.check_partner(code, references, found)
        return code or ""

    def _coder(self, references: References, day: str, found: Findings) -> Coder:
        return Coder(self.cross_references, self.invoices.dimensions, references, day, found)

    def _day(self, record: SourceRecord) -> str:
        return text(record.header, "posting_date") or text(record.header, "invoice_date")

    @property
    def _vendors(self) -> CrossReference:
        return self.cross_references["vendor_codes"]


def _entry(
    record: SourceRecord,
    partner: str,
    number: str,
    identity: str,
    money: Money,
    void: bool,
    body: dict[str, Any] | None,
    *,
    record_only: bool = False,
    approved: bool = True,
) -> EntryDraft:
    return EntryDraft(
        entity=record.entity,
        source_key=record.source_key,
        label=record.label,
        partner=partner,
        number=number,
        identity=identity,
        fingerprint=entry_fingerprint(body, void=void, total=(money.currency, money.total)),
        currency=money.currency,
        amount=money.total,
        void=void,
        body=body,
        record_only=record_only,
        approved=approved,
    )


def _rules(folder: Path | str, name: str, kind: type[T]) -> T:
    rules = load_rules(find_mapping(folder, name))
    if not isinstance(rules, kind):
        raise ConfigurationInvalid(f"{name}.yaml does not hold the rules that its name says.")
    return rules
