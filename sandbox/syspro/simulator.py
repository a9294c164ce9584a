"""SYSPRO as a simulator of the sandbox: its environment and its control paths."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from sandbox.clock import SandboxClock
from sandbox.simulator import NotHandled
from sandbox.syspro.books import Books, BookSizes, generate_books
from sandbox.syspro.operators import Operator
from sandbox.syspro.server import SysproServer

SIZES: dict[str, BookSizes] = {
    "small": BookSizes(),
    "demo": BookSizes(lines=1_000, suppliers=60, items=150),
    "large": BookSizes(large_period=(2026, 10), large_lines=1_000_000, suppliers=200, items=1_000),
}
"""Sizes by the sandbox's own names."""


class SysproSimulator:
    """A SYSPRO server over one company.

    Args:
        sizes: How much there is.
        seed: Same seed, same books.
        planted: Names of bad records, see `sandbox.syspro.books.PLANTED`.
        clock: The sandbox's clock.
        books: Own books instead of generated ones.
        latency_ms: Added to every reply.
    """

    name = "syspro"

    def __init__(
        self,
        sizes: BookSizes | None = None,
        *,
        seed: int = 1,
        planted: tuple[str, ...] = (),
        clock: SandboxClock | None = None,
        books: Books | None = None,
        latency_ms: float = 0.0,
    ) -> None:
        self._sizes = sizes or BookSizes()
        self._seed = seed
        self._planted = planted
        self._clock = clock
        self._own_books = books
        self._latency_ms = latency_ms

    @cached_property
    def server(self) -> SysproServer:
        """The server; the books are made when it is first asked for."""
        books = self._own_books or generate_books(self._seed, self._sizes, planted=self._planted)
        server = SysproServer(books, clock=self._clock)
        server.faults.settings.latency_ms = self._latency_ms
        return server

    @property
    def books(self) -> Books:
        """The company's books."""
        return self.server.books

    def start(self) -> None:
        """Starts serving."""
        self.server.start()

    def stop(self) -> None:
        """Stops serving."""
        if "server" in self.__dict__:
            self.server.stop()

    def environment(self) -> dict[str, str]:
        """`AIRFLOW_CONN_SYSPRO`."""
        operator = Operator()
        connection = {
            "conn_type": "syspro", "host": self.server.url, "login": operator.name, "password": operator.password,
            "extra": {"company_id": self.books.company},
        }  # fmt: skip
        return {"AIRFLOW_CONN_SYSPRO": json.dumps(connection)}

    def state(self) -> dict[str, Any]:
        """Requests, sessions, rows, faults and settings."""
        return {
            "url": self.server.url,
            "statistics": self.server.statistics(),
            "rows": {name: len(table) for name, table in self.books.tables.items()},
            "faults": self.server.faults.active(),
            "settings": self.server.faults.configure(),
        }

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control paths: `faults`, `settings`, `sessions`, `journals`, `totals/<year>/<period>`, `records/<table>`."""
        faults = self.server.faults
        match method, path:
            case "GET", []:
                return self.state()
            case "POST", ["faults"]:
                try:
                    return faults.add(**dict(body)).as_dict()
                except TypeError as error:
                    raise ValueError(str(error)) from None
            case "GET", ["faults"]:
                return faults.active()
            case "DELETE", ["faults"]:
                faults.clear()
                return {}
            case "GET" | "PATCH", ["settings"]:
                return faults.configure(**(body or {}))
            case "DELETE", ["sessions"]:
                return {"ended": self.server.sessions.evict()}
            case "POST", ["journals"]:
                entries = [(str(entry["GlCode"]), entry["EntryValue"]) for entry in body["entries"]]
                status = str(body.get("status", "P"))
                number = self.books.post_journal(int(body["year"]), int(body["period"]), entries, status=status)
                return {"journal": number}
            case "GET", ["totals", year, period]:
                return _plain(self.books.control_totals(int(year), int(period)))
            case _, ["records", table] if table in self.books.tables:
                return self._records(method, table, dict(body or {}))
        raise NotHandled

    def _records(self, method: str, name: str, body: dict[str, Any]) -> Any:
        """`key` names a row (a list, in the order of the primary key), `values` its columns."""
        table = self.books.tables[name]
        match method:
            case "GET":
                return {"rows": len(table), "key": list(table.key), "columns": list(table.columns)}
            case "POST":
                table.insert(body["values"])
            case "PATCH":
                table.update(body["key"], body["values"])
            case "DELETE":
                table.delete(body["key"])
            case _:
                raise NotHandled
        return {"rows": len(table)}


def _plain(totals: dict[str, Any]) -> dict[str, Any]:
    by_code = {code: str(value) for code, value in totals["by_code"].items()}
    return {
        "lines": totals["lines"],
        "debit": str(totals["debit"]),
        "credit": str(totals["credit"]),
        "by_code": by_code,
    }
