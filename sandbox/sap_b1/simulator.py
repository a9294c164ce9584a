"""The Service Layer as a simulator of the sandbox: its environment and its control paths."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.posting_controls import PATHS as POSTING_PATHS
from sandbox.sap_b1.posting_controls import control_postings
from sandbox.sap_b1.scenario import second_day
from sandbox.sap_b1.schema import ENTITY_SETS, INTEGER
from sandbox.sap_b1.service_layer import ServiceLayer
from sandbox.sap_b1.table import Key
from sandbox.simulator import NotHandled


class SapB1Simulator:
    """A Service Layer over one or more companies; the first is the one integrations log in to."""

    name = "sap_b1"

    def __init__(self, companies: list[Company], *, port: int = 0, latency_ms: float = 0.0) -> None:
        self.server = ServiceLayer(companies, port=port)
        self.server.faults.settings.latency_ms = latency_ms
        self.company = companies[0]

    def start(self) -> None:
        """Starts serving."""
        self.server.start()

    def stop(self) -> None:
        """Stops serving."""
        self.server.stop()

    def environment(self) -> dict[str, str]:
        """`AIRFLOW_CONN_SAP_B1` for the first company, `AIRFLOW_CONN_SAP_B1_<DATABASE>` for further ones."""
        variables = {}
        for number, company in enumerate(self.server.companies.values()):
            user, password = next(iter(company.users.items()))
            variables["AIRFLOW_CONN_SAP_B1" + ("" if number == 0 else f"_{company.database.upper()}")] = json.dumps(
                {
                    "conn_type": "sap_b1",
                    "host": self.server.url,
                    "login": user,
                    "password": password,
                    "extra": {"company_db": company.database},
                }
            )
        return variables

    def state(self) -> dict[str, Any]:
        """Requests served, sessions open, records held, faults waiting."""
        return {
            "url": self.server.url,
            "statistics": self.server.statistics.as_dict(),
            "open_sessions": len(self.server.sessions),
            "companies": {name: company.counts() for name, company in self.server.companies.items()},
            "planted": self.company.planted,
            "faults": self.server.faults.active(),
            "settings": self.server.faults.configure(),
        }

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control paths: `faults`, `settings`, `sessions`, `records/…`, `scenario/second_day`, and the ledger's."""
        match method, path:
            case "GET", []:
                return self.state()
            case "POST", ["scenario", "second_day"]:
                return second_day(self.company)
            case _, ["faults" | "settings" | "sessions", *rest]:
                return self._switches(method, path[0], rest, body)
            case _, [first, *_] if first in POSTING_PATHS:
                return control_postings(self.company, method, path, body)
            case _, ["records", entity_set, *rest] if entity_set in ENTITY_SETS:
                return self._records(method, entity_set, rest, body)
        raise NotHandled

    def _switches(self, method: str, what: str, rest: list[str], body: Any) -> Any:
        faults = self.server.faults
        match method, what, rest:
            case "GET", "faults", []:
                return faults.active()
            case "POST", "faults", []:
                return self._add_fault(dict(body))
            case "DELETE", "faults", []:
                faults.clear()
                return {}
            case "DELETE", "faults", [number]:
                return {"removed": faults.remove(int(number))}
            case "GET" | "PATCH", "settings", []:
                return faults.configure(**(body or {}))
            case "DELETE", "sessions", []:
                return {"ended": self.server.expire_sessions()}
        raise NotHandled

    def _add_fault(self, body: dict[str, Any]) -> Any:
        """Also takes `insert_row`, `update_row` and `delete_row` after the `after_page`-th page of an entity set."""
        kind = body.pop("kind", "")
        if kind not in ("insert_row", "update_row", "delete_row"):
            try:
                return self.server.faults.add(kind, **body).as_dict()
            except TypeError as error:
                raise ValueError(str(error)) from None
        entity_set, page = body["entity"], int(body.get("after_page", 1))
        values: dict[str, Any] = body.get("values", {})
        key: Key = body["key"] if kind != "insert_row" else ""
        company = self.company
        actions = {
            "insert_row": lambda: company.insert(entity_set, values),
            "update_row": lambda: company.update(entity_set, key, values),
            "delete_row": lambda: company.delete(entity_set, key),
        }
        self.server.faults.after_page(entity_set, page, actions[kind])
        return {"kind": kind, "entity": entity_set, "after_page": page}

    def _records(self, method: str, entity_set: str, rest: list[str], body: Any) -> Any:
        company = self.company
        if not rest:
            if method == "GET":
                return {"keys": list(company.tables[entity_set].keys)}
            if method == "POST":
                values = dict(body)
                at = values.pop("at", None)
                return {"key": company.insert(entity_set, values, at=datetime.fromisoformat(at) if at else None)}
            raise NotHandled
        key: Key = int(rest[0]) if ENTITY_SETS[entity_set].key_type == INTEGER else rest[0]
        match method, entity_set, rest[1:]:
            case "GET", _, []:
                return company.get(entity_set, key)
            case "PATCH", _, []:
                values = dict(body)
                at = values.pop("at", None)
                return company.update(entity_set, key, values, updated_at=datetime.fromisoformat(at) if at else None)
            case "DELETE", _, []:
                company.delete(entity_set, key)
                return {}
            case "POST", "Invoices", ["cancel"]:
                return company.cancel_invoice(int(key))
            case "POST", "IncomingPayments", ["cancel"]:
                return company.cancel_payment(int(key))
        raise NotHandled
