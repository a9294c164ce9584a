"""The Service Layer itself: routes requests of both roots to sessions, reads, attachments and faults.

Order of a request, as on the real server: the balancer (Expect, node), then the session, and only then the path.
What writes is in `writing` and `batch`.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from sandbox.http_server import Ending, HttpServer, Reply, Request
from sandbox.sap_b1.batch import run_batch
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.errors import (
    LOGIN_FAILED,
    ServiceLayerError,
    content_type,
    error_reply,
    html_reply,
    invalid_session,
    no_matching_record,
    unrecognized_path,
    version_header,
)
from sandbox.sap_b1.faults import Fault, Faults
from sandbox.sap_b1.functions import FUNCTIONS
from sandbox.sap_b1.metadata import metadata_document
from sandbox.sap_b1.queries import (
    CollectionQuery,
    check_expand,
    page_body,
    page_size,
    parse_query,
    parse_select,
    read_page,
)
from sandbox.sap_b1.replies import json_content, record_reply
from sandbox.sap_b1.schema import ENTITY_SETS, INTEGER, EntitySet
from sandbox.sap_b1.sessions import Session, Sessions
from sandbox.sap_b1.table import Key, Table, to_wire
from sandbox.sap_b1.writing import Interrupted, Operation, Outcome, Writer

BUILD = "1000340"
NODES = (1, 2, 3, 4)

_ROOT = re.compile(r"^/b1s/(v1|v2)/(.*)$", re.DOTALL)
_RESOURCE = re.compile(r"^(?P<set>\w+)(?:\((?P<key>[^)]*|'(?:[^']|'')*')\))?(?:/(?P<rest>.+))?$", re.DOTALL)


@dataclass
class Statistics:
    """What clients did, for tests and for the demo's page."""

    requests: int = 0
    logins: int = 0
    refused_logins: int = 0
    logouts: int = 0
    logins_in_flight: int = 0
    most_logins_in_flight: int = 0
    pages: int = 0
    batches: int = 0
    posted: int = 0
    by_path: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {**{k: v for k, v in vars(self).items() if k != "by_path"}, "by_path": dict(self.by_path)}


class ServiceLayer:
    """A simulated SAP Business One Service Layer on loopback.

    Args:
        companies: Companies that can be logged in to, by their CompanyDB.
        faults: What goes wrong; shared with whoever switches it.
        host: Address to bind.
        port: 0 takes a free one.
        session_timeout_minutes: Idle minutes until a session expires, by the first company's clock.
    """

    def __init__(
        self,
        companies: Company | list[Company],
        faults: Faults | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        session_timeout_minutes: int = 30,
    ) -> None:
        listed = [companies] if isinstance(companies, Company) else list(companies)
        self.companies = {company.database: company for company in listed}
        self.clock = listed[0].clock
        self.faults = faults or Faults()
        self.sessions = Sessions(self.clock, session_timeout_minutes)
        self.statistics = Statistics()
        self._writer = Writer(self.faults, lambda: self.url)
        self._next_node = 0
        self._data_requests = 0
        self._lock = threading.RLock()
        self._login_over = threading.Condition(self._lock)
        self._http = HttpServer(
            self.handle, name="sandbox-sap-b1", host=host, port=port, now=lambda: self.clock.now().timestamp()
        )

    @property
    def url(self) -> str:
        """Base URL with scheme and port, without /b1s."""
        return self._http.url

    @property
    def failures(self) -> list[Exception]:
        """Errors of the simulator itself; empty when all is well."""
        return self._http.failures

    def start(self) -> None:
        """Starts serving."""
        self._http.start()

    def stop(self) -> None:
        """Stops serving and closes every connection."""
        self._http.stop()

    def __enter__(self) -> ServiceLayer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for_logins(self, timeout: float) -> bool:
        """Waits until no login is in flight; False if one still is after `timeout` seconds."""
        with self._login_over:
            return self._login_over.wait_for(lambda: not self.statistics.logins_in_flight, timeout)

    def expire_sessions(self) -> int:
        """Ends every session at once and says how many there were."""
        with self._lock:
            return self.sessions.close_all()

    def handle(self, request: Request) -> Reply:
        """Answers one request."""
        match = _ROOT.match(request.path)
        if match is None:
            return html_reply(404, "Not Found")
        version, path = match.groups()
        with self._lock:
            reply = self._balance(request, version, path)
        reply.delay += self.faults.settings.latency_ms / 1000
        return reply

    def _balance(self, request: Request, version: str, path: str) -> Reply:
        self.statistics.requests += 1
        self.statistics.by_path[f"{request.method} {path.partition('(')[0]}"] += 1
        if "expect" in request.headers and self.faults.settings.expect_gives_500:
            return Reply(500)
        cookies = _cookies(request)
        node = self._node(cookies.get("ROUTEID"))
        fault = self.faults.strike(request.method, path, node)
        broken = self._broken_reply(fault, version, cookies)
        if broken is not None:
            return broken
        # Looked at when the request comes: what ends the session later does not stop the request.
        session = None if _is_login(request, path) else self.sessions.use(cookies.get("B1SESSION"))
        if fault is not None and fault.kind == "late_commit" and request.method != "GET":
            return self._answer_late(request, version, path, session, node, fault)
        return _spoil(self._answer(request, version, path, session, node, fault), fault)

    def _answer(
        self, request: Request, version: str, path: str, session: Session | None, node: int, fault: Fault | None
    ) -> Reply:
        try:
            return self._route(request, version, path, session, node, fault)
        except ServiceLayerError as error:
            as_v2 = error.status == 401 and self.faults.settings.v2_errors_on_v1_401
            return error_reply(error, version, shape="v2" if as_v2 else None)
        except Interrupted as stop:
            return stop.reply

    def _answer_late(
        self, request: Request, version: str, path: str, session: Session | None, node: int, fault: Fault
    ) -> Reply:
        """Carries the request out after a while, as a server under load does, even if nobody waits for it any more."""
        reply = Reply()

        def carry_out() -> None:
            with self._lock:
                made = self._answer(request, version, path, session, node, fault)
            reply.status, reply.headers, reply.body, reply.ending = made.status, made.headers, made.body, made.ending

        asyncio.get_running_loop().call_later(fault.seconds, carry_out)
        # The reply leaves a moment after it was filled in.
        reply.delay = fault.seconds + 0.01
        return reply

    def _node(self, route: str | None) -> int:
        """The node of the cookie, or the next in turn."""
        match = re.fullmatch(r"\.node(\d+)", route or "")
        if match is not None and int(match[1]) in NODES:
            return int(match[1])
        self._next_node = (self._next_node + 1) % len(NODES)
        return NODES[self._next_node]

    def _broken_reply(self, fault: Fault | None, version: str, cookies: dict[str, str]) -> Reply | None:
        """The reply of faults that answer instead of the server."""
        if fault is None:
            return None
        if fault.kind == "run" and fault.action is not None:
            fault.action()
        if fault.kind in ("session_lost", "unauthorized_html"):
            self.sessions.close(cookies.get("B1SESSION", ""))
        make = _BROKEN.get(fault.kind)
        return make(version) if make is not None else None

    def _route(
        self, request: Request, version: str, path: str, session: Session | None, node: int, fault: Fault | None
    ) -> Reply:
        if _is_login(request, path):
            return self._login(request, version, node)
        if session is None:
            raise invalid_session()
        if path == "Logout" and request.method == "POST":
            self.sessions.close(session.id)
            self.statistics.logouts += 1
            return Reply(204)
        self._refuse_by_settings(session, node)
        company = self.companies[session.database]
        with company.lock:
            return self._resource(request, version, path, company, fault)

    def _refuse_by_settings(self, session: Session, node: int) -> None:
        settings = self.faults.settings
        if node in settings.broken_nodes:
            raise ServiceLayerError(500, 407, "Table definition not found for '@TIEOUT'.")
        self._data_requests += 1
        if settings.kill_session_every and self._data_requests % settings.kill_session_every == 0:
            self.sessions.close(session.id)
            raise invalid_session()

    def _login(self, request: Request, version: str, node: int) -> Reply:
        statistics, settings = self.statistics, self.faults.settings
        statistics.logins_in_flight += 1
        statistics.most_logins_in_flight = max(statistics.most_logins_in_flight, statistics.logins_in_flight)
        crowded = (
            settings.parallel_login_limit is not None and statistics.logins_in_flight > settings.parallel_login_limit
        )
        try:
            reply = self._crowded(version) if crowded else self._log_in(request, version, node)
        except ServiceLayerError as error:
            statistics.refused_logins += 1
            reply = error_reply(error, version)
        reply.delay += settings.login_ms / 1000
        reply.on_sent = self._login_done
        return reply

    def _login_done(self) -> None:
        with self._login_over:
            self.statistics.logins_in_flight -= 1
            self._login_over.notify_all()

    def _crowded(self, version: str) -> Reply:
        return error_reply(ServiceLayerError(500, 299, "SAML Login Failed"), version)

    def _log_in(self, request: Request, version: str, node: int) -> Reply:
        try:
            body = request.json()
        except ValueError:
            raise ServiceLayerError(400, -1000, "Invalid JSON format") from None
        database, user = str(body.get("CompanyDB")), str(body.get("UserName"))
        company = self.companies.get(database)
        if company is None:
            raise ServiceLayerError(401, -306, LOGIN_FAILED)
        if company.users.get(user) != body.get("Password") or user not in company.users:
            raise ServiceLayerError(401, -304, LOGIN_FAILED)
        session = self.sessions.open(database, user)
        self.statistics.logins += 1
        context = "odata.metadata" if version == "v1" else "@odata.context"
        kind = "@Element" if version == "v1" else "$entity"
        content = {
            context: f"{self.url}/b1s/{version}/$metadata#B1Sessions/{kind}", "SessionId": session.id, "Version": BUILD,
            "SessionTimeout": self.sessions.timeout_minutes,
        }  # fmt: skip
        reply = json_content(content, version)
        # Without a Path and with a trailing semicolon, exactly as sent: some cookie jars trip over it.
        reply.headers += [
            ("Set-Cookie", f"B1SESSION={session.id};HttpOnly;"), ("Set-Cookie", f"ROUTEID=.node{node}; path=/b1s")
        ]  # fmt: skip
        return reply

    def _resource(self, request: Request, version: str, path: str, company: Company, fault: Fault | None) -> Reply:
        if path == "$metadata":
            return Reply(200, [("Content-Type", "application/xml;charset=utf-8")], metadata_document(version))
        if path == "$batch" and request.method == "POST":
            return self._batch(request, version, company)
        if path in FUNCTIONS and request.method == "POST":
            return FUNCTIONS[path](request, version, company)
        if request.method != "GET":
            outcome = self._write(request, version, path, company, request.headers.get("if-match"))
            if outcome.interruption is not None:
                raise outcome.interruption
            return outcome.reply
        match, entity = _named(path)
        table = company.tables[entity.name]
        if match["key"] is None:
            if match["rest"] == "$count":
                return self._count(request, table)
            if match["rest"] is not None:
                raise unrecognized_path()
            return self._collection(request, version, table, fault)
        key = _parse_key(match["key"], entity)
        if key not in table.rows:
            raise no_matching_record()
        if match["rest"] is None:
            return self._entity(request, version, table, key)
        if entity.name == "Attachments2" and match["rest"] == "$value":
            return _attachment(company, int(key), parse_query(request.query).get("filename"))
        return _property(table, key, match["rest"], version)

    def _write(self, request: Request, version: str, path: str, company: Company, if_match: str | None) -> Outcome:
        match, entity = _named(path)
        key = None if match["key"] is None else _parse_key(match["key"], entity)
        operation = Operation(request, path, entity, key, match["rest"])
        try:
            return self._writer.perform(operation, version, company, if_match=if_match)
        finally:
            self.statistics.posted = self._writer.posted

    def _batch(self, request: Request, version: str, company: Company) -> Reply:
        """Parts that write take `If-Match` from the batch's own headers; in a part's it is not looked at."""
        self.statistics.batches += 1
        if_match = request.headers.get("if-match")

        def perform(part: Request, path: str) -> Outcome:
            if part.method == "GET":
                return Outcome(self._resource(part, version, path, company, None))
            return self._write(part, version, path, company, if_match)

        return run_batch(request, version, company, perform)

    def _query(self, request: Request, table: Table, *, drop_filter: bool = False) -> CollectionQuery:
        return CollectionQuery.parse(
            request.query, table.entity, seconds=self.faults.settings.time_filters_to_the_second,
            ignore_case=request.headers.get("b1s-caseinsensitive", "").lower() == "true", drop_filter=drop_filter,
        )  # fmt: skip

    def _count(self, request: Request, table: Table) -> Reply:
        query = self._query(request, table)
        count = len(table.matching(query.condition, ()))
        return Reply(200, [("Content-Type", "text/plain")], str(count).encode())

    def _collection(self, request: Request, version: str, table: Table, fault: Fault | None) -> Reply:
        kind = fault.kind if fault is not None else ""
        query = self._query(request, table, drop_filter=kind == "lose_filter")
        size, preferred = page_size(request.headers, self.faults.settings.default_page_size)
        page = read_page(table, query, version, size, keep_filter=kind != "lose_filter_in_next_link")
        name = table.entity.name
        body = page_body(
            page, context=f"{self.url}/b1s/{version}/$metadata#{name}", version=version,
            next_link=self._next_link(name, version, page.next_options), with_count=query.inline_count,
        )  # fmt: skip
        self.statistics.pages += 1
        self.faults.page_served(name)
        headers = [("Content-Type", content_type(version)), version_header(version), ("Vary", "Accept-Encoding")]
        if preferred:
            headers.append(("Preference-Applied", f"odata.maxpagesize={size}"))
        return Reply(200, headers, body)

    def _next_link(self, name: str, version: str, options: str | None) -> str | None:
        if options is None:
            return None
        link = f"{name}?{options}"
        form = self.faults.settings.next_link_form
        if form == "path":
            return f"/b1s/{version}/{link}"
        return f"{self.url}/b1s/{version}/{link}" if form == "absolute" else link

    def _entity(self, request: Request, version: str, table: Table, key: Key) -> Reply:
        options = parse_query(request.query)
        if "$expand" in options:
            check_expand(options["$expand"], table.entity)
        select = parse_select(options.get("$select"), table.entity)
        row = table.rows[key]
        shown = row if select is None else {name: row[name] for name in select}
        return record_reply(shown, table.entity, version, self.url)


def _is_login(request: Request, path: str) -> bool:
    return path == "Login" and request.method == "POST"


def _cookies(request: Request) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if name}


def _named(path: str) -> tuple[re.Match[str], EntitySet]:
    """What a path names: `Invoices`, `Invoices(1)`, `Invoices(1)/DocTotal`."""
    match = _RESOURCE.match(path)
    entity = ENTITY_SETS.get(match["set"]) if match is not None else None
    if match is None or entity is None:
        raise unrecognized_path()
    return match, entity


def _parse_key(text: str, entity: EntitySet) -> Key:
    """`1` or `'C1'`, with `''` for a quote; also `DocEntry=1`."""
    value = text.removeprefix(f"{entity.key}=")
    if entity.key_type == INTEGER:
        if not re.fullmatch(r"-?\d+", value):
            raise unrecognized_path()
        return int(value)
    if not re.fullmatch(r"'.*'", value, re.DOTALL):
        raise unrecognized_path()
    return value[1:-1].replace("''", "'")


def _property(table: Table, key: Key, rest: str, version: str) -> Reply:
    """`Orders(1)/DocTotal` and `Orders(1)/DocTotal/$value`."""
    name, _, raw = rest.partition("/")
    if not table.entity.knows(name) or raw not in ("", "$value"):
        raise unrecognized_path()
    value = to_wire({name: table.rows[key][name]}, table.entity, version)[name]
    if raw:
        if value is None:
            raise no_matching_record()
        return Reply(200, [("Content-Type", "text/plain")], str(value).encode())
    context = "odata.metadata" if version == "v1" else "@odata.context"
    link = f"$metadata#{table.entity.name}({quote(str(key))})/{name}"
    null = "odata.null" if version == "v1" else "@odata.null"
    return json_content({context: link, null: True} if value is None else {context: link, "value": value}, version)


def _attachment(company: Company, entry: int, file_name: str | None) -> Reply:
    wanted = file_name[1:-1] if file_name and file_name.startswith("'") and file_name.endswith("'") else file_name
    try:
        name, content = company.attachment(entry, wanted)
    except KeyError:
        raise no_matching_record() from None
    kind = "image/png" if name.lower().endswith(".png") else "application/pdf"
    headers = [("Content-Type", kind), ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name)}")]
    return Reply(200, headers, content)


def _service_error(status: int, code: int, message: str) -> Callable[[str], Reply]:
    return lambda version: error_reply(ServiceLayerError(status, code, message), version)


_BROKEN: dict[str, Callable[[str], Reply]] = {
    "bad_gateway": lambda version: html_reply(502, "Proxy Error"),
    "gateway_timeout": lambda version: html_reply(504, "Gateway Timeout"),
    "service_unavailable": lambda version: Reply(
        503, [("Content-Type", "application/json")], b'{"message":"Service Unavailable"}'
    ),
    "switch_company": _service_error(500, 305, "Switch company error: -1102"),
    "saml_login_failed": _service_error(500, 299, "SAML Login Failed"),
    "node_table": _service_error(500, 407, "Table definition not found for '@TIEOUT'."),
    "empty_500": lambda version: Reply(500),
    "session_lost": lambda version: error_reply(invalid_session(), version),
    "unauthorized_5002": _service_error(401, -5002, "Internal error (-5002) occurred"),
    "unauthorized_html": lambda version: html_reply(401, "Unauthorized"),
    "business_5002": _service_error(400, -5002, "Invalid BP code  [OINV.CardCode] , 'string'"),
    "attachments_folder": _service_error(
        400, -5002, "The attachments folder is not defined, or it has been changed or removed."
    ),
    "html_200": lambda version: html_reply(200, "Welcome to the guest network"),
}  # fmt: skip

_ENDINGS = {
    "reset_mid_body": Ending.RESET_MID_BODY,
    "close_mid_body": Ending.CLOSE_MID_BODY,
    "reset_before_head": Ending.RESET_BEFORE_HEAD,
    "hang": Ending.NEVER,
}


def _spoil(reply: Reply, fault: Fault | None) -> Reply:
    """Applies the faults that touch a reply which was made all the same."""
    if fault is None:
        return reply
    if fault.kind in _ENDINGS:
        reply.ending = _ENDINGS[fault.kind]
    elif fault.kind == "cut_json":
        reply.body = reply.body[: len(reply.body) // 2]
    elif fault.kind == "delay":
        reply.delay += fault.seconds
    return reply
