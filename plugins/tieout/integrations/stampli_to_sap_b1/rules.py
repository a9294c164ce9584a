"""The typed form of `journal_entries.yaml` and `business_partners.yaml`: how records become entries and partners.

Light imports only: the command line reads these files too.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from tieout.errors import ConfigurationInvalid
from tieout.mapping.encryption import SUFFIX
from tieout.mapping.loader import load_yaml_or_encrypted
from tieout.mapping.model import Section, Text
from tieout.systems.stampli.columns import RECORD_KINDS

JOURNAL_ENTRIES = "journal_entries"
BUSINESS_PARTNERS = "business_partners"

INVOICE_FIELDS = frozenset(RECORD_KINDS["invoices"].header)
LINE_FIELDS = frozenset(RECORD_KINDS["invoices"].lines)
PAYMENT_FIELDS = frozenset(RECORD_KINDS["payments"].header)
VENDOR_FIELDS = frozenset(RECORD_KINDS["vendors"].header)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

LineField = Literal["cost_center", "department", "location", "class"]
DimensionProperty = Literal["CostingCode", "CostingCode2", "CostingCode3", "CostingCode4", "CostingCode5"]


def placeholders(template: str) -> list[str]:
    """The names in a template's braces.

    Raises:
        ValueError: The braces do not match, or a name is followed by more than a name.
    """
    found = []
    for _, name, layout, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if layout or conversion or not name.isidentifier():
            raise ValueError("a template holds names in braces and nothing else in them, such as {invoice_number}.")
        found.append(name)
    return found


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A template with its names replaced, blanks and line breaks reduced to single blanks; absent values are empty."""
    names = dict.fromkeys(placeholders(template), "")
    text = template.format_map({name: _plain(values.get(name)) for name in names})
    return " ".join(_CONTROL.sub(" ", text).split())


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _well_formed(template: str) -> str:
    try:
        placeholders(template)
    except ValueError as error:
        text = str(error)
        raise ValueError(
            text if text.startswith("a template") else f"the template's braces do not match ({text})."
        ) from None
    return template


Template = Annotated[str, AfterValidator(_well_formed)]
Words = tuple[Text, ...]


class Dimension(Section):
    """Which column of a line a `CostingCode…` is taken from, and by which cross-reference file.

    Attributes:
        column: The line's column; `from` in the file.
        cross_reference: Name of the file beside this one.
    """

    column: LineField = Field(alias="from")
    cross_reference: str = Field(pattern=r"^[a-z][a-z0-9_]*$")


def _cost_centres_only() -> dict[DimensionProperty, Dimension]:
    return {"CostingCode": Dimension.model_validate({"from": "cost_center", "cross_reference": "cost_centres"})}


class Rounding(Section):
    """Where a difference between an invoice's lines and its total goes, if it is small enough to be taken.

    Attributes:
        tolerance: Greatest difference that is taken, in the invoice's currency.
        to: The line with the greatest amount, or an account.
        account: The account (as in SAP's chart: code, format code or external code).
    """

    tolerance: Decimal = Field(default=Decimal("0.01"), ge=0, le=1)
    to: Literal["largest_line", "account"] = "largest_line"
    account: Text | None = None

    @model_validator(mode="after")
    def _account_where_it_is_needed(self) -> Rounding:
        if (self.to == "account") != (self.account is not None):
            raise ValueError("`to: account` and `account` belong together; give both or none.")
        return self


class InvoiceRules(Section):
    """How an invoice becomes a journal entry.

    Attributes:
        approved: Statuses that are posted.
        void: Statuses that take back what was posted.
        invoice_types: Types that are posted as they are; an empty type is one of them.
        credit_types: Types that are posted the other way round.
        memo: The entry's text, at most 50 characters of it.
        line_memo: The lines' text, of columns of header and line.
        dimensions: `CostingCode…` → column of a line.
    """

    approved: Words = ("APPROVED",)
    void: Words = ("VOID", "VOIDED", "CANCELLED", "CANCELED")
    invoice_types: Words = ("INVOICE",)
    credit_types: Words = ("CREDIT",)
    memo: Template = "{vendor_name} {invoice_number}"
    line_memo: Template = "{line_description}"
    dimensions: dict[DimensionProperty, Dimension] = Field(default_factory=_cost_centres_only)
    rounding: Rounding = Rounding()


class PaymentRules(Section):
    """How a payment becomes a journal entry.

    Attributes:
        paid: Statuses of money that has gone; these are posted.
        void: Statuses that take back what was posted.
        pending: Statuses of what has not happened yet; these are left out and counted as excluded.
        memo: The entry's text; `{invoices}` is the list of invoice numbers that it pays.
        line_memo: The lines' text.
    """

    paid: Words = ()
    void: Words = ()
    pending: Words = ()
    memo: Template = "Payment {reference}"
    line_memo: Template = "{invoices}"


class JournalEntryRules(Section):
    """`journal_entries.yaml`."""

    rules: Literal["journal_entries"]
    description: str = ""
    invoices: InvoiceRules = InvoiceRules()
    payments: PaymentRules = PaymentRules()

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What the file's shape cannot show: names that lead nowhere, statuses that mean two things."""
        yield from _unknown_names(("invoices", "memo"), self.invoices.memo, INVOICE_FIELDS)
        yield from _unknown_names(("invoices", "line_memo"), self.invoices.line_memo, INVOICE_FIELDS | LINE_FIELDS)
        for name in ("memo", "line_memo"):
            template = getattr(self.payments, name)
            yield from _unknown_names(("payments", name), template, PAYMENT_FIELDS | {"invoices"})
        invoices, payments = self.invoices, self.payments
        yield from _twice(("invoices",), {"approved": invoices.approved, "void": invoices.void})
        types = {"invoice_types": invoices.invoice_types, "credit_types": invoices.credit_types}
        yield from _twice(("invoices",), types)
        yield from _twice(("payments",), {"paid": payments.paid, "void": payments.void, "pending": payments.pending})


class OwnedField(Section):
    """A property that Stampli decides on.

    Attributes:
        column: The vendor's column; `from` in the file.
        longest: Most characters that SAP takes.
        cut: Cut longer values; otherwise the vendor is held.
    """

    column: str = Field(alias="from")
    longest: int = Field(default=100, ge=1)
    cut: bool = False


class OwnedAddress(Section):
    """The bill-to address.

    Attributes:
        name: Its name in SAP, for a partner that has no bill-to address yet or several.
        fields: Property of SAP's address → column of the vendor.
    """

    name: str = Field(default="Bill to", min_length=1, max_length=50)
    fields: dict[str, OwnedField] = Field(min_length=1)


class BusinessPartnerRules(Section):
    """`business_partners.yaml`.

    Attributes:
        card_code: The code of a vendor without cross-reference and without `erp_vendor_id`.
        owned: Property of SAP → column; set at creation and kept up to date.
        address: The bill-to address, owned too; null leaves addresses to SAP.
        on_create: Property → column, set at creation only.
        constants: Property → fixed value, set at creation only, such as `GroupCode: 101`.
        active: Words of the column `active` for a vendor in use.
        inactive: Words for one that is not; SAP's `Frozen` follows.
        when_empty: `keep` what SAP has where Stampli says nothing, or `clear` it.
    """

    rules: Literal["business_partners"]
    description: str = ""
    card_code: Template = "{vendor_id}"
    owned: dict[str, OwnedField] = Field(min_length=1)
    address: OwnedAddress | None = None
    on_create: dict[str, OwnedField] = Field(default_factory=dict)
    constants: dict[str, str | int | bool] = Field(default_factory=dict)
    active: Words = ("true", "yes", "y", "1", "active")
    inactive: Words = ("false", "no", "n", "0", "inactive")
    when_empty: Literal["keep", "clear"] = "keep"

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What the file's shape cannot show: columns that do not exist, properties that are not the file's to set."""
        yield from _unknown_names(("card_code",), self.card_code, VENDOR_FIELDS)
        groups: list[tuple[tuple[str, ...], Mapping[str, OwnedField]]] = [
            (("owned",), self.owned),
            (("on_create",), self.on_create),
            (("address", "fields"), self.address.fields if self.address else {}),
        ]
        for path, fields in groups:
            for name, item in fields.items():
                if item.column not in VENDOR_FIELDS:
                    yield (*path, name, "from"), f"there is no such column. Known: {', '.join(sorted(VENDOR_FIELDS))}."
        for name in {"CardCode", "CardType", "BPAddresses"} & {*self.owned, *self.on_create, *self.constants}:
            group = next(key for key in ("owned", "on_create", "constants") if name in getattr(self, key))
            yield (group, name), "this property is set by itself. Remove the line."
        for name in {*self.owned} & {*self.on_create, *self.constants}:
            yield ("owned", name), "this property is also set at creation. Keep one of the two."


Rules = JournalEntryRules | BusinessPartnerRules
_MODELS: dict[str, type[JournalEntryRules] | type[BusinessPartnerRules]] = {
    JOURNAL_ENTRIES: JournalEntryRules,
    BUSINESS_PARTNERS: BusinessPartnerRules,
}


def load_rules(path: Path | str) -> Rules:
    """Reads `journal_entries.yaml` or `business_partners.yaml`, plain or encrypted.

    Raises:
        ConfigurationInvalid: One sentence per problem, each with file, line and key.
    """
    path = Path(path)
    file = load_yaml_or_encrypted(path)
    expected = path.name.removesuffix(SUFFIX).removesuffix(".yaml")
    if expected not in _MODELS:
        raise file.problem((), f"rules are in files called {' and '.join(_MODELS)}. Rename the file.")
    rules = file.validate(_MODELS[expected])
    problems = [*rules.problems(), *_missing_files(rules, path.parent)]
    found = [str(file.problem(where, message)) for where, message in problems]
    if found:
        raise ConfigurationInvalid("\n".join(found))
    return rules


def _unknown_names(
    path: tuple[str, ...], template: str, known: frozenset[str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    unknown = [name for name in placeholders(template) if name not in known]
    if unknown:
        names = ", ".join(f"{{{name}}}" for name in unknown)
        yield path, f"the template names {names}, which does not exist. Known: {', '.join(sorted(known))}."


def _missing_files(rules: Rules, folder: Path) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Cross-references that dimensions name and that are not beside the rules."""
    if isinstance(rules, JournalEntryRules):
        for target, dimension in rules.invoices.dimensions.items():
            name = f"{dimension.cross_reference}.yaml"
            if not any((folder / file).exists() for file in (name, name + SUFFIX)):
                where = ("invoices", "dimensions", target, "cross_reference")
                yield where, f"there is no file {name} beside this one. Create it."


def _twice(path: tuple[str, ...], groups: Mapping[str, Words]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    seen: dict[str, str] = {}
    for name, words in groups.items():
        for word in words:
            other = seen.setdefault(word.casefold(), name)
            if other != name:
                yield (*path, name), f"a word is also in the list `{other}`. Keep it in one of them."
