"""Set-up of the generated company that postings refer to: cost centres, projects, currencies, payment terms.

Of everything there is a bad one too: an inactive rule, a cost centre without a rule, an expired project.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.money import CURRENCY_DECIMALS

_DIMENSIONS = [
    (1, "Cost centre", "tYES"), (2, "Department", "tYES"), (3, "Location", "tYES"),
    (4, "Dimension 4", "tNO"), (5, "Dimension 5", "tNO"),
]  # fmt: skip
_COST_CENTRES = [
    ("CC-100", "Management", 1, None), ("CC-200", "Sales & Märkte", 1, None), ("CC-300", "Production", 1, None),
    ("CC-310", "Warehouse", 1, None), ("CC-400", "IT", 1, None), ("CC-900", "Closed branch", 1, "2024-12-31"),
    ("D-FIN", "Finance", 2, None), ("D-OPS", "Operations", 2, None), ("D-MKT", "Marketing", 2, None),
    ("L-ANT", "Antwerpen", 3, None), ("L-GNT", "Gent", 3, None),
]  # fmt: skip
_WITHOUT_RULE = ("Centr_z", "General cost centre", 1)
_SPLIT_RULE = ("SPLIT-12", "Management and sales", 1, [("CC-100", 60), ("CC-200", 40)])
_PROJECTS = [
    ("PRJ-100", "New warehouse", "2023-01-01", None, "tYES"),
    ("PRJ-200", "ERP, Phase „zwei“", "2024-01-01", "2035-12-31", "tYES"),
    ("PRJ-OLD", "Moved offices", "2022-01-01", "2024-12-31", "tYES"),
    ("PRJ-OFF", "Never started", None, None, "tNO"),
]
_CURRENCY_NAMES = {
    "EUR": ("Euro", "Cent"), "USD": ("US Dollar", "Cent"), "GBP": ("Pound Sterling", "Penny"),
    "CHF": ("Swiss Franc", "Rappen"), "SEK": ("Swedish Krona", "Öre"), "JPY": ("Yen", None),
    "KWD": ("Kuwaiti Dinar", "Fils"),
}  # fmt: skip
_DECIMALS_NAMES = {0: "cdWithoutDecimals", 2: "cdDefault", 3: "cd3Digits"}
_PAYMENT_TERMS = [
    (-1, "- Cash Basic -", 0, 0, 0.0), (1, "Net 30", 0, 30, 0.0), (2, "Net 60", 0, 60, 0.0),
    (3, "End of month + 30", 1, 0, 0.0), (4, "2 % 10, Net 30", 0, 30, 2.0),
]  # fmt: skip


def add_cost_accounting(company: Company) -> None:
    """Adds dimensions, cost centres with their rules, projects, currencies and payment terms."""
    for number, name, active in _DIMENSIONS:
        company.insert("Dimensions", {"DimensionCode": number, "DimensionName": name, "IsActive": active})
    for code, name, dimension, closed in _COST_CENTRES:
        _cost_centre(company, code, name, dimension, closed)
        _rule(company, code, name, dimension, [(code, 100)], closed=closed)
    code, name, dimension = _WITHOUT_RULE
    _cost_centre(company, code, name, dimension, None)
    code, name, dimension, shares = _SPLIT_RULE
    _rule(company, code, name, dimension, shares)
    for code, name, first, last, active in _PROJECTS:
        values = {"Code": code, "Name": name, "ValidFrom": first, "ValidTo": last, "Active": active}
        company.insert("Projects", values)
    for code, (name, hundredth) in _CURRENCY_NAMES.items():
        company.insert("Currencies", _currency(code, name, hundredth))
    for number, name, months, days, discount in _PAYMENT_TERMS:
        company.insert(
            "PaymentTermsTypes",
            {
                "GroupNumber": number, "PaymentTermsGroupName": name,
                "StartFrom": "pdt_MonthEnd" if months else "pdt_None",
                "NumberOfAdditionalMonths": months, "NumberOfAdditionalDays": days, "GeneralDiscount": discount,
                "InterestOnArrears": 0.0, "NumberOfToleranceDays": 0, "NumberOfInstallments": 1,
            },
        )  # fmt: skip


def _cost_centre(company: Company, code: str, name: str, dimension: int, closed: str | None) -> None:
    company.insert(
        "ProfitCenters",
        {
            "CenterCode": code, "CenterName": name, "InWhichDimension": dimension, "EffectiveFrom": "2020-01-01",
            "EffectiveTo": closed, "Active": "tNO" if closed else "tYES",
        },
    )  # fmt: skip


def _rule(
    company: Company, code: str, name: str, dimension: int, shares: list[tuple[str, int]], *, closed: str | None = None
) -> None:
    lines: list[dict[str, Any]] = [
        {"CenterCode": centre, "TotalInCenter": float(Decimal(share)), "EffectiveFrom": "2020-01-01",
         "EffectiveTo": closed}
        for centre, share in shares
    ]  # fmt: skip
    company.insert(
        "DistributionRules",
        {
            "FactorCode": code, "FactorDescription": name, "TotalFactor": 100.0, "InWhichDimension": dimension,
            "Direct": "tYES" if len(shares) == 1 else "tNO", "Active": "tNO" if closed else "tYES",
            "DistributionRuleLines": lines,
        },
    )  # fmt: skip


def _currency(code: str, name: str, hundredth: str | None) -> dict[str, Any]:
    return {
        "Code": code, "Name": name, "DocumentsCode": code, "InternationalDescription": name, "HundredthName": hundredth,
        "EnglishName": name, "EnglishHundredthName": hundredth, "Decimals": _DECIMALS_NAMES[CURRENCY_DECIMALS[code]],
    }  # fmt: skip
