"""Vendors as business partners of the type supplier: code, owned properties, and what differs from SAP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tieout.currencies import is_currency
from tieout.integrations.stampli_to_sap_b1.checks import (
    MISSING_VENDOR,
    UNKNOWN_CURRENCY,
    Findings,
    mapping_missing,
    one_of,
    require_text,
    text,
)
from tieout.integrations.stampli_to_sap_b1.drafts import Hold, PartnerDraft, digest
from tieout.integrations.stampli_to_sap_b1.references import SUPPLIER, References, tax_id_forms
from tieout.integrations.stampli_to_sap_b1.rules import BusinessPartnerRules, OwnedField, filled, placeholders
from tieout.mapping.cross_reference import CrossReference
from tieout.systems.stampli.records import SourceRecord

CARD_CODE_INVALID = "CARD_CODE_INVALID"
INVALID_VALUE = "INVALID_VALUE"
VALUE_TOO_LONG = "VALUE_TOO_LONG"
VENDOR_MAY_EXIST = "VENDOR_MAY_EXIST"
WRONG_PARTNER_TYPE = "WRONG_PARTNER_TYPE"

CARD_CODE_LENGTH = 15
ADDRESSES = "BPAddresses"
ALL_CURRENCIES = "##"
BILL_TO = "bo_BillTo"
_ROW_KEYS = ("AddressName", "AddressType", "RowNum")
_NOT_IN_A_CODE = re.compile(r"[\x00-\x1f\x7f*%|?\"<>]")
_MASTER_DATA = "In SAP Business One, Business Partners > Business Partner Master Data, "
_COUNTRY = re.compile(r"[A-Z]{2}")


def card_code(
    vendor_id: str, erp_id: str, vendors: CrossReference, rules: BusinessPartnerRules, learnt: Mapping[str, str]
) -> str | None:
    """The `CardCode` of a vendor that a record names.

    Its cross-reference, else the id that Stampli keeps of the ERP, else what other records of the run tell of the
    vendor, else the template of new vendors, if the vendor id is all that it needs, else the vendor id itself.

    Returns:
        The code; None when the cross-reference demands an entry and has none; empty when the record names no vendor.
    """
    if vendor_id and vendors.has_entry(vendor_id):
        return vendors.match(vendor_id).code
    if erp_id:
        return erp_id
    if not vendor_id:
        return ""
    match = vendors.match(vendor_id)
    if match.missing or match.code != vendor_id:
        return match.code
    if vendor_id in learnt:
        return learnt[vendor_id]
    if set(placeholders(rules.card_code)) == {"vendor_id"}:
        return filled(rules.card_code, {"vendor_id": vendor_id})
    return vendor_id


def check_partner(code: str, references: References, found: Findings) -> None:
    """CARD_CODE_INVALID for what can be no code, WRONG_PARTNER_TYPE for a partner that is no supplier."""
    if len(code) > CARD_CODE_LENGTH or _NOT_IN_A_CODE.search(code):
        found.add(
            CARD_CODE_INVALID,
            f"{code!r} cannot be a business partner's code in SAP Business One: it has more than {CARD_CODE_LENGTH} "
            "characters, or one that SAP does not take.",
            "Add an entry for the vendor to vendor_codes.yaml, or give the vendor its ERP id in Stampli.",
            owner="data engineer",
        )
    kind = references.suppliers.get(code, {}).get("CardType")
    if kind is not None and kind not in (SUPPLIER, "S"):
        found.add(
            WRONG_PARTNER_TYPE,
            f"the business partner {code} in SAP Business One is no supplier.",
            _MASTER_DATA + "find the vendor's supplier; then correct the ERP id in Stampli or the entry in "
            "vendor_codes.yaml.",
        )


def partner_draft(
    record: SourceRecord, vendors: CrossReference, rules: BusinessPartnerRules, references: References
) -> PartnerDraft | Hold:
    """The business partner that a vendor's record asks for."""
    vendor_id, erp_id = text(record.header, "vendor_id"), text(record.header, "erp_vendor_id")
    found = Findings(f"Vendor {record.label or vendor_id or erp_id}")
    code = vendor_card_code(record, vendors, rules)
    if not vendor_id and not erp_id:
        found.add(MISSING_VENDOR, "it has no id.", "In Stampli, open the vendor, correct it and export it again.")
    elif code is None:
        mapping_missing(vendors.file_name, "vendor_id", vendor_id, "", found)
    else:
        check_partner(code, references, found)
        if not vendors.has_entry(vendor_id):
            _check_tax_id(record, code, references, found)
    owned, create = _properties(record, rules, found)
    if found or code is None:
        return Hold(found.reasons())
    body = {"CardCode": code, "CardType": SUPPLIER, **rules.constants, **owned, **create}
    if body.get("Frozen") == "tYES":
        body["Valid"] = "tNO"
    fingerprint = digest({"code": code, "owned": owned})
    return PartnerDraft(record.source_key, record.label, code, fingerprint, owned, body)


def vendor_card_code(record: SourceRecord, vendors: CrossReference, rules: BusinessPartnerRules) -> str | None:
    """The `CardCode` of a vendor's own record, where the template of new vendors may use all of its columns."""
    vendor_id, erp_id = text(record.header, "vendor_id"), text(record.header, "erp_vendor_id")
    if vendors.has_entry(vendor_id) or erp_id or not vendor_id:
        return card_code(vendor_id, erp_id, vendors, rules, {})
    match = vendors.match(vendor_id)
    return filled(rules.card_code, record.header) if match.code == vendor_id else match.code


def partner_changes(draft: PartnerDraft, current: Mapping[str, Any]) -> dict[str, Any]:
    """The PATCH body that gives a partner the wanted values: owned properties that differ and nothing else.

    Args:
        draft: What is wanted.
        current: The partner as SAP has it.

    Returns:
        The body; empty when nothing differs. An address is one row with its keys, which SAP merges into its own.
    """
    changes = {
        name: value
        for name, value in draft.owned.items()
        if name != ADDRESSES and _plain(current.get(name)) != _plain(value)
    }
    if "Frozen" in changes and current.get("Valid") == changes["Frozen"]:
        # SAP refuses a partner that is both active and on hold, or neither as one asks for it.
        changes["Valid"] = "tNO" if changes["Frozen"] == "tYES" else "tYES"
    for wanted in draft.owned.get(ADDRESSES, ()):
        row = _own_row(wanted, current.get(ADDRESSES) or ())
        differing = {name: value for name, value in wanted.items() if _plain(row.get(name)) != _plain(value)}
        if not row:
            changes[ADDRESSES] = [wanted]
        elif set(differing) - set(_ROW_KEYS):
            keys = {name: row[name] for name in _ROW_KEYS if row.get(name) is not None}
            changes[ADDRESSES] = [{**differing, **keys}]
    return changes


def owned_properties(rules: BusinessPartnerRules) -> set[str]:
    """The properties to read for `partner_changes`."""
    names = {*rules.owned, "Frozen", "Valid"}
    return names | {ADDRESSES} if rules.address else names


def _own_row(wanted: Mapping[str, Any], rows: Any) -> Mapping[str, Any]:
    """The bill-to address that the mapping owns: that of its name, else the only one there is."""
    bill_to = [row for row in rows if isinstance(row, Mapping) and row.get("AddressType") in (BILL_TO, "B")]
    named = [row for row in bill_to if row.get("AddressName") == wanted["AddressName"]]
    if named:
        return named[0]
    return bill_to[0] if len(bill_to) == 1 else {}


def _plain(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _properties(
    record: SourceRecord, rules: BusinessPartnerRules, found: Findings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Owned properties, and those that are set at creation only."""
    owned: dict[str, Any] = {}
    require_text(record, "name", "vendor", found)
    for name, item in rules.owned.items():
        value = _frozen(record, rules, found) if name == "Frozen" else _value(record, item, found)
        _keep(owned, name, value, rules)
    if rules.address is not None:
        row: dict[str, Any] = {}
        for name, item in rules.address.fields.items():
            value = _value(record, item, found)
            if name == "Country" and value:
                value = _country(value, found)
            _keep(row, name, value, rules)
        if any(row.values()):
            owned[ADDRESSES] = [{"AddressName": rules.address.name, "AddressType": BILL_TO, **row}]
    create: dict[str, Any] = {}
    for name, item in rules.on_create.items():
        value = _value(record, item, found)
        if name == "Currency" and value not in ("", ALL_CURRENCIES) and not is_currency(value):
            found.add(
                UNKNOWN_CURRENCY,
                f"the currency {value!r} is no code of ISO 4217.",
                "In Stampli, open the vendor, correct the currency and export it again.",
            )
        if value:
            create[name] = value
    return owned, create


def _keep(into: dict[str, Any], name: str, value: str, rules: BusinessPartnerRules) -> None:
    """An empty value leaves what SAP has, unless the rules say to clear it."""
    if value or (rules.when_empty == "clear" and name != "Frozen"):
        into[name] = value


def _value(record: SourceRecord, item: OwnedField, found: Findings) -> str:
    value = " ".join(text(record.header, item.column).split())
    if len(value) <= item.longest:
        return value
    if item.cut:
        return value[: item.longest].rstrip()
    found.add(
        VALUE_TOO_LONG,
        f"`{item.column}` has {len(value)} characters, SAP Business One takes {item.longest}.",
        "In Stampli, shorten it and export the vendor again.",
    )
    return ""


def _frozen(record: SourceRecord, rules: BusinessPartnerRules, found: Findings) -> str:
    word = text(record.header, rules.owned["Frozen"].column)
    if not word:
        return ""
    if not one_of(word, (*rules.active, *rules.inactive)):
        found.add(
            INVALID_VALUE,
            f"`{rules.owned['Frozen'].column}` is {word!r}, and nobody has said whether that means in use.",
            "Add the word to `active` or `inactive` in business_partners.yaml.",
            owner="data engineer",
        )
    return "tYES" if one_of(word, rules.inactive) else "tNO"


def _country(value: str, found: Findings) -> str:
    code = value.upper()
    if not _COUNTRY.fullmatch(code):
        found.add(
            INVALID_VALUE,
            f"the country {value!r} is no code of ISO 3166, such as DE.",
            "In Stampli, open the vendor, correct the country and export it again.",
        )
    return code


def _check_tax_id(record: SourceRecord, code: str, references: References, found: Findings) -> None:
    """VENDOR_MAY_EXIST for a new vendor whose tax id another supplier has."""
    tax_id = text(record.header, "tax_id")
    if not tax_id or code in references.suppliers:
        return
    holders = sorted(
        {holder for form in tax_id_forms(tax_id) for holder in references.tax_id_holders.get(form, ())} - {code}
    )
    if holders:
        found.add(
            VENDOR_MAY_EXIST,
            f"it would be new in SAP Business One as {code}, but the supplier{'s' if len(holders) > 1 else ''} "
            f"{', '.join(holders)} {'have' if len(holders) > 1 else 'has'} its tax id {tax_id}.",
            "If it is the same vendor, add an entry for it to vendor_codes.yaml or its ERP id in Stampli; if not, "
            "correct the tax id in Stampli or in SAP Business One.",
        )
