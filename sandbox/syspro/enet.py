"""The simulated e.net services: logging on and off, profiles, and the query object COMFND."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape, unescape
from xml.etree import ElementTree

import numpy as np

from sandbox.http_server import Reply
from sandbox.syspro.books import Books
from sandbox.syspro.conditions import BadQuery, DateRules, compare
from sandbox.syspro.faults import Settings
from sandbox.syspro.operators import SESSION_INVALID, LogonRefused, Sessions, wrapped
from sandbox.syspro.rendering import xml_answer
from sandbox.syspro.table import DATE, TEXT, Table

_HEADERS = [("Content-Type", "application/octet-stream"), ("Server", "Microsoft-HTTPAPI/2.0")]
_ASMX = "http://www.syspro.com/ns/utilities/"
_WORDS = {"EQ": "eq", "NE": "ne", "GT": "gt", "GE": "ge", "LT": "lt", "LE": "le"}
_TOKEN = re.compile(r"^[0-9A-F]{32}(\d\d) *$")


class EnetService:
    """Answers e.net's methods. Nothing that writes is simulated: such a call is counted and refused."""

    def __init__(self, books: Books, sessions: Sessions, settings: Callable[[], Settings]) -> None:
        self.books = books
        self.writes_tried = 0
        self._sessions = sessions
        self._settings = settings

    def answer(self, method: str, params: Mapping[str, str]) -> Reply:
        """One REST call; `method` is `logon`, `query/query` and so on, in lower case."""
        match method:
            case "logon" | "logoff" | "getlogonprofile" | "getversion":
                return _text(wrapped(self.utility(method, params), self._settings().token_form))
            case "query/query":
                return self._query(params)
        if method.partition("/")[0] in ("setup", "transaction"):
            self.writes_tried += 1
            return _text(b"ERROR: This simulator is read only")
        return Reply(404, [("Content-Type", "text/html")], b"<html><body>Endpoint not found.</body></html>")

    def utility(self, method: str, params: Mapping[str, str]) -> str:
        """The answer of a method of the class Utilities."""
        given = {name.lower(): value for name, value in params.items()}
        token = given.get("userid", "")
        match method:
            case "getversion":
                return "8.0.001"
            case "logon":
                try:
                    session = self._sessions.log_on(
                        given.get("operator", ""), given.get("operatorpassword", ""), given.get("companyid", ""),
                        given.get("companypassword", ""), self._settings(),
                    )  # fmt: skip
                except LogonRefused as refused:
                    return f"ERROR: {refused}"
                return session.token
            case "logoff":
                return "0" if self._sessions.log_off(token) else f"ERROR: {SESSION_INVALID}"
        session_found = self._sessions.use(token)
        if session_found is None:
            return f"ERROR: {SESSION_INVALID}"
        return (
            f"<LogonProfile><OperatorCode>{session_found.operator}</OperatorCode>"
            f"<CompanyId>{session_found.company}</CompanyId></LogonProfile>"
        )

    def soap(self, body: bytes) -> Reply:
        """A SOAP call of Utilities.asmx."""
        text = body.decode("utf-8", "replace")
        found = re.search(r"<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)", text)
        method = found[1] if found else ""
        if method.lower() not in ("logon", "logoff", "getlogonprofile"):
            return Reply(500, [("Content-Type", "text/xml")], b"<soap:Fault/>")
        params = {name: unescape(value) for name, value in re.findall(r"<(?:\w+:)?(\w+)>([^<]*)</", text)}
        answer = escape(self.utility(method.lower(), params))
        envelope = (
            '<?xml version="1.0" encoding="utf-8"?><soap:Envelope '
            'xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
            f'<{method}Response xmlns="{_ASMX}"><{method}Result>{answer}</{method}Result></{method}Response>'
            "</soap:Body></soap:Envelope>"
        )
        return Reply(200, [("Content-Type", "text/xml; charset=utf-8")], envelope.encode())

    def asmx(self, method: str, params: Mapping[str, str]) -> Reply:
        """An HTTP GET of Utilities.asmx."""
        answer = escape(self.utility(method, params))
        body = f'<?xml version="1.0" encoding="utf-8"?>\r\n<string xmlns="{_ASMX}">{answer}</string>'
        return Reply(200, [("Content-Type", "text/xml; charset=utf-8")], body.encode())

    def _query(self, params: Mapping[str, str]) -> Reply:
        given = {name.lower(): value for name, value in params.items()}
        token = given.get("userid", "")
        instance = _TOKEN.match(token)
        if instance is not None and instance[1] != "00":
            return _text(b"ERROR: Unable to read the SYSPRO base directory registry string BaseDir8")
        # This door takes the token exactly as it was given, spaces and all.
        session = self._sessions.use(token)
        if session is None or session.token != token:
            return _text(f"ERROR: {SESSION_INVALID}".encode())
        if given.get("businessobject", "").upper() != "COMFND":
            return _text(b"ERROR: e.net exception raised: 100000")
        try:
            return Reply(200, _HEADERS, self._comfnd(given.get("xmlin", "")))
        except (BadQuery, ElementTree.ParseError, KeyError, ValueError) as error:
            return _text(f"ERROR: {error}".encode("cp1252", "replace"))

    def _comfnd(self, xml_in: str) -> bytes:
        root = ElementTree.fromstring(xml_in)
        table = self.books.table(root.findtext("TableName") or "")
        there = [name for name in table.columns if name not in self._settings().missing_columns]
        names = [column.text or "" for column in root.iterfind("Columns/Column")] or there
        for name in names:
            if name not in there:
                raise BadQuery(f"Column '{name}' does not exist in table '{table.name}'")
        rows = np.flatnonzero(_where(root, table))
        order = [column.text or "" for column in root.iterfind("OrderBy/Column")]
        if order and tuple(order) != table.key:
            keys = [np.unique(table.array(name)[rows], return_inverse=True)[1] for name in reversed(order)]
            rows = rows[np.lexsort(keys)]
        most = int(root.findtext("ReturnRows") or len(rows))
        return xml_answer(table, rows[:most], names)


def _where(root: ElementTree.Element, table: Table) -> np.ndarray:
    """Expressions from left to right; brackets around single ones change nothing."""
    mask = np.ones(len(table), dtype=bool)
    for position, expression in enumerate(root.iterfind("Where/Expression")):
        name = expression.findtext("Column") or ""
        condition = (expression.findtext("Condition") or "").upper()
        value = expression.findtext("Value") or ""
        one = _like(table, name, value) if condition == "LIKE" else _compared(table, name, condition, value)
        either = (expression.findtext("AndOr") or "and").lower() == "or" and position > 0
        mask = mask | one if either else mask & one
    return mask


def _compared(table: Table, name: str, condition: str, value: str) -> np.ndarray:
    if condition not in _WORDS:
        raise BadQuery(f"Condition '{condition}' is invalid")
    kind = table.columns[name].kind if name in table.columns else TEXT
    literal = "string" if kind == TEXT else "date" if kind == DATE else "number"
    return compare(table, name, _WORDS[condition], literal, value, DateRules())


def _like(table: Table, name: str, pattern: str) -> np.ndarray:
    expression = re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
    return np.array([expression.fullmatch(str(value)) is not None for value in table.array(name)], dtype=bool)


def _text(body: bytes) -> Reply:
    return Reply(200, list(_HEADERS), body)
