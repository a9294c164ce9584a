"""Logging on to and off e.net, and asking whether a session lives: one exchange each, no repeats."""

from __future__ import annotations

import html
import logging
import re
from datetime import datetime

from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected
from tieout.systems.common.transport import NotAnswered, Reply
from tieout.systems.syspro.answers import EnetError, Kind, decode_text, find_error, unwrap
from tieout.systems.syspro.credentials import basic_headers, token_headers
from tieout.systems.syspro.errors import read_problem
from tieout.systems.syspro.redaction import redact
from tieout.systems.syspro.sessions import StoredSession
from tieout.systems.syspro.settings import SysproSettings
from tieout.systems.syspro.transport import Target, Transport

log = logging.getLogger(__name__)

_LONGEST_TOKEN = 4096
_ELEMENT = re.compile(r"<([A-Za-z]\w*)[^<>]*>([^<>]*)</\1>")


class LogonPostponed(Exception):
    """The server cannot log anybody on now; the text says why."""


def log_on(transport: Transport, settings: SysproSettings, now: datetime) -> StoredSession:
    """Opens a session, which ends any other of the same operator without a word.

    Args:
        transport: The connection.
        settings: Who logs on, to which company.
        now: The present moment, aware UTC.

    Raises:
        LogonPostponed: No answer, or one that says to come back, such as licences that are used up.
        CredentialsRejected: Refused. Never to be repeated: attempts lock the operator.
        ConfigurationInvalid: There is no e.net service at this address.
        ContractBroken: The answer is no token.
    """
    params = {
        "Operator": settings.operator,
        "OperatorPassword": settings.password,
        "CompanyId": settings.company_id,
        "CompanyPassword": settings.company_password,
    }
    try:
        reply = transport.get(Target(settings.logon_path, params, basic_headers(settings)))
    except NotAnswered as error:
        raise LogonPostponed(str(error)) from None
    content_type = reply.headers.get("Content-Type") or ""
    refusal = find_error(reply.body, content_type)
    if refusal is not None:
        raise _refusal(refusal, settings)
    if not 200 <= reply.status < 300:
        raise _http_refusal(reply, settings)
    return StoredSession(_token(decode_text(reply.body, content_type), settings), now)


def log_off(transport: Transport, settings: SysproSettings, token: str) -> bool:
    """Ends a session on the server; whether the server says that it did.

    Raises:
        NotAnswered: No answer; the session ends by itself when it has been idle for long enough.
    """
    headers = basic_headers(settings) | token_headers(settings, token)
    reply = transport.get(Target(settings.logoff_path, {"UserId": token}, headers))
    return 200 <= reply.status < 300 and find_error(reply.body) is None


def is_alive(transport: Transport, settings: SysproSettings, token: str) -> bool:
    """Whether a session still lives, as far as can be told: a server that cannot say so counts as yes."""
    return logon_profile(transport, settings, token) is not None


def logon_profile(transport: Transport, settings: SysproSettings, token: str) -> dict[str, str] | None:
    """What SYSPRO says of a session: element names and texts, such as `CompanyName` and `LocalCurrencyCode`.

    Returns:
        None if the session has ended; empty where the server says nothing that can be read.
    """
    headers = basic_headers(settings) | token_headers(settings, token)
    try:
        reply = transport.get(Target(settings.profile_path, {"UserId": token}, headers))
    except NotAnswered:
        return {}
    content_type = reply.headers.get("Content-Type") or ""
    error = find_error(reply.body, content_type)
    if error is not None:
        return None if error.kind is Kind.SESSION_LOST else {}
    if reply.status != 200:
        return {}
    text = unwrap(decode_text(reply.body, content_type))
    return {name: html.unescape(value).strip() for name, value in _ELEMENT.findall(text) if value.strip()}


def _token(text: str, settings: SysproSettings) -> str:
    token = unwrap(text)
    if settings.strip_token:
        token = token.strip()
    if not token.strip() or len(token) > _LONGEST_TOKEN or token.lstrip()[:1] in ("<", "{"):
        raise ContractBroken(
            f"SYSPRO at {settings.host} answers the log-on with something that is no session token. Check that "
            f"logon_path ({settings.logon_path}) in the connection's extra is the path of e.net's Logon."
        )
    return token


def _refusal(error: EnetError, settings: SysproSettings) -> Exception:
    words = redact(error.message, settings.secrets)
    if error.kind is Kind.LICENCES_USED_UP:
        return LogonPostponed(f"no e.net licence is free: {words}")
    if error.kind is Kind.BAD_INSTANCE:
        return ConfigurationInvalid(
            f"The e.net service at {settings.host} is not set up ({words}). SYSPRO's administrator must see to it."
        )
    return CredentialsRejected(
        f"SYSPRO at {settings.host} refuses to log on operator {settings.operator!r} to company "
        f"{settings.company_id!r} ({words}). Check login and password of the connection, company_id and "
        f"company_password in its extra, and whether the operator is locked or barred from business objects. It is "
        f"not tried again, since attempts lock the operator."
    )


def _http_refusal(reply: Reply, settings: SysproSettings) -> Exception:
    problem = read_problem(reply.status, reply.body)
    words = redact(str(problem), settings.secrets)
    if problem.transient:
        return LogonPostponed(words)
    if problem.status in (401, 403):
        return CredentialsRejected(
            f"SYSPRO at {settings.host} refuses to log on operator {settings.operator!r} ({words}). Check login and "
            f"password of the connection. It is not tried again, since attempts lock the operator."
        )
    if problem.status in (404, 405) or 300 <= problem.status < 400:
        return ConfigurationInvalid(
            f"There is no e.net log-on at {settings.base_url}{settings.logon_path} (HTTP {problem.status}). Check host "
            f"and, in the connection's extra, logon_path: the REST service has it at /SYSPROWCFService/Rest/Logon."
        )
    return ContractBroken(f"SYSPRO at {settings.host} refuses the log-on ({words}).")
