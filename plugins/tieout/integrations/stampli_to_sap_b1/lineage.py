"""Lineage of what is posted: from which column of Stampli's files, by which step, each property in SAP comes.

Light imports only: the command line shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tieout.integrations.stampli_to_sap_b1.rules import (
    BusinessPartnerRules,
    JournalEntryRules,
    OwnedField,
    Rules,
    placeholders,
)
from tieout.mapping.encryption import SUFFIX
from tieout.mapping.lineage import CONSTANT, GENERATED, NOTHING, ColumnLineage, Kind
from tieout.systems.stampli.columns import RECORD_KINDS
from tieout.systems.stampli.layout import Layout, load_layout

Layouts = Mapping[str, Layout]

_ENTRY = "JournalEntries"
_LINE = f"{_ENTRY}.JournalEntryLines"
_PARTNER = "BusinessPartners"
_ADDRESS = f"{_PARTNER}.BPAddresses"
_RENAME = "rename"
_TAX = "share of the invoice's tax by rate and base"
_FOREIGN = "where it is not the local currency"


def layouts_of(folder: Path) -> dict[str, Layout]:
    """The layouts in a folder of mappings, by entity; an entity without one has none here.

    Raises:
        ConfigurationInvalid: A layout is wrong; says file, line and key.
    """
    paths = [folder / f"{entity}.yaml{suffix}" for entity in RECORD_KINDS for suffix in ("", SUFFIX)]
    found = [load_layout(path) for path in paths if path.exists()]
    return {layout.entity: layout for layout in found}


def layout_lineage(layout: Layout) -> list[ColumnLineage]:
    """Every column of the staged records, from the files' columns."""
    return list(_Columns({layout.entity: layout}).staged(layout.entity))


def rules_lineage(rules: Rules, layouts: Layouts) -> dict[str, list[ColumnLineage]]:
    """Every property that is written to SAP by these rules, by the entity whose records it is written for.

    Where an entity has no layout, the files' columns have our own names.
    """
    columns = _Columns(layouts)
    if isinstance(rules, BusinessPartnerRules):
        return {"vendors": list(_partners(rules, columns))}
    return {
        "invoices": [*_invoices(rules, columns), *_entries()],
        "payments": [*_payments(rules, columns), *_entries()],
    }


class _Columns:
    """Staged columns of records, and what the files call them."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts

    def staged(self, entity: str) -> Iterator[ColumnLineage]:
        """All columns of an entity."""
        for column in RECORD_KINDS[entity].columns:
            yield from self.to(entity, column, column, _RENAME)

    def to(
        self, entity: str, column: str, target: str, words: str, kind: Kind = Kind.IDENTITY
    ) -> Iterator[ColumnLineage]:
        """From every name that a column may have in the files."""
        place = f"{entity}.lines" if column in RECORD_KINDS[entity].lines else entity
        staged = f"{place}.{column}"
        layout = self._layouts.get(entity)
        names = layout.names[column] if layout else (column,)
        settings = layout.settings if layout else None
        if settings and column in settings.values:
            words, kind = f"words of the layout, then {words}", Kind.LOOKUP.then(kind)
        for name in names:
            yield ColumnLineage(f"{place}.{name}", staged, target, words, kind)
        if settings and column in settings.defaults:
            yield ColumnLineage(CONSTANT, staged, target, "the layout's default", Kind.CONSTANT)
        elif not names:
            yield ColumnLineage(NOTHING, staged, target, "the files have no such column", Kind.ABSENT)


def _constant(target: str, value: str, kind: Kind = Kind.CONSTANT) -> ColumnLineage:
    return ColumnLineage(CONSTANT if kind is Kind.CONSTANT else GENERATED, "", target, value, kind)


def _entries() -> Iterator[ColumnLineage]:
    """What stands in every entry."""
    yield ColumnLineage(
        "(posting key)", "", f"{_ENTRY}.Reference3", "derived from integration, company and record", Kind.GENERATED
    )
    yield _constant(f"{_ENTRY}.AutoVAT", "constant tNO")


def _invoices(rules: JournalEntryRules, columns: _Columns) -> Iterator[ColumnLineage]:
    due = "due date of the vendor's line"
    for column, target, words, kind in (
        ("posting_date", f"{_ENTRY}.ReferenceDate", _RENAME, Kind.IDENTITY),
        ("invoice_date", f"{_ENTRY}.ReferenceDate", "where posting_date is empty", Kind.CHOICE),
        ("due_date", f"{_ENTRY}.DueDate", _RENAME, Kind.IDENTITY),
        ("posting_date", f"{_ENTRY}.DueDate", "where due_date is empty", Kind.CHOICE),
        ("invoice_date", f"{_ENTRY}.DueDate", "where due_date and posting_date are empty", Kind.CHOICE),
        ("due_date", f"{_LINE}.DueDate", due, Kind.IDENTITY),
        ("posting_date", f"{_LINE}.DueDate", f"{due}, where due_date is empty", Kind.CHOICE),
        ("invoice_date", f"{_LINE}.DueDate", f"{due}, where due_date and posting_date are empty", Kind.CHOICE),
        ("invoice_date", f"{_ENTRY}.TaxDate", _RENAME, Kind.IDENTITY),
        ("invoice_number", f"{_ENTRY}.Reference", _RENAME, Kind.IDENTITY),
        ("invoice_number", f"{_LINE}.Reference1", _RENAME, Kind.IDENTITY),
        ("stampli_invoice_id", f"{_ENTRY}.Reference2", _RENAME, Kind.IDENTITY),
        ("stampli_invoice_id", f"{_LINE}.Reference2", _RENAME, Kind.IDENTITY),
    ):
        yield from columns.to("invoices", column, target, words, kind)
    yield from _template(columns, "invoices", rules.invoices.memo, f"{_ENTRY}.Memo")
    yield from _template(columns, "invoices", rules.invoices.line_memo, f"{_LINE}.LineMemo")
    yield from _template(columns, "invoices", rules.invoices.memo, f"{_LINE}.LineMemo", "template, for lines without")
    yield from _coding(rules, columns)
    yield from _amounts(columns, "line_amount", "coded lines", Kind.IDENTITY)
    yield from _amounts(columns, "tax_amount", _TAX, Kind.CALCULATION)
    yield from _amounts(columns, "total_amount", "vendor's line", Kind.IDENTITY)
    yield from columns.to(
        "invoices", "line_amount", f"{_LINE}.BaseSum", "sum per tax code, on tax lines", Kind.AGGREGATION
    )
    yield _constant(f"{_LINE}.VatLine", "constant tYES, on tax lines")
    yield from columns.to("invoices", "currency", f"{_LINE}.FCCurrency", _FOREIGN)


def _coding(rules: JournalEntryRules, columns: _Columns) -> Iterator[ColumnLineage]:
    coded = [("gl_account", "AccountCode", "accounts"), ("project", "ProjectCode", "projects")]
    coded += [(each.column, target, each.cross_reference) for target, each in rules.invoices.dimensions.items()]
    coded += [("tax_code", target, "tax_codes") for target in ("TaxGroup", "TaxCode")]
    for column, target, name in coded:
        yield from columns.to("invoices", column, f"{_LINE}.{target}", f"cross-reference {name}", Kind.LOOKUP)
    words = "cross-reference tax_codes, else SAP's own tax account, on tax lines"
    yield from columns.to("invoices", "tax_code", f"{_LINE}.AccountCode", words, Kind.LOOKUP)
    if rules.invoices.rounding.account is not None:
        yield _constant(f"{_LINE}.AccountCode", "account of the rounding line, from the rules")
    for column in ("vendor_id", "vendor_erp_id"):
        yield from columns.to("invoices", column, f"{_LINE}.ShortName", "cross-reference vendor_codes", Kind.LOOKUP)


def _payments(rules: JournalEntryRules, columns: _Columns) -> Iterator[ColumnLineage]:
    for target in ("ReferenceDate", "DueDate", "TaxDate"):
        yield from columns.to("payments", "payment_date", f"{_ENTRY}.{target}", _RENAME)
    for target in (f"{_ENTRY}.Reference", f"{_LINE}.Reference1"):
        yield from columns.to("payments", "reference", target, _RENAME)
        yield from columns.to("payments", "payment_id", target, "where reference is empty", Kind.CHOICE)
    for target in (f"{_ENTRY}.Reference2", f"{_LINE}.Reference2"):
        yield from columns.to("payments", "payment_id", target, _RENAME)
    yield from _template(columns, "payments", rules.payments.memo, f"{_ENTRY}.Memo")
    yield from _template(columns, "payments", rules.payments.line_memo, f"{_LINE}.LineMemo")
    yield from _template(columns, "payments", rules.payments.memo, f"{_LINE}.LineMemo", "template, for lines without")
    yield from columns.to("payments", "vendor_id", f"{_LINE}.ShortName", "cross-reference vendor_codes", Kind.LOOKUP)
    yield from columns.to("payments", "method", f"{_LINE}.AccountCode", "cross-reference payment_methods", Kind.LOOKUP)
    yield from _amounts(columns, "amount", "both lines", Kind.IDENTITY, entity="payments")
    yield from columns.to("payments", "currency", f"{_LINE}.FCCurrency", _FOREIGN)


def _amounts(
    columns: _Columns, column: str, words: str, kind: Kind, entity: str = "invoices"
) -> Iterator[ColumnLineage]:
    """An amount goes to one side; in foreign currency as it is, and in local currency at SAP's rate."""
    for target in ("Debit", "Credit"):
        yield from columns.to(entity, column, f"{_LINE}.{target}", words, kind.then(Kind.CALCULATION))
        yield from columns.to(entity, column, f"{_LINE}.FC{target}", words, kind)


def _template(
    columns: _Columns, entity: str, template: str, target: str, words: str = "template"
) -> Iterator[ColumnLineage]:
    names = placeholders(template)
    if not names:
        yield _constant(target, words)
    for name in names:
        column = "invoice_number" if name == "invoices" else name
        yield from columns.to(entity, column, target, words, Kind.CONVERSION)


def _partners(rules: BusinessPartnerRules, columns: _Columns) -> Iterator[ColumnLineage]:
    for column in dict.fromkeys(("vendor_id", "erp_vendor_id", *placeholders(rules.card_code))):
        yield from columns.to(
            "vendors", column, f"{_PARTNER}.CardCode", "cross-reference vendor_codes, else card_code", Kind.LOOKUP
        )
    yield _constant(f"{_PARTNER}.CardType", "cSupplier")
    for name, item in rules.owned.items():
        yield from _owned(columns, _PARTNER, name, item, _RENAME)
    if rules.address is not None:
        yield _constant(f"{_ADDRESS}.AddressName", f"constant {rules.address.name}")
        yield _constant(f"{_ADDRESS}.AddressType", "constant bo_BillTo")
        for name, item in rules.address.fields.items():
            yield from _owned(columns, _ADDRESS, name, item, _RENAME)
    for name, item in rules.on_create.items():
        yield from _owned(columns, _PARTNER, name, item, "at creation")
    for name in rules.constants:
        yield _constant(f"{_PARTNER}.{name}", "at creation")


def _owned(columns: _Columns, where: str, name: str, item: OwnedField, words: str) -> Iterator[ColumnLineage]:
    if name != "Frozen":
        yield from columns.to("vendors", item.column, f"{where}.{name}", words)
        return
    yield from columns.to("vendors", item.column, f"{where}.Frozen", "not active", Kind.LOOKUP)
    yield from columns.to("vendors", item.column, f"{where}.Valid", "active, the opposite of Frozen", Kind.LOOKUP)
