"""Service Layer's entity sets: their keys, and by which columns changes can be found.

Source: `$metadata` of v1 and v2 and SAP's API reference, which agree. Payments, journal entries and set-up tables have
no change columns at all: a filter on `UpdateDate` there is refused with 400/201.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tieout.errors import ConfigurationInvalid
from tieout.odata.query import KeyType


@dataclass(frozen=True)
class EntitySet:
    """Key and change columns of an entity set.

    Attributes:
        name: Its name in URLs.
        key: The key property.
        key_type: Type of the key.
        updated: Date of the last change, or None.
        created: Date of creation, or None; some old rows have no date of change.
    """

    name: str
    key: str
    key_type: KeyType = KeyType.INTEGER
    updated: str | None = None
    created: str | None = None

    @property
    def change_columns(self) -> tuple[str, ...]:
        """The columns that tell of changes; empty where there are none."""
        return tuple(column for column in (self.updated, self.created) if column)


def _document(name: str) -> EntitySet:
    return EntitySet(name, "DocEntry", KeyType.INTEGER, "UpdateDate", "CreationDate")


def _master(name: str, key: str) -> EntitySet:
    return EntitySet(name, key, KeyType.TEXT, "UpdateDate", "CreateDate")


def _table(name: str, key: str, key_type: KeyType = KeyType.TEXT) -> EntitySet:
    return EntitySet(name, key, key_type)


_ALL = (
    _master("BusinessPartners", "CardCode"),
    _master("Items", "ItemCode"),
    _document("Invoices"),
    _document("CreditNotes"),
    _document("Orders"),
    _document("DeliveryNotes"),
    _document("PurchaseOrders"),
    _document("PurchaseInvoices"),
    _document("PurchaseCreditNotes"),
    _document("Drafts"),
    _table("IncomingPayments", "DocEntry", KeyType.INTEGER),
    _table("VendorPayments", "DocEntry", KeyType.INTEGER),
    _table("JournalEntries", "JdtNum", KeyType.INTEGER),
    _table("Attachments2", "AbsoluteEntry", KeyType.INTEGER),
    _table("ChartOfAccounts", "Code"),
    _table("VatGroups", "Code"),
    _table("SalesTaxCodes", "Code"),
    _table("Projects", "Code"),
    _table("ProfitCenters", "CenterCode"),
    _table("DistributionRules", "FactorCode"),
    _table("Dimensions", "DimensionCode", KeyType.INTEGER),
    _table("Currencies", "Code"),
    _table("Warehouses", "WarehouseCode"),
    _table("PaymentTermsTypes", "GroupNumber", KeyType.INTEGER),
)

ENTITY_SETS = {entity.name: entity for entity in _ALL}


def entity_set(name: str) -> EntitySet:
    """An entity set by name.

    Raises:
        ConfigurationInvalid: It is not known.
    """
    try:
        return ENTITY_SETS[name]
    except KeyError:
        raise ConfigurationInvalid(
            f"SAP Business One entity set {name!r} is not known; known are {', '.join(sorted(ENTITY_SETS))}."
        ) from None


def window_filter(entity: EntitySet, since: date | None, until: date | None = None) -> str | None:
    """The filter for what last changed on the days from `since` to before `until`.

    Days are company-local dates. None without change columns, or without either end: everything is read then.

    >>> window_filter(entity_set("Invoices"), date(2026, 1, 5))
    "UpdateDate ge '2026-01-05' or CreationDate ge '2026-01-05'"
    >>> window_filter(entity_set("Invoices"), date(2026, 1, 5), date(2026, 1, 6))
    "(UpdateDate ge '2026-01-05' and UpdateDate lt '2026-01-06')"
    """
    # A row without a date of change never matches on it, and that `eq null` may be asked is nowhere documented. Where
    # the end is open, the date of creation finds such rows. A closed window is exactly the days of the last change: a
    # row that was created in it and changed after it belongs to that later day's window.
    columns = entity.change_columns if until is None else entity.change_columns[:1]
    conditions = [_within(column, since, until) for column in columns]
    return " or ".join(condition for condition in conditions if condition) or None


def _within(column: str, since: date | None, until: date | None) -> str:
    lower = f"{column} ge '{since.isoformat()}'" if since else ""
    upper = f"{column} lt '{until.isoformat()}'" if until else ""
    return f"({lower} and {upper})" if lower and upper else lower or upper
