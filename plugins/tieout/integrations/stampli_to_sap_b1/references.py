"""What SAP Business One has that entries refer to: accounts, cost centres, projects, tax codes, suppliers, rates.

Read once per run, as little as the run's records need, and kept as JSON in the run's staging folder: every later step
and every retry judges by the same references.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, Literal, Protocol

import msgspec

from tieout.currencies import is_currency
from tieout.errors import ContractBroken
from tieout.odata.keyset import KeysetQuery, KeysetWalk
from tieout.odata.query import both, key_filters
from tieout.systems.sap_b1.entities import entity_set
from tieout.systems.sap_b1.errors import UNKNOWN_PROPERTY, SapError

log = logging.getLogger(__name__)

SUPPLIER = "cSupplier"
ETAG = "etag"
_YES = "tYES"
_BOM = b"\xef\xbb\xbf"
_QUOTED = re.compile(r"'([^']+)'")
_SIDE_BY_SIDE = 4
_NO_RATE_CODES = frozenset({"-4006"})
_NO_SUCH_FUNCTION = frozenset({"-1002", "200"})
_decoder = msgspec.json.Decoder(float_hook=Decimal)

TaxProperty = Literal["TaxGroup", "TaxCode"]


class ServiceLayer(Protocol):
    """What is asked of the Service Layer's client."""

    def get_page(self, entity_set: str, params: Mapping[str, str]) -> bytes:
        """Reads a page of a collection."""

    def action(self, name: str, body: bytes | None) -> bytes:
        """Calls a function that only reads."""


class AccountingSettings(Protocol):
    """What an instance says about its company."""

    @property
    def local_currency(self) -> str:
        """Only for a Service Layer that does not tell it."""


@dataclass
class Needed:
    """What a batch of records refers to; filled by `Accounting.need`, record by record.

    Attributes:
        vendors: `CardCode`s.
        vendor_ids: Stampli's vendor ids whose `CardCode` only a vendor or an invoice tells.
        card_codes: Stampli's vendor id → `CardCode`, as learnt from vendors and invoices. Fill in before `need` what
            earlier runs have learnt.
        tax_ids: Tax id → `CardCode`s of the vendors of the batch that have it.
        partner_properties: Properties of business partners to be read for comparison.
        rates: Currency and day.
        accounts: Whether any account is needed; so for the others.
    """

    vendors: set[str] = field(default_factory=set)
    vendor_ids: set[str] = field(default_factory=set)
    card_codes: dict[str, str] = field(default_factory=dict)
    tax_ids: dict[str, set[str]] = field(default_factory=dict)
    partner_properties: set[str] = field(default_factory=set)
    rates: set[tuple[str, str]] = field(default_factory=set)
    accounts: bool = False
    cost_centres: bool = False
    projects: bool = False
    tax_codes: bool = False


@dataclass(frozen=True)
class Account:
    """A G/L account.

    Attributes:
        code: The internal key that postings name.
        format_code: What people see, with segments.
        external_code: A code of another system, if SAP keeps one.
        postable: Whether it is an active account and no title.
        frozen: Whether it is on hold; between `frozen_from` and `frozen_to` where these are given.
    """

    code: str
    format_code: str = ""
    external_code: str = ""
    postable: bool = True
    frozen: bool = False
    frozen_from: str = ""
    frozen_to: str = ""

    def active_on(self, day: str) -> bool:
        """Whether it can be posted to on a day, `YYYY-MM-DD`."""
        held = self.frozen and (self.frozen_from or day) <= day <= (self.frozen_to or day)
        return self.postable and not held


@dataclass(frozen=True)
class CostCentre:
    """A distribution rule, which is what `CostingCode…` holds.

    Attributes:
        code: `FactorCode`.
        dimension: 1 to 5; 0 where SAP does not say.
        active: Whether it may be used.
    """

    code: str
    dimension: int = 0
    active: bool = True


@dataclass(frozen=True)
class Project:
    """A project and the days on which it may be used; an open end is empty."""

    code: str
    active: bool = True
    valid_from: str = ""
    valid_to: str = ""

    def valid_on(self, day: str) -> bool:
        """Whether it may be used on a day, `YYYY-MM-DD`."""
        return self.active and (self.valid_from or day) <= day <= (self.valid_to or day)


@dataclass(frozen=True)
class TaxCode:
    """A VAT group or a sales tax code.

    Attributes:
        code: Its code.
        account: Where its tax is posted; empty where SAP does not say.
        rates: First day and percentage, oldest first.
        active: Whether it may be used.
    """

    code: str
    account: str = ""
    rates: tuple[tuple[str, Decimal], ...] = ()
    active: bool = True

    def rate_on(self, day: str) -> Decimal | None:
        """The percentage on a day, or None when SAP has none for it."""
        return next((rate for first, rate in reversed(self.rates) if first <= day), None)


@dataclass(frozen=True)
class References:
    """What SAP has, as of one moment. Sets that SAP does not let us read are None: SAP itself then judges.

    Attributes:
        local_currency: ISO 4217.
        tax_property: Where a line carries its tax code: `TaxGroup` for VAT, `TaxCode` for sales tax.
        suppliers: `CardCode` → the partner's properties, also of partners that are no suppliers.
        tax_id_holders: Tax id → `CardCode`s of the suppliers that have it.
        card_codes: Stampli's vendor id → `CardCode`, as far as the run's records tell.
        rates: `USD 2026-01-31` → local currency per unit, or None: SAP computes local amounts itself.
        rates_missing: Those that SAP has no rate for and needs.
    """

    local_currency: str
    accounts: tuple[Account, ...] = ()
    cost_centres: dict[str, CostCentre] | None = None
    projects: dict[str, Project] | None = None
    tax_codes: dict[str, TaxCode] | None = None
    tax_property: TaxProperty = "TaxGroup"
    suppliers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tax_id_holders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    card_codes: dict[str, str] = field(default_factory=dict)
    rates: dict[str, Decimal | None] = field(default_factory=dict)
    rates_missing: tuple[str, ...] = ()

    # Names with an underscore are no part of the JSON.
    @cached_property
    def _account_index(self) -> dict[str, Account | None]:
        index: dict[str, Account | None] = {}
        for name in ("external_code", "format_code", "code"):
            level: dict[str, Account | None] = {}
            for account in self.accounts:
                code = getattr(account, name)
                if code:
                    level[code] = None if code in level else account
            # The internal key wins over what people see, and that over other systems' codes.
            index |= level
        return index

    def account(self, code: str) -> Account | None:
        """An account by its internal key, its format code (with or without hyphens) or its external code.

        None when there is none, or when several share the code.
        """
        found = self._account_index.get(code)
        return found or self._account_index.get(code.replace("-", ""))

    def rate(self, currency: str, day: str) -> Decimal | None:
        """Local currency per unit on a day; None when SAP shall compute local amounts itself."""
        return self.rates.get(_rate_key(currency, day))

    def rate_is_missing(self, currency: str, day: str) -> bool:
        """Whether SAP says that it has no rate for the day, so that it would refuse the entry."""
        return _rate_key(currency, day) in self.rates_missing

    def to_json(self) -> bytes:
        """For the run's staging folder."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> References:
        """From the run's staging folder."""
        return _REFERENCES.decode(data)


# Made once: msgspec's first look at a dataclass, by two threads at a time, has ended in a crash.
_REFERENCES = msgspec.json.Decoder(References)


def read_references(client: ServiceLayer, needed: Needed, settings: AccountingSettings) -> References:
    """Reads what a batch needs, and nothing else.

    Args:
        client: The Service Layer.
        needed: From `Accounting.need` over all records of the batch.
        settings: The instance's; its local currency counts where SAP does not tell its own.

    Raises:
        SapError: SAP refuses to list accounts or business partners.
        SourceUnavailable, CredentialsRejected: as the client says.
        ContractBroken: An answer is not what the interface says.
    """
    local_currency, direct = _company(client, settings)
    codes = needed.vendors | {needed.card_codes.get(vendor, vendor) for vendor in needed.vendor_ids}
    suppliers = read_suppliers(client, codes, needed.partner_properties)
    tax_codes, tax_property = _tax_codes(client) if needed.tax_codes else (None, "TaxGroup")
    rates, missing = _rates(client, needed.rates, local_currency) if direct else ({}, ())
    return References(
        local_currency=local_currency,
        accounts=_accounts(client) if needed.accounts else (),
        cost_centres=_cost_centres(client) if needed.cost_centres else None,
        projects=_projects(client) if needed.projects else None,
        tax_codes=tax_codes,
        tax_property="TaxCode" if tax_property == "TaxCode" else "TaxGroup",
        suppliers=suppliers,
        tax_id_holders=_tax_id_holders(client, needed.tax_ids, suppliers),
        card_codes=dict(needed.card_codes),
        rates=rates,
        rates_missing=missing,
    )


def tax_id_forms(tax_id: str) -> tuple[str, ...]:
    """A tax id as written, and without the dots, blanks and hyphens that people put into it."""
    written = tax_id.strip()
    return tuple(dict.fromkeys((written, re.sub(r"[\s.\-/]", "", written).upper())))


# -- the company ------------------------------------------------------------------------------------------------------


def _company(client: ServiceLayer, settings: AccountingSettings) -> tuple[str, bool]:
    """Local currency, and whether a rate is local currency per foreign unit, the only case we compute ourselves."""
    try:
        info = _decode(client.action("CompanyService_GetAdminInfo", None), "CompanyService_GetAdminInfo")
    except SapError as error:
        log.info("SAP does not tell its company's settings (%s); the configured local currency counts", error)
        return settings.local_currency, True
    info = info if isinstance(info, dict) else {}
    currency = _text(info.get("LocalCurrency")) or settings.local_currency
    if not is_currency(currency):
        log.warning("SAP calls its local currency %r, which is no ISO 4217 code; %s counts", currency,
                    settings.local_currency)  # fmt: skip
        currency = settings.local_currency
    return currency, info.get("DirectIndirectRate") not in ("tNO", "N")


# -- small sets -------------------------------------------------------------------------------------------------------


def _accounts(client: ServiceLayer) -> tuple[Account, ...]:
    optional = ("FormatCode", "ExternalCode", "ActiveAccount", "FrozenFor", "FrozenFrom", "FrozenTo")
    return tuple(
        Account(
            code=_text(row["Code"]),
            format_code=_text(row.get("FormatCode")),
            external_code=_text(row.get("ExternalCode")),
            postable=row.get("ActiveAccount") not in ("tNO", "N"),
            frozen=_is_yes(row.get("FrozenFor")),
            frozen_from=_day(row.get("FrozenFrom")),
            frozen_to=_day(row.get("FrozenTo")),
        )
        for row in _rows(client, "ChartOfAccounts", ("Code",), optional)
    )


def _cost_centres(client: ServiceLayer) -> dict[str, CostCentre] | None:
    """Distribution rules; on a server without them, cost centres, each of which normally has a rule of its name."""
    for name, key in (("DistributionRules", "FactorCode"), ("ProfitCenters", "CenterCode")):
        rows = _rows_or_none(client, name, (key,), ("InWhichDimension", "Active"))
        if rows is not None:
            centres = [
                CostCentre(_text(row[key]), _number(row.get("InWhichDimension")), row.get("Active") not in ("tNO", "N"))
                for row in rows
            ]
            return {centre.code: centre for centre in centres}
    return None


def _projects(client: ServiceLayer) -> dict[str, Project] | None:
    rows = _rows_or_none(client, "Projects", ("Code",), ("ValidFrom", "ValidTo", "Active"))
    if rows is None:
        return None
    projects = [
        Project(
            _text(row["Code"]),
            row.get("Active") not in ("tNO", "N"),
            _day(row.get("ValidFrom")),
            _day(row.get("ValidTo")),
        )
        for row in rows
    ]
    return {project.code: project for project in projects}


def _tax_codes(client: ServiceLayer) -> tuple[dict[str, TaxCode] | None, TaxProperty]:
    """VAT groups, or sales tax codes in companies that have no VAT groups."""
    groups = _rows_or_none(client, "VatGroups", ("Code",), ("TaxAccount", "Inactive", "VatGroups_Lines"))
    if groups:
        found = [
            TaxCode(_text(row["Code"]), _text(row.get("TaxAccount")), _vat_rates(row), not _is_yes(row.get("Inactive")))
            for row in groups
        ]
        return {code.code: code for code in found}, "TaxGroup"
    codes = _rows_or_none(client, "SalesTaxCodes", ("Code",), ("Rate", "Inactive"))
    if codes:
        found = [TaxCode(_text(row["Code"]), "", _sales_rate(row), not _is_yes(row.get("Inactive"))) for row in codes]
        return {code.code: code for code in found}, "TaxCode"
    if groups is None and codes is None:
        return None, "TaxGroup"
    return {}, "TaxGroup"


def _vat_rates(row: Mapping[str, Any]) -> tuple[tuple[str, Decimal], ...]:
    lines = [line for line in row.get("VatGroups_Lines") or () if isinstance(line, dict)]
    return tuple(sorted((_day(line.get("Effectivefrom")), _decimal(line.get("Rate"))) for line in lines))


def _sales_rate(row: Mapping[str, Any]) -> tuple[tuple[str, Decimal], ...]:
    return (("", _decimal(row["Rate"])),) if row.get("Rate") is not None else ()


# -- business partners ------------------------------------------------------------------------------------------------


def read_suppliers(
    client: ServiceLayer, codes: Iterable[str], properties: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """The partners of these codes by the code that was asked for; a server may ignore upper and lower case.

    Args:
        client: The Service Layer.
        codes: `CardCode`s; those that SAP does not have are missing in the answer.
        properties: More properties than the few that are always read; ones that SAP does not have are left out.

    Returns:
        The partners' properties, whatever their type, each with its ETag under `ETAG` (empty where SAP has none).
    """
    asked = sorted({code for code in codes if code})
    optional = tuple(dict.fromkeys(("CardName", "Frozen", "Valid", "Currency", "DataVersion", *sorted(properties))))
    by_code: dict[str, dict[str, Any]] = {}
    for condition, _ in key_filters("CardCode", asked):
        for row in _rows(client, "BusinessPartners", ("CardCode", "CardType"), optional, condition):
            by_code[_text(row["CardCode"])] = {**row, ETAG: _etag(row)}
    folded = {code.casefold(): row for code, row in by_code.items()}
    found = {code: by_code.get(code) or folded.get(code.casefold()) for code in asked}
    return {code: row for code, row in found.items() if row is not None}


def _etag(row: Mapping[str, Any]) -> str:
    """The ETag of a partner. That in the row may be wrong: with `$select` some builds always give the first version's.

    Source: the Service Layer manual, 5.3: SHA-1 of `DataVersion` in decimal.
    """
    version = row.get("DataVersion")
    if version is None:
        return ""
    return f'W/"{hashlib.sha1(str(version).encode(), usedforsecurity=False).hexdigest().upper()}"'


def _tax_id_holders(
    client: ServiceLayer, tax_ids: Mapping[str, set[str]], known: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """Suppliers by the tax ids of those vendors that SAP does not have under their own code."""
    asked = sorted(
        {form for tax_id, codes in tax_ids.items() if not codes <= set(known) for form in tax_id_forms(tax_id)}
    )
    holders: dict[str, set[str]] = {}
    for condition, _ in key_filters("FederalTaxID", asked):
        filtered = both(condition, f"CardType eq '{SUPPLIER}'")
        for row in _rows(client, "BusinessPartners", ("CardCode", "FederalTaxID"), (), filtered):
            holders.setdefault(_text(row["FederalTaxID"]), set()).add(_text(row["CardCode"]))
    return {tax_id: tuple(sorted(codes)) for tax_id, codes in sorted(holders.items())}


# -- exchange rates ---------------------------------------------------------------------------------------------------


def _rates(
    client: ServiceLayer, wanted: Iterable[tuple[str, str]], local_currency: str
) -> tuple[dict[str, Decimal | None], tuple[str, ...]]:
    """SAP tells one rate at a time, so a few are asked for side by side, after the first has shown that it does."""
    asked = [each for each in sorted(wanted) if each[0] != local_currency and is_currency(each[0])]
    rates: dict[str, Decimal | None] = {}
    missing = []
    answers = list(map(partial(_rate_or_refusal, client), asked[:1]))
    if answers and not _no_such_function(answers[0]):
        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="rates") as pool:
            answers += pool.map(partial(_rate_or_refusal, client), asked[1:])
    for (currency, day), answer in zip(asked, answers, strict=False):
        if not isinstance(answer, SapError):
            rates[_rate_key(currency, day)] = answer
        elif _says_no_rate(answer):
            missing.append(_rate_key(currency, day))
        else:
            log.info("SAP does not tell exchange rates (%s); it computes local amounts itself", answer)
    return rates, tuple(missing)


def _rate_or_refusal(client: ServiceLayer, asked: tuple[str, str]) -> Decimal | SapError | None:
    try:
        return _rate(client, *asked)
    except SapError as error:
        return error


def _no_such_function(answer: Decimal | SapError | None) -> bool:
    return isinstance(answer, SapError) and (answer.status == 404 or answer.code in _NO_SUCH_FUNCTION)


def _rate(client: ServiceLayer, currency: str, day: str) -> Decimal | None:
    name = "SBOBobService_GetCurrencyRate"
    body = msgspec.json.encode({"Currency": currency, "Date": day.replace("-", "")})
    answer = _decode(client.action(name, body), name)
    if isinstance(answer, dict):
        answer = answer.get("value")
    rate = _decimal(answer)
    return rate if rate > 0 else None


def _says_no_rate(error: SapError) -> bool:
    return error.status == 400 and (error.code in _NO_RATE_CODES or "exchange rate" in error.message.lower())


def _rate_key(currency: str, day: str) -> str:
    return f"{currency} {day}"


# -- reading ----------------------------------------------------------------------------------------------------------


def _rows_or_none(
    client: ServiceLayer, name: str, required: Sequence[str], optional: Sequence[str]
) -> list[dict[str, Any]] | None:
    """None when this server does not have the set, or this user may not read it."""
    try:
        return _rows(client, name, required, optional)
    except SapError as error:
        log.warning("%s cannot be read from SAP (%s)", name, error)
        return None


def _rows(
    client: ServiceLayer, name: str, required: Sequence[str], optional: Sequence[str], condition: str | None = None
) -> list[dict[str, Any]]:
    """All records of a set; optional properties that this company's Service Layer does not have are left out."""
    left = list(optional)
    while True:
        try:
            return list(_walk(client, name, (*required, *left), condition))
        except SapError as error:
            if error.status != 400 or error.code != UNKNOWN_PROPERTY or not left:
                raise
            # The text is localised; only the quoted name in it is looked at. One without a name costs all of them.
            named = set(_QUOTED.findall(error.message))
            if named & set(required):
                raise
            left = [each for each in left if each not in named] if named & set(left) else []
            log.info("%s is read without the properties that this company does not have: %s", name, error)


def _walk(client: ServiceLayer, name: str, select: tuple[str, ...], condition: str | None) -> Iterator[dict[str, Any]]:
    entity = entity_set(name)
    query = KeysetQuery(name, entity.key, entity.key_type, condition, select)
    for page in KeysetWalk(partial(client.get_page, name), query):
        for row in _decode(page.body, name)["value"]:
            if not isinstance(row, dict):
                raise ContractBroken(f"SAP Business One lists something else than objects under {name}.")
            yield row


def _decode(body: bytes, what: str) -> Any:
    try:
        return _decoder.decode(body.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractBroken(f"SAP Business One answers {what} with something that is not JSON ({error}).") from None


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _day(value: Any) -> str:
    """`2026-01-31` of either root's form; the time and the `Z` behind it say nothing."""
    return _text(value)[:10]


def _is_yes(value: Any) -> bool:
    return value in (_YES, "Y")


def _number(value: Any) -> int:
    text = _text(value)
    return int(text) if text.isdigit() else 0


def _decimal(value: Any) -> Decimal:
    """A number of SAP's, which are doubles: ten decimals are more than any rate has. What is no number is zero."""
    try:
        exact = Decimal(_text(value) or 0)
    except ArithmeticError:
        return Decimal(0)
    return round(exact, 10) if exact.is_finite() else Decimal(0)
