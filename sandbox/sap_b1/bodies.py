"""Bodies of POST and PATCH: JSON → values of the entity's own types, refused as the Service Layer refuses them."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from sandbox.sap_b1.edm import DATE, DOUBLE, INTEGER, TEXT, TIME, EntitySet
from sandbox.sap_b1.errors import invalid_body, invalid_value, unknown_property, value_too_long
from sandbox.sap_b1.schema import ENUMS

Values = dict[str, Any]

_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:T00:00:00(?:\.0+)?Z?)?")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")

MAX_LENGTHS: dict[str, dict[str, int]] = {
    "JournalEntry": {
        "Memo": 50, "Reference": 100, "Reference2": 100, "Reference3": 27, "TransactionCode": 4, "ProjectCode": 20,
        "Indicator": 2,
    },
    "JournalEntryLine": {
        "AccountCode": 15, "ShortName": 15, "ContraAccount": 15, "LineMemo": 50, "Reference1": 100, "Reference2": 100,
        "AdditionalReference": 27, "ProjectCode": 20, "CostingCode": 8, "CostingCode2": 8, "CostingCode3": 8,
        "CostingCode4": 8, "CostingCode5": 8, "TaxGroup": 8, "TaxCode": 8, "FCCurrency": 3,
    },
    "BusinessPartner": {
        "CardCode": 15, "CardName": 100, "FederalTaxID": 32, "VatIDNum": 32, "UnifiedFederalTaxID": 32,
        "Currency": 3, "EmailAddress": 100, "Phone1": 20, "Phone2": 20, "Cellular": 50, "Fax": 20, "Website": 100,
        "Country": 3, "City": 100, "ZipCode": 20, "County": 100, "Block": 100, "Address": 100, "FatherCard": 15,
        "ProjectCode": 20, "VatGroup": 8, "DebitorAccount": 15,
    },
    "BPAddress": {
        "AddressName": 50, "Street": 100, "StreetNo": 100, "Block": 100, "City": 100, "ZipCode": 20, "County": 100,
        "State": 3, "Country": 3, "FederalTaxID": 32,
    },
    "ContactEmployee": {
        "Name": 50, "FirstName": 50, "LastName": 50, "E_Mail": 100, "Phone1": 20, "MobilePhone": 50, "Position": 90,
    },
}  # fmt: skip
"""Type → property → characters its column has. Some are known from public sources, the rest is the usual width."""


def parse_body(body: bytes, entity: EntitySet) -> Values:
    """Reads a body.

    Returns:
        Property → text, int, Decimal, `YYYY-MM-DD`, or an enumeration's name; collections as lists of the same.

    Raises:
        ServiceLayerError: -1000 for no JSON, an unknown property or a text that is too long, -1004 for a value of
            the wrong type.
    """
    try:
        content = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except ValueError:
        raise invalid_body() from None
    return check_values(content, entity)


def check_values(content: Any, entity: EntitySet) -> Values:
    """As `parse_body`, of what JSON gave already."""
    if not isinstance(content, dict):
        raise invalid_body()
    values: Values = {}
    for name, value in content.items():
        if name in entity.collections:
            values[name] = _members(value, entity, name)
        elif not _is_annotation(name):
            values[name] = _property(name, value, entity.properties, entity.type_name)
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _is_annotation(name: str) -> bool:
    return name.startswith("odata.") or "@odata." in name


def _members(value: Any, entity: EntitySet, collection: str) -> list[Values]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid_body()
    properties, type_name = entity.collections[collection], entity.member_type(collection)
    members = []
    for member in value:
        if not isinstance(member, dict):
            raise invalid_body()
        members.append(
            {name: _property(name, part, properties, type_name) for name, part in member.items()
             if not _is_annotation(name)}
        )  # fmt: skip
    return members


def _property(name: str, value: Any, properties: dict[str, str], type_name: str) -> Any:
    kind = properties.get(name)
    if kind is None:
        raise unknown_property(name, type_name)
    if value is None:
        return None
    if kind in ENUMS:
        return _member_name(name, value, ENUMS[kind])
    typed = _typed(kind, value)
    if typed is None:
        raise invalid_value(value, name)
    if kind == TEXT and len(typed) > MAX_LENGTHS.get(type_name, {}).get(name, 254):
        raise value_too_long(name, type_name)
    return typed


def _member_name(name: str, value: Any, members: dict[str, str]) -> str:
    by_code = {code: member for member, code in members.items()}
    found = value if value in members else by_code.get(value)
    if not isinstance(value, str) or found is None:
        raise invalid_value(value, name, members)
    return str(found)


def _typed(kind: str, value: Any) -> Any:
    """The value in its property's type; None where it has another. Numbers may come as text."""
    if kind == INTEGER:
        return int(value) if _is_number(value) and re.fullmatch(r"-?\d+", str(value)) else None
    if kind == DOUBLE:
        return _decimal(value) if _is_number(value) else None
    if not isinstance(value, str):
        return None
    if kind == DATE:
        return _date(value)
    if kind == TIME:
        return value if _TIME.fullmatch(value) else None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal | str) and not isinstance(value, bool)


def _decimal(value: Any) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _date(text: str) -> str | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups())).isoformat()
    except ValueError:
        return None
