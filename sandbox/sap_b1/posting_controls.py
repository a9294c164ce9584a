"""Control paths for what happens in the general ledger: periods, rates, rules, entries, approvals."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.errors import ServiceLayerError
from sandbox.sap_b1.journal import PostingRules
from sandbox.simulator import NotHandled

PATHS = ("periods", "rates", "rules", "entries", "balances", "drafts")


def control_postings(company: Company, method: str, path: list[str], body: Any) -> Any:
    """Answers the control paths in `PATHS`.

    Raises:
        NotHandled: The path is unknown.
        KeyError: The thing named does not exist.
        ValueError: The body makes no sense, or the books refuse it; the message says why.
    """
    try:
        return _answer(company, method, path, body)
    except ServiceLayerError as error:
        raise ValueError(f"SAP refuses it ({error.code}): {error.message}") from None


def _answer(company: Company, method: str, path: list[str], body: Any) -> Any:
    match method, path:
        case "GET" | "POST", ["periods"]:
            return _periods(company, body or {})
        case "POST", ["rates"]:
            return _rate(company, **body)
        case "GET" | "PATCH", ["rules"]:
            return _rules(company, body or {})
        case "GET", ["entries"]:
            return {"entries": company.entries()}
        case "POST", ["entries"]:
            return company.post_entry(body)
        case "POST", ["entries", number, "cancel"]:
            return company.cancel_entry(int(number))
        case "GET", ["balances", code]:
            return {"balance": str(company.balance(code))}
        case "POST", ["drafts", number, "approve"]:
            return company.approve_draft(int(number))
        case "POST", ["drafts", number, "reject"]:
            company.reject_draft(int(number))
            return {}
    raise NotHandled


def _periods(company: Company, body: dict[str, str]) -> dict[str, Any]:
    unknown = sorted(body.keys() - {"lock", "unlock"})
    if unknown:
        raise ValueError(f"Unknown key {', '.join(unknown)}; known are lock and unlock.")
    if "lock" in body:
        company.lock_period(body["lock"])
    if "unlock" in body:
        company.unlock_period(body["unlock"])
    return {"locked": company.periods.locked}


def _rate(company: Company, currency: str, date: str | None = None, rate: str | None = None) -> dict[str, Any]:
    if date is None and rate is None:
        company.rates.forget(currency)
        return {"currency": currency, "rate": None}
    if date is None:
        raise ValueError("A rate needs its date.")
    company.set_rate(currency, date, rate)
    return {"currency": currency, "date": date, "rate": rate}


def _rules(company: Company, body: dict[str, Any]) -> dict[str, Any]:
    known = {f.name for f in fields(PostingRules)}
    unknown = sorted(body.keys() - known)
    if unknown:
        raise ValueError(f"Unknown rule {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
    for name, value in body.items():
        setattr(company.rules, name, tuple(value) if name == "branches" else value)
    return asdict(company.rules)
