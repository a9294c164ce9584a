"""Operators and their sessions: one session per operator, a limit on all of them, tokens in several forms."""

from __future__ import annotations

import hashlib
import html
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.clock import SandboxClock
from sandbox.syspro.faults import Settings

SESSION_INVALID = (
    "The supplied UserID is invalid. Either you were not logged in; or your session has expired. "
    "You will need to logon again."
)


@dataclass(frozen=True)
class Operator:
    """An operator; `companies` are those it may log on to, with their passwords."""

    name: str = "TIEOUT"
    password: str = field(default="Ledger & Co 1", repr=False)
    companies: dict[str, str] = field(default_factory=lambda: {"EDU1": ""}, repr=False)
    odata: bool = True


@dataclass
class Session:
    """A live session. `token` is a secret of its client."""

    token: str = field(repr=False)
    operator: str
    company: str
    last_used: datetime


class LogonRefused(Exception):
    """The text follows `ERROR: `."""


class Sessions:
    """The live sessions, by operator."""

    def __init__(self, operators: tuple[Operator, ...], clock: SandboxClock) -> None:
        self.operators = {operator.name.upper(): operator for operator in operators}
        self.log_ons = 0
        self.refused = 0
        self.log_offs = 0
        self._clock = clock
        self._live: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._live)

    def log_on(self, name: str, password: str, company: str, company_password: str, settings: Settings) -> Session:
        """Opens a session and ends the operator's other one. Raises LogonRefused."""
        try:
            operator = self._check(name, password, company, company_password)
            if operator.name.upper() not in self._live:
                self._make_room(settings)
        except LogonRefused:
            self.refused += 1
            raise
        self.log_ons += 1
        session = Session(self._token(operator, settings), operator.name, company, self._clock.now())
        self._live[operator.name.upper()] = session
        return session

    def use(self, token: str) -> Session | None:
        """The live session of a token, its idle time started again. HTTP headers lose spaces at the ends."""
        for session in self._live.values():
            if session.token == token or session.token.strip() == token:
                session.last_used = self._clock.now()
                return session
        return None

    def log_off(self, token: str) -> bool:
        """Ends a session; False when there is none of this token."""
        session = self.use(token)
        if session is None:
            return False
        self.log_offs += 1
        del self._live[session.operator.upper()]
        return True

    def evict(self) -> int:
        """As if each operator had logged on elsewhere: all tokens are dead. Returns how many there were."""
        count = len(self._live)
        self._live.clear()
        return count

    def check_basic(self, name: str, password: str) -> bool:
        """Whether the OData service knows this operator and credential."""
        operator = self.operators.get(name.upper())
        return operator is not None and operator.odata and operator.password == password

    def _check(self, name: str, password: str, company: str, company_password: str) -> Operator:
        operator = self.operators.get(name.upper())
        if operator is None:
            raise LogonRefused("Invalid operator")
        if operator.password != password:
            raise LogonRefused("Invalid operator password")
        if company not in operator.companies:
            raise LogonRefused("Invalid company")
        if operator.companies[company] != company_password:
            raise LogonRefused("Invalid company password")
        return operator

    def _make_room(self, settings: Settings) -> None:
        if settings.class_limit is None or len(self._live) < settings.class_limit:
            return
        idle = sorted(self._live.values(), key=lambda session: session.last_used)
        limit = self._clock.now() - timedelta(minutes=settings.timeout_minutes)
        if not idle or idle[0].last_used > limit:
            raise LogonRefused("The maximum number of licensed e.net users has been reached")
        del self._live[idle[0].operator.upper()]

    def _token(self, operator: Operator, settings: Settings) -> str:
        digest = hashlib.sha256(f"{operator.name} {self.log_ons}".encode()).hexdigest().upper()
        return digest[:32] + "00  " if settings.token_form == "syspro7" else digest + "-00"


def wrapped(text: str, form: str) -> bytes:
    """An answer in the form in which this site gives its texts."""
    if form == "json":
        return json.dumps(text).encode()
    if form == "string":
        return (
            f'<string xmlns="http://schemas.microsoft.com/2003/10/Serialization/">{html.escape(text)}</string>'.encode()
        )
    return text.encode()
