"""Logging in to and out of Service Layer: one exchange each, no repeats."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected
from tieout.systems.common.transport import NotAnswered, Reply, Transport
from tieout.systems.sap_b1.errors import LOGIN_REFUSED, Problem, SapError, read_problem
from tieout.systems.sap_b1.sessions import StoredSession
from tieout.systems.sap_b1.settings import SapB1Settings

log = logging.getLogger(__name__)

_COOKIE = r"(?:^|[;,]\s*){}=([^;,\s]+)"
_ROUTE = re.compile(_COOKIE.format("ROUTEID"))
_SESSION = re.compile(_COOKIE.format("B1SESSION"))

JSON_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip"}


class LoginPostponed(Exception):
    """The server cannot log anybody in now; the text says why."""


def log_in(transport: Transport, settings: SapB1Settings) -> StoredSession:
    """Opens a session. Sends no `ROUTEID`, so that the balancer picks a node that works.

    Raises:
        LoginPostponed: No answer, or one that says to come back.
        CredentialsRejected: User, password or company refused. Never to be repeated: attempts lock the user.
        ConfigurationInvalid: There is no Service Layer at this address.
        SapError: Refused for another reason.
    """
    login: dict[str, str | int] = {
        "CompanyDB": settings.company_db,
        "UserName": settings.user_name,
        "Password": settings.password,
    }
    if settings.language is not None:
        login["Language"] = settings.language
    try:
        reply = transport.send(
            "POST",
            f"{settings.root}/Login",
            headers={**JSON_HEADERS, "Content-Type": "application/json"},
            body=msgspec.json.encode(login),
            read_timeout=settings.login_timeout,
        )
    except NotAnswered as error:
        raise LoginPostponed(str(error)) from None
    if reply.status != 200:
        raise _refusal(read_problem(reply.status, reply.body), settings)
    return _session(reply, settings)


def log_out(transport: Transport, settings: SapB1Settings, session: StoredSession) -> None:
    """Ends a session on the server.

    Raises:
        NotAnswered: No answer; the session ends by itself when it has been idle for long enough.
    """
    transport.send(
        "POST",
        f"{settings.root}/Logout",
        headers={**JSON_HEADERS, "Cookie": session.cookie},
        body=b"",
        read_timeout=settings.login_timeout,
    )


def route_of(reply: Reply) -> str | None:
    """The node that the balancer pinned with this answer, if it did."""
    return _cookie(reply, _ROUTE)


def server_clock(reply: Reply) -> datetime | None:
    """The server's clock by the `Date` header, aware UTC."""
    header = reply.headers.get("Date")
    if not header:
        return None
    try:
        return parsedate_to_datetime(header).astimezone(UTC)
    except ValueError:
        return None


def _session(reply: Reply, settings: SapB1Settings) -> StoredSession:
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    found = body.get("SessionId") if isinstance(body, dict) else None
    session_id = found if isinstance(found, str) and found else _cookie(reply, _SESSION)
    if session_id is None:
        raise ContractBroken(
            f"SAP Business One at {settings.host} answers the log-in without a session. "
            f"Check that host in the connection is the address of Service Layer."
        )
    clock = server_clock(reply)
    if clock is None:
        log.warning(
            "SAP Business One at %s tells no time (no Date header); this machine's clock is used", settings.host
        )
        clock = datetime.now(UTC).replace(microsecond=0)
    version = body.get("Version") if isinstance(body, dict) else None
    log.info(
        "Logged in to SAP Business One at %s, company %s as %s (build %s)",
        settings.host, settings.company_db, settings.user_name, version or "unknown",
    )  # fmt: skip
    return StoredSession(session_id=session_id, route_id=route_of(reply), started_at=clock, idle_time=_idle_time(body))


def _idle_time(body: object) -> timedelta | None:
    """`SessionTimeout`, which is in minutes; None where it is no such number."""
    minutes = body.get("SessionTimeout") if isinstance(body, dict) else None
    if not isinstance(minutes, int | float) or isinstance(minutes, bool) or not 0 < minutes < 1_000_000:
        return None
    return timedelta(minutes=minutes)


def _cookie(reply: Reply, pattern: re.Pattern[str]) -> str | None:
    for cookie in reply.cookies:
        match = pattern.search(cookie)
        if match:
            return match.group(1)
    return None


def _refusal(problem: Problem, settings: SapB1Settings) -> Exception:
    if problem.code in LOGIN_REFUSED or problem.status in (401, 403):
        reason = f"HTTP {problem.status}" + (f", code {problem.code}" if problem.code else "")
        return CredentialsRejected(
            f"SAP Business One at {settings.host} refuses to log in user {settings.user_name!r} to company "
            f"{settings.company_db!r} ({reason}). Check login and password of the connection, company_db in its extra, "
            f"and whether the user is locked or lacks a licence. It is not tried again, since attempts lock the user."
        )
    if problem.transient:
        return LoginPostponed(str(problem))
    if problem.status == 404 or 300 <= problem.status < 400:
        return ConfigurationInvalid(
            f"There is no Service Layer at {settings.root} (HTTP {problem.status}). "
            f"Check host and api_version of the connection."
        )
    return SapError(problem.status, problem.code, problem.message, "the log-in")
