"""POST, PATCH and actions: what the Service Layer does to the books, one operation at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.http_server import Ending, Reply, Request
from sandbox.sap_b1 import partners
from sandbox.sap_b1.bodies import parse_body
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.edm import EntitySet
from sandbox.sap_b1.errors import (
    html_reply,
    no_such_key,
    reference_not_found,
    refused,
    unsupported_action,
    version_header,
)
from sandbox.sap_b1.faults import Fault, Faults
from sandbox.sap_b1.replies import created_reply
from sandbox.sap_b1.table import Key

_BEFORE_COMMIT = ("lost_request", "bad_gateway_before_commit")
_AFTER_COMMIT = ("lost_reply", "bad_gateway_after_commit")


class Interrupted(Exception):
    """The request ends here, whatever it still had to do; `reply` is all that its client gets."""

    def __init__(self, reply: Reply) -> None:
        super().__init__("the request was interrupted")
        self.reply = reply


@dataclass(frozen=True)
class Operation:
    """One write, as a request of its own or as a part of a batch.

    Attributes:
        request: Its method, headers and body.
        path: Below the root, decoded: `JournalEntries(17)/Cancel`.
        entity: The entity set it names.
        key: The record it names.
        action: What comes after the key.
    """

    request: Request
    path: str
    entity: EntitySet
    key: Key | None = None
    action: str | None = None

    @property
    def method(self) -> str:
        """The method; a POST may ask for another."""
        override = self.request.headers.get("x-http-method-override", "")
        return override.upper() if override and self.request.method == "POST" else self.request.method


@dataclass
class Outcome:
    """What an operation gave.

    Attributes:
        reply: To the operation.
        interruption: What the client of the whole request gets instead, once what was done is committed.
    """

    reply: Reply
    interruption: Interrupted | None = None


@dataclass
class Writer:
    """Carries out operations.

    Attributes:
        faults: What goes wrong.
        url: Gives the server's base URL.
        posted: How many journal entries were posted, reversals included.
    """

    faults: Faults
    url: Callable[[], str]
    posted: int = field(default=0, init=False)

    def perform(self, operation: Operation, version: str, company: Company, *, if_match: str | None) -> Outcome:
        """Carries out one operation completely, or not at all.

        Raises:
            ServiceLayerError: It is refused.
            Interrupted: A fault strikes before anything is committed.
        """
        fault = self.faults.strike_posting(operation.method, operation.path)
        self._before_commit(fault, operation, company)
        count = self.posted
        reply = self._carry_out(operation, version, company, if_match)
        reply.delay += (self.posted - count) * self.faults.settings.posting_ms / 1000
        interruption = _interruption(fault, reply.delay) if fault is not None and fault.kind in _AFTER_COMMIT else None
        return Outcome(reply, interruption)

    def _before_commit(self, fault: Fault | None, operation: Operation, company: Company) -> None:
        if fault is None:
            return
        if fault.kind in _BEFORE_COMMIT:
            raise _interruption(fault, 0)
        if fault.kind == "reject_posting":
            raise refused(fault.code, fault.message)
        if fault.kind == "approval" and operation.entity.name == "JournalEntries" and operation.key is None:
            company.journal.park(parse_body(operation.request.body, operation.entity))
            raise reference_not_found()

    def _carry_out(self, operation: Operation, version: str, company: Company, if_match: str | None) -> Reply:
        match operation.entity.name, operation.method, operation.key, operation.action:
            case "JournalEntries", "POST", None, None:
                entry = company.journal.post(parse_body(operation.request.body, operation.entity))
                self.posted += 1
                return self._created(operation, entry["JdtNum"], version, company)
            case "JournalEntries", "POST", int(key), "Cancel":
                company.journal.cancel(key)
                self.posted += 1
                return Reply(204, [version_header(version)])
            case "JournalEntries", "PATCH", int(key), None:
                company.journal.change(key, parse_body(operation.request.body, operation.entity))
                return Reply(204, [version_header(version)])
            case "BusinessPartners", "POST", None, None:
                code = partners.create(company, parse_body(operation.request.body, operation.entity))
                return self._created(operation, code, version, company)
            case "BusinessPartners", "PATCH", str(code), None:
                self._change_partner(operation, company, code, if_match)
                return Reply(204, [version_header(version)])
            case _, _, key, _ if key is not None and key not in company.tables[operation.entity.name].rows:
                raise no_such_key(key)
        raise unsupported_action()

    def _created(self, operation: Operation, key: Key, version: str, company: Company) -> Reply:
        prefer = operation.request.headers.get("prefer", "")
        return created_reply(company.tables[operation.entity.name], key, version, self.url(), prefer=prefer)

    def _change_partner(self, operation: Operation, company: Company, code: str, if_match: str | None) -> None:
        replace = operation.request.headers.get("b1s-replacecollectionsonpatch", "").lower() == "true"
        values = parse_body(operation.request.body, operation.entity)
        partners.change(company, code, values, if_match=if_match, replace_collections=replace)


def _interruption(fault: Fault, delay: float) -> Interrupted:
    if fault.kind.startswith("bad_gateway"):
        reply = html_reply(502, "Proxy Error")
    else:
        reply = Reply(ending=Ending.RESET_BEFORE_HEAD)
    reply.delay = delay
    return Interrupted(reply)
