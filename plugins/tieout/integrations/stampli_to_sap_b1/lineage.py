"""Lineage of what is posted: from which of Stampli's columns, by which operation, each property in SAP comes.

Light imports only: the command line shows it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tieout.integrations.stampli_to_sap_b1.rules import (
    BusinessPartnerRules,
    JournalEntryRules,
    OwnedField,
    Rules,
    placeholders,
)
from tieout.mapping.lineage import CONSTANT, Lineage
from tieout.systems.stampli.columns import RECORD_KINDS

_ENTRY = "JournalEntries"
_LINE = f"{_ENTRY}.JournalEntryLines"
_PARTNER = "BusinessPartners"
_REFERENCE3 = Lineage("(posting key)", f"{_ENTRY}.Reference3", "derived from integration, company and record")
_TAX = "share of the invoice's tax by rate and base"


def rules_lineage(rules: Rules) -> list[Lineage]:
    """Every property that is written to SAP by these rules."""
    if isinstance(rules, BusinessPartnerRules):
        return list(_partners(rules))
    return [*_invoices(rules), *_payments(rules), _REFERENCE3]


def _invoices(rules: JournalEntryRules) -> Iterator[Lineage]:
    fixed = [
        ("posting_date", "ReferenceDate", "rename"),
        ("invoice_date", "ReferenceDate", "where posting_date is empty"),
        ("due_date", "DueDate", "rename"),
        ("invoice_date", "TaxDate", "rename"),
        ("invoice_number", "Reference", "rename"),
        ("stampli_invoice_id", "Reference2", "rename"),
    ]
    for column, target, operation in fixed:
        yield Lineage(f"invoices.{column}", f"{_ENTRY}.{target}", operation)
    yield from _template("invoices", rules.invoices.memo, f"{_ENTRY}.Memo")
    yield from _template("invoices", rules.invoices.line_memo, f"{_LINE}.LineMemo")
    coded = [("gl_account", "AccountCode", "accounts"), ("project", "ProjectCode", "projects")]
    coded += [(each.column, target, each.cross_reference) for target, each in rules.invoices.dimensions.items()]
    coded += [("tax_code", target, "tax_codes") for target in ("TaxGroup", "TaxCode")]
    for column, target, name in coded:
        yield Lineage(f"invoices.lines.{column}", f"{_LINE}.{target}", f"cross-reference {name}")
    for column in ("vendor_id", "vendor_erp_id"):
        yield Lineage(f"invoices.{column}", f"{_LINE}.ShortName", "cross-reference vendor_codes")
    yield from _amounts("invoices.lines.line_amount", "coded lines")
    yield from _amounts("invoices.tax_amount", _TAX)
    yield from _amounts("invoices.total_amount", "vendor's line")
    yield Lineage("invoices.currency", f"{_LINE}.FCCurrency", "where it is not the local currency")


def _payments(rules: JournalEntryRules) -> Iterator[Lineage]:
    for target in ("ReferenceDate", "DueDate", "TaxDate"):
        yield Lineage("payments.payment_date", f"{_ENTRY}.{target}", "rename")
    yield Lineage("payments.reference", f"{_ENTRY}.Reference", "rename")
    yield Lineage("payments.payment_id", f"{_ENTRY}.Reference", "where reference is empty")
    yield Lineage("payments.payment_id", f"{_ENTRY}.Reference2", "rename")
    yield from _template("payments", rules.payments.memo, f"{_ENTRY}.Memo")
    yield from _template("payments", rules.payments.line_memo, f"{_LINE}.LineMemo")
    yield Lineage("payments.vendor_id", f"{_LINE}.ShortName", "cross-reference vendor_codes")
    yield Lineage("payments.method", f"{_LINE}.AccountCode", "cross-reference payment_methods")
    yield from _amounts("payments.amount", "both lines")
    yield Lineage("payments.currency", f"{_LINE}.FCCurrency", "where it is not the local currency")


def _amounts(source: str, operation: str) -> Iterator[Lineage]:
    for target in ("Debit", "Credit", "FCDebit", "FCCredit"):
        yield Lineage(source, f"{_LINE}.{target}", operation)


def _template(entity: str, template: str, target: str) -> Iterator[Lineage]:
    names = placeholders(template)
    if not names:
        yield Lineage(CONSTANT, target, "template")
    for name in names:
        if name == "invoices":
            yield Lineage("payments.lines.invoice_number", target, "template")
            continue
        level = "lines." if name in RECORD_KINDS[entity].lines else ""
        yield Lineage(f"{entity}.{level}{name}", target, "template")


def _partners(rules: BusinessPartnerRules) -> Iterator[Lineage]:
    for column in ("vendor_id", "erp_vendor_id", *placeholders(rules.card_code)):
        yield Lineage(f"vendors.{column}", f"{_PARTNER}.CardCode", "cross-reference vendor_codes, else card_code")
    yield Lineage(CONSTANT, f"{_PARTNER}.CardType", "cSupplier")
    yield from (_owned(_PARTNER, name, item, "rename") for name, item in rules.owned.items())
    if rules.address is not None:
        where = f"{_PARTNER}.BPAddresses"
        yield from (_owned(where, name, item, "rename") for name, item in rules.address.fields.items())
    yield from (_owned(_PARTNER, name, item, "at creation") for name, item in rules.on_create.items())
    for name in rules.constants:
        yield Lineage(CONSTANT, f"{_PARTNER}.{name}", "at creation")


def _owned(where: str, name: str, item: OwnedField, operation: str) -> Lineage:
    return Lineage(f"vendors.{item.column}", f"{where}.{name}", "not active" if name == "Frozen" else operation)
