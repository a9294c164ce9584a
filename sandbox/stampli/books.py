"""What of a company's books Stampli's users code their invoices with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.table import Record

CLEARING_ACCOUNTS = {"ACH": "580100", "CHECK": "580200", "CARD": "580300", "EXTERNAL": "580900"}
"""Payment method → number of the account a payment is credited to."""


@dataclass(frozen=True)
class Account:
    """A G/L account that may be posted to by hand.

    Attributes:
        number: What a person writes, and a file carries: `FormatCode`.
        code: SAP's key, `Code`; the same but in companies with segmented accounts.
    """

    number: str
    code: str
    needs_cost_centre: bool = False
    needs_project: bool = False


@dataclass(frozen=True)
class TaxCode:
    """An input tax. `rate` is in percent; `account` is where SAP books it."""

    code: str
    rate: Decimal
    account: str


@dataclass(frozen=True)
class Supplier:
    """An active supplier of the company, with what Stampli would know of it."""

    code: str
    name: str
    currency: str
    tax_id: str = ""
    email: str = ""
    phone: str = ""
    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True)
class Books:
    """Codes to write invoices with, and suppliers to write them for."""

    local_currency: str = "EUR"
    accounts: tuple[Account, ...] = (Account("600000", "600000"), Account("610000", "610000"))
    tax_codes: tuple[TaxCode, ...] = ()
    cost_centres: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    suppliers: tuple[Supplier, ...] = ()
    clearing: Mapping[str, str] = field(default_factory=lambda: dict(CLEARING_ACCOUNTS))
    """Payment method → account code."""

    @classmethod
    def of(
        cls,
        company: Company,
        on: date,
        *,
        cost_centres: tuple[str, ...] = (),
        projects: tuple[str, ...] = (),
        clearing: Mapping[str, str] = CLEARING_ACCOUNTS,
    ) -> Books:
        """Reads what may be used on a day.

        Args:
            company: The books.
            on: Projects, cost centres and tax rates are those of this day.
            cost_centres: Codes to use where the company has no distribution rules.
            projects: Codes to use where the company has no projects.
            clearing: Payment method → account number.
        """
        day = on.isoformat()
        every = _rows(company, "ChartOfAccounts")
        code_of = {_number(row): str(row["Code"]) for row in every}
        return cls(
            local_currency=company.local_currency,
            accounts=tuple(_account(row) for row in every if _takes_costs(row)),
            tax_codes=tuple(_tax_code(row, day) for row in _rows(company, "VatGroups") if _is_input_tax(row, day)),
            cost_centres=_active_rules(company) or cost_centres,
            projects=tuple(row["Code"] for row in _rows(company, "Projects") if _is_open(row, day)) or projects,
            suppliers=tuple(_supplier(row) for row in _rows(company, "BusinessPartners") if _is_supplier(row)),
            clearing={method: code_of.get(number, number) for method, number in clearing.items()},
        )

    def account_code(self, number: str) -> str:
        """SAP's key of an account, from the number in a file. Raises KeyError when the books lack it."""
        return next(account.code for account in self.accounts if account.number == number)

    def tax_code(self, code: str) -> TaxCode:
        """A tax code by its code."""
        return next(tax for tax in self.tax_codes if tax.code == code)

    def suppliers_in(self, currency: str) -> tuple[Supplier, ...]:
        """Suppliers that may be invoiced in a currency."""
        return tuple(supplier for supplier in self.suppliers if supplier.currency in (currency, "##"))


def _rows(company: Company, entity_set: str) -> list[Record]:
    return company.rows(entity_set) if entity_set in company.tables else []


def _number(row: Record) -> str:
    return str(row["FormatCode"] or row["Code"])


def _account(row: Record) -> Account:
    return Account(
        number=_number(row),
        code=row["Code"],
        needs_cost_centre=row.get("DistributionRuleRelevant") == "tYES",
        needs_project=row.get("ProjectRelevant") == "tYES",
    )


def _takes_costs(row: Record) -> bool:
    refused = ("FrozenFor", "LockManualTransaction", "BlockManualPosting")
    return (
        row["AccountType"] == "at_Expenses"
        and row["ActiveAccount"] == "tYES"
        and row["AcctCurrency"] in (None, "", "##")
        and not any(row.get(name) == "tYES" for name in refused)
    )


def _is_input_tax(row: Record, day: str) -> bool:
    return (
        row["Category"] == "bovcInputTax"
        and row["Inactive"] != "tYES"
        and bool(row["TaxAccount"])
        and _rate(row, day) is not None
    )


def _tax_code(row: Record, day: str) -> TaxCode:
    rate = _rate(row, day)
    assert rate is not None
    return TaxCode(row["Code"], rate, row["TaxAccount"])


def _rate(row: Record, day: str) -> Decimal | None:
    """The rate of the newest line in effect; None when none is."""
    lines = [line for line in row["VatGroups_Lines"] if str(line["Effectivefrom"])[:10] <= day]
    newest: dict[str, Any] | None = max(lines, key=lambda line: str(line["Effectivefrom"]), default=None)
    return None if newest is None else Decimal(str(newest["Rate"]))


def _active_rules(company: Company) -> tuple[str, ...]:
    """Distribution rules of the first dimension; cost centres where there are no rules."""
    rules = [(row, row["FactorCode"]) for row in _rows(company, "DistributionRules")]
    centres = [(row, row["CenterCode"]) for row in _rows(company, "ProfitCenters")]
    return tuple(
        code for row, code in rules or centres if row["InWhichDimension"] == 1 and row.get("Active") in (None, "tYES")
    )


def _is_open(row: Record, day: str) -> bool:
    begins, ends = str(row["ValidFrom"] or "")[:10], str(row["ValidTo"] or "9999")[:10]
    return row["Active"] != "tNO" and begins <= day <= ends


def _is_supplier(row: Record) -> bool:
    return row["CardType"] == "cSupplier" and row["Valid"] == "tYES" and row["Frozen"] != "tYES"


def _supplier(row: Record) -> Supplier:
    """The supplier with its first billing address; without one, the address stays empty."""
    addresses: list[Record] = row["BPAddresses"]
    bill_to = next((address for address in addresses if address["AddressType"] == "bo_BillTo"), {})
    text = {name: str(value or "") for name, value in {**bill_to, **_plain(row)}.items()}
    return Supplier(
        code=text["CardCode"], name=text["CardName"], currency=text["Currency"], tax_id=text["FederalTaxID"],
        email=text["EmailAddress"], phone=text["Phone1"], street=text.get("Street", ""), city=text.get("City", ""),
        state=text.get("State", ""), postal_code=text.get("ZipCode", ""), country=text.get("Country", ""),
    )  # fmt: skip


def _plain(row: Record) -> Record:
    return {name: row[name] for name in ("CardCode", "CardName", "Currency", "FederalTaxID", "EmailAddress", "Phone1")}
