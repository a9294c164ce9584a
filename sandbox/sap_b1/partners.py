"""Business partners as the Service Layer creates and changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.sap_b1.bodies import Values
from sandbox.sap_b1.errors import changed_meanwhile, no_such_key, refused
from sandbox.sap_b1.schema import ENTITY_SETS
from sandbox.sap_b1.table import Record, copy_of, etag

if TYPE_CHECKING:
    from sandbox.sap_b1.company import Company

ENTITY = ENTITY_SETS["BusinessPartners"]

_ASSIGNED = (
    "CardCode", "CreateDate", "CreateTime", "UpdateDate", "UpdateTime", "DataVersion", "CurrentAccountBalance",
    "OpenDeliveryNotesBalance", "OpenOrdersBalance",
)  # fmt: skip
_GROUPS = {"cCustomer": 100, "cSupplier": 101, "cLid": 100}
_MEMBER_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "BPAddresses": (("RowNum",), ("AddressName", "AddressType")),
    "ContactEmployees": (("InternalCode",), ("Name",)),
    "BPPaymentMethods": (("PaymentMethodCode",),),
    "BPBankAccounts": (("InternalKey",),),
    "BPFiscalTaxIDCollection": (("Address",),),
    "BPBranchAssignment": (("BPLID",),),
}
"""Collection → properties by which a sent row finds the stored one, the first that the sent row has."""
_REQUIRED = {"BPAddresses": "AddressName", "ContactEmployees": "Name"}


def create(company: Company, values: Values) -> str:
    """Creates a business partner and returns its CardCode.

    Raises:
        ServiceLayerError: -5002 for a missing or wrong value, -10 for a code that is taken.
    """
    code = values.get("CardCode")
    if not code:
        raise refused(-5002, "Code undefined  [OCRD.CardCode]")
    if code in company.tables["BusinessPartners"].rows:
        raise refused(
            -10, f"1320000140 - Business partner code '{code}' already assigned to a business partner; enter a unique "
            "business partner code",
        )  # fmt: skip
    kind = values.get("CardType") or "cCustomer"
    defaults = {
        "CardType": kind, "GroupCode": _GROUPS[kind], "Currency": company.local_currency, "PayTermsGrpCode": -1,
        "VatLiable": "vLiable", "DebitorAccount": company.control_accounts.get(kind), "Valid": "tNO", "Frozen": "tNO",
        "Series": 2 if kind == "cSupplier" else 1, "PaymentBlock": "tNO", "SinglePayment": "tNO",
        "CollectionAuthorization": "tNO", "CreditLimit": 0,
    }  # fmt: skip
    sent = {name: value for name, value in values.items() if name not in _ASSIGNED and value is not None}
    record: Record = {
        **ENTITY.blank(), **defaults, **sent, "CardCode": code, "CurrentAccountBalance": 0.0,
        **{collection: [] for collection in ENTITY.collections},
    }  # fmt: skip
    for collection in ENTITY.collections:
        _merge(company, record, collection, values.get(collection) or [], replace=True)
    _check(company, record)
    company.insert("BusinessPartners", _stored(record))
    return str(code)


def change(company: Company, code: str, values: Values, *, if_match: str | None, replace_collections: bool) -> None:
    """Changes a business partner: what is sent changes, the rest stays.

    Args:
        company: Whose business partner it is.
        code: Its CardCode.
        values: The body; rows of collections are matched by key, others are added.
        if_match: The ETag it must have; a value that does not begin with `W/` is not looked at.
        replace_collections: A collection that is sent takes the place of the stored one.

    Raises:
        ServiceLayerError: 404/-2028, 412/-2039, or -5002 for a wrong value.
    """
    stored = company.tables["BusinessPartners"].rows.get(code)
    if stored is None:
        raise no_such_key(code)
    if if_match is not None and if_match.startswith("W/") and if_match != etag(stored["DataVersion"]):
        raise changed_meanwhile()
    record = copy_of(stored)
    for name, value in values.items():
        if name in ENTITY.collections:
            _merge(company, record, name, value, replace=replace_collections)
        elif name not in _ASSIGNED:
            record[name] = value
    _check(company, record)
    changed = _stored({name: record[name] for name in values if name not in _ASSIGNED})
    company.update("BusinessPartners", code, changed)


def _merge(company: Company, record: Record, collection: str, sent: list[Values], *, replace: bool) -> None:
    rows: list[Record] = [] if replace else record[collection]
    earlier: list[Record] = record[collection]
    for values in sent:
        row = _matching(earlier, collection, values)
        if row is None:
            row = ENTITY.blank_member(collection)
            _assign_keys(company, row, collection, record["CardCode"], rows + earlier)
        if not any(row is other for other in rows):
            rows.append(row)
        row.update({name: value for name, value in values.items() if name not in ("RowNum", "InternalCode", "BPCode")})
        required = _REQUIRED.get(collection)
        if required is not None and not row[required]:
            column = "CRD1.Address" if collection == "BPAddresses" else "OCPR.Name"
            raise refused(-5002, f"Specify a name  [{column}]")
    record[collection] = rows


def _matching(rows: list[Record], collection: str, values: Values) -> Record | None:
    for names in _MEMBER_KEYS[collection]:
        if all(values.get(name) is not None for name in names):
            return next((row for row in rows if all(row[name] == values[name] for name in names)), None)
    return None


def _assign_keys(company: Company, row: Record, collection: str, code: str, others: list[Record]) -> None:
    if collection == "BPAddresses":
        row.update(BPCode=code, RowNum=1 + max((other["RowNum"] for other in others), default=-1))
        row.update(AddressType="bo_ShipTo", CreateDate=company.local_now().date().isoformat())
    elif collection == "ContactEmployees":
        row.update(CardCode=code, InternalCode=_next_contact(company, others), Active="tYES")
    else:
        row["BPCode"] = code
        if collection == "BPBankAccounts":
            row["InternalKey"] = 1 + max((other["InternalKey"] or 0 for other in others), default=0)


def _next_contact(company: Company, others: list[Record]) -> int:
    partners = company.tables["BusinessPartners"].rows.values()
    stored = [contact["InternalCode"] for partner in partners for contact in partner["ContactEmployees"]]
    return 1 + max([*stored, *(other["InternalCode"] for other in others)], default=0)


def _check(company: Company, record: Record) -> None:
    """What a business partner refers to must be there."""
    currency, terms = record["Currency"], record["PayTermsGrpCode"]
    if currency not in ("##", None) and currency not in company.tables["Currencies"].rows:
        raise refused(-5002, f"Invalid currency  [OCRD.Currency] , '{currency}'")
    if terms is not None and terms not in company.tables["PaymentTermsTypes"].rows:
        raise refused(-5002, f"Linked value does not exist  [OCRD.GroupNum] , '{terms}'")
    account = company.tables["ChartOfAccounts"].rows.get(record["DebitorAccount"])
    if record["CardType"] != "cLid" and (account is None or account["LockManualTransaction"] != "tYES"):
        raise refused(-5002, f"Invalid G/L account  [OCRD.DebPayAcct] , '{record['DebitorAccount']}'")
    _check_tax(company, record["VatGroup"])
    names = [(row["AddressName"], row["AddressType"]) for row in record["BPAddresses"]]
    contacts = [row["Name"] for row in record["ContactEmployees"]]
    if len(set(names)) < len(names) or len(set(contacts)) < len(contacts):
        raise refused(-2035, "This entry already exists in the following tables (ODBC -2035)")


def _check_tax(company: Company, code: str | None) -> None:
    if code and company.tax_property == "VatGroup" and code not in company.tables["VatGroups"].rows:
        raise refused(-5002, f"Invalid tax code  [OCRD.ECVatGroup] , '{code}'")


def _stored(values: Record) -> Record:
    """Amounts as doubles, as every record holds them."""
    doubles = {name for name, kind in ENTITY.properties.items() if kind == "Edm.Double"}
    plain: dict[str, Any] = dict(values)
    for name in doubles & plain.keys():
        plain[name] = None if plain[name] is None else float(plain[name])
    return plain
