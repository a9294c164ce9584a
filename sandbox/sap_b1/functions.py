"""Functions of the Service Layer that read: the company's details, an exchange rate."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox.http_server import Reply, Request
from sandbox.sap_b1.bodies import check_values
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.edm import DATE, TEXT, EntitySet
from sandbox.sap_b1.errors import invalid_body, refused
from sandbox.sap_b1.replies import json_content

_RATE_PARAMETERS = EntitySet("", "CurrencyRate", "Currency", TEXT, {"Currency": TEXT, "Date": DATE})


def admin_info(_request: Request, version: str, company: Company) -> Reply:
    """`CompanyService_GetAdminInfo`."""
    return json_content(
        {
            "CompanyName": company.database, "LocalCurrency": company.local_currency,
            "SystemCurrency": company.system_currency, "DirectIndirectRate": "tYES",
        },
        version,
    )  # fmt: skip


def currency_rate(request: Request, version: str, company: Company) -> Reply:
    """`SBOBobService_GetCurrencyRate`: the bare number."""
    try:
        parameters = check_values(request.json(), _RATE_PARAMETERS)
    except ValueError:
        raise invalid_body() from None
    currency, day = parameters.get("Currency"), parameters.get("Date")
    if not currency or not day:
        raise refused(-5002, "Specify Currency and Date")
    rate: Decimal = company.rates.needed(currency, day)
    return json_content(float(rate), version)


FUNCTIONS: dict[str, Callable[[Request, str, Company], Any]] = {
    "CompanyService_GetAdminInfo": admin_info,
    "SBOBobService_GetCurrencyRate": currency_rate,
}
"""Path → what a POST to it answers."""
