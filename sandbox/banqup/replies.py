"""Errors in Banqup's form, and replies that faults put in place of the service's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime

from sandbox.banqup.faults import Fault
from sandbox.http_server import Ending, Reply, json_reply

_HTML = [("Content-Type", "text/html")]
_PAGE = b"<!DOCTYPE html><html><head><title>Banqup</title></head><body><h1>We'll be right back.</h1></body></html>"
_ENDINGS = {
    "close_mid_body": Ending.CLOSE_MID_BODY, "reset_mid_body": Ending.RESET_MID_BODY,
    "reset_before_head": Ending.RESET_BEFORE_HEAD, "hang": Ending.NEVER,
}  # fmt: skip
_ERRORS = {
    "unavailable": (503, "service_unavailable", "The service is temporarily unavailable"),
    "unauthorized": (401, "invalid_token", "The access token is missing, unknown or expired"),
    "not_found": (404, "not_found", "Not found"),
    "url_expired": (403, "url_expired", "This URL has expired"),
}
_PAGES = {"bad_gateway": 502, "gateway_timeout": 504, "html_200": 200}


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error

    def reply(self) -> Reply:
        """The error as JSON."""
        return json_reply({"error": self.error, "message": str(self)}, self.status)


def too_many(seconds: float, form: str, now: datetime) -> Reply:
    """429 that says when to come again, in whole `seconds` or as a `date`."""
    whole = max(0, round(seconds))
    moment = now.replace(microsecond=0) + timedelta(seconds=whole)
    reply = Refused(429, "too_many_requests", "Rate limit exceeded").reply()
    reply.headers.append(("Retry-After", str(whole) if form == "seconds" else format_datetime(moment, usegmt=True)))
    return reply


def instead(fault: Fault | None, retry_after_form: str, now: datetime) -> Reply | None:
    """The reply that a fault puts in place of the service's own."""
    if fault is None:
        return None
    if fault.kind in _ERRORS:
        return Refused(*_ERRORS[fault.kind]).reply()
    if fault.kind in _PAGES:
        return Reply(_PAGES[fault.kind], list(_HTML), _PAGE)
    match fault.kind:
        case "too_many":
            return too_many(fault.seconds, retry_after_form, now)
        case "error_500":
            return Refused(500, "internal_error", fault.message).reply()
        case "forbidden":
            return Refused(403, "access_denied", fault.message).reply()
    return None


def spoil(reply: Reply, fault: Fault) -> None:
    """What a fault does to a reply on its way."""
    reply.ending = _ENDINGS.get(fault.kind, reply.ending)
    if fault.kind == "slow":
        reply.delay += fault.seconds
    if fault.kind == "truncated":
        reply.body = reply.body[: len(reply.body) * 2 // 3]
