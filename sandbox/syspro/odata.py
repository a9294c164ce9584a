"""The simulated OData service: collections of tables, read only, at most 5000 rows a reply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus

import numpy as np

from sandbox.http_server import Reply
from sandbox.syspro.books import Books
from sandbox.syspro.conditions import BadQuery, DateRules, Filter
from sandbox.syspro.faults import Settings
from sandbox.syspro.rendering import json_rows
from sandbox.syspro.table import BINARY, DATE, DECIMAL, INTEGER, Table

_JSON = ("Content-Type", "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8")
_EDM = {INTEGER: "Edm.Decimal", DECIMAL: "Edm.Decimal", DATE: "Edm.DateTimeOffset", BINARY: "Edm.Binary"}
_OFFSETS = {"z": 0, "offset": 120, "west": -300, "none": 0}
_TICKS = 7


def parse_query(query: str) -> dict[str, str]:
    """Query string → options, decoded."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {unquote(name): unquote_plus(value) for name, _, value in pairs}


def odata_error(status: int, message: str) -> Reply:
    """An error in OData's form."""
    body = json.dumps({"error": {"code": "", "message": message}}).encode()
    return Reply(status, [_JSON, ("OData-Version", "4.0")], body)


@dataclass
class ODataService:
    """Answers requests below `/SYSPRO8Odata/SYSPROOData`."""

    books: Books
    settings: Settings
    served: int = 0

    def answer(self, url: str, path: list[str], query: str) -> Reply:
        """One request; `path` begins with the company, `url` is the collection's own address."""
        if not path or path[0].upper() not in (self.books.company, f"SYSPROCOMPANY{self.books.company}"):
            return odata_error(404, "No HTTP resource was found that matches the request URI.")
        try:
            if path[1:] == ["$metadata"]:
                return Reply(200, [("Content-Type", "application/xml")], self._metadata())
            table = self.books.table(path[1] if len(path) > 1 else "")
            if path[2:] == ["$count"]:
                mask = self._mask(table, parse_query(query))
                return Reply(200, [("Content-Type", "text/plain")], str(int(mask.sum())).encode())
            return self._collection(url, table, parse_query(query))
        except KeyError:
            return odata_error(404, "No HTTP resource was found that matches the request URI.")
        except BadQuery as error:
            return odata_error(400, f"The query specified in the URI is not valid. {error}")

    def _mask(self, table: Table, options: dict[str, str]) -> np.ndarray:
        if "$filter" not in options:
            return np.ones(len(table), dtype=bool)
        rules = DateRules(_OFFSETS[self.settings.dates], self.settings.date_literals)
        return Filter(options["$filter"], table, rules, only_equality=not self.settings.or_filters).mask

    def _collection(self, url: str, table: Table, options: dict[str, str]) -> Reply:
        if options.get("$count") and not self.settings.count:
            raise BadQuery("Query option '$count' is not allowed.")
        names = self._selected(table, options.get("$select", ""))
        rows = self._ordered(table, np.flatnonzero(self._mask(table, options)), options.get("$orderby", ""))
        skip = int(options.get("$skip") or options.get("$skiptoken") or 0)
        top = int(options.get("$top") or len(rows))
        shown = rows[skip : skip + min(top, self.settings.cap)]
        self.served += 1
        head = {"@odata.context": f"$metadata#{table.name}"}
        text = json.dumps(head)[:-1].encode()
        if options.get("$count") == "true":
            text += f',"@odata.count":{len(rows)}'.encode()
        parts = [text, b',"value":[', json_rows(table, shown, names, self.settings), b"]"]
        if len(shown) < min(top, len(rows) - skip):
            parts.append(self._next_link(url, options, skip + len(shown), top - len(shown)))
        return Reply(200, [_JSON, ("OData-Version", "4.0")], b"".join([*parts, b"}"]))

    def _selected(self, table: Table, text: str) -> list[str]:
        there = [name for name in table.columns if name not in self.settings.missing_columns]
        if not text or text == "*":
            return there
        names = [name.strip() for name in text.split(",")]
        for name in names:
            if name not in there:
                raise BadQuery(f"Could not find a property named '{name}' on type 'SYSPRO.{table.name}'.")
        return names

    def _ordered(self, table: Table, rows: np.ndarray, text: str) -> np.ndarray:
        terms = [term.split() for term in text.split(",") if term.strip()]
        names = [term[0] for term in terms]
        for name in names:
            if name not in table.columns:
                raise BadQuery(f"Could not find a property named '{name}' on type 'SYSPRO.{table.name}'.")
        if any(term[1:] == ["desc"] for term in terms):
            raise BadQuery("Descending order is not simulated.")
        if tuple(names) == table.key:
            return rows
        # Rows that the order leaves equal come in another order every time, as a database may give them.
        rows = np.roll(rows, self.served * _TICKS)
        if not names:
            return rows
        keys = [np.unique(table.array(name)[rows], return_inverse=True)[1] for name in reversed(names)]
        return rows[np.lexsort(keys)]

    def _next_link(self, url: str, options: dict[str, str], position: int, top: int) -> bytes:
        kind = self.settings.next_links
        if kind == "none":
            return b""
        kept = {name: value for name, value in options.items() if name not in ("$skip", "$skiptoken", "$top")}
        if "$top" in options:
            kept["$top"] = str(top)
        kept["$skiptoken" if kind == "skiptoken" else "$skip"] = str(position)
        if kind == "other_host":
            url = "http://elsewhere.invalid/" + url.partition("://")[2].partition("/")[2]
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in kept.items())
        return f',"@odata.nextLink":{json.dumps(f"{url}?{query}")}'.encode()

    def _metadata(self) -> bytes:
        types, sets = [], []
        for name in self.books.names:
            table = self.books.table(name)
            key = "".join(f'<PropertyRef Name="{column}"/>' for column in table.key)
            properties = "".join(
                f'<Property Name="{column.name}" Type="{_EDM.get(column.kind, "Edm.String")}"/>'
                for column in table.columns.values()
            )
            types.append(f'<EntityType Name="{name}"><Key>{key}</Key>{properties}</EntityType>')
            sets.append(f'<EntitySet Name="{name}" EntityType="SYSPRO.{name}"/>')
        return (
            '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" '
            'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
            '<Schema Namespace="SYSPRO" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
            + "".join(types) + f'<EntityContainer Name="Container">{"".join(sets)}</EntityContainer>'
            + "</Schema></edmx:DataServices></edmx:Edmx>"
        ).encode()  # fmt: skip
