"""The access token: got when there is none, renewed before it ends, by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected, SourceUnavailable
from tieout.systems.banqup import surface
from tieout.systems.banqup.answers import Token, read_error, read_error_code, read_token
from tieout.systems.banqup.patience import Patience, Timing, transient
from tieout.systems.banqup.redaction import redact
from tieout.systems.banqup.settings import BanqupSettings
from tieout.systems.common.transport import NotAnswered, Reply, Transport

_LONGEST_MARGIN = 30.0
_REFUSED = (400, 401, 403)


@dataclass
class Grant:
    """A token in use.

    Attributes:
        text: The token itself.
        ends: When it is to be renewed, by our clock; None where only a 401 tells.
        worked: The service has taken it at least once.
        users: Requests that are under way with it.
    """

    text: str = field(repr=False)
    ends: float | None
    worked: bool = False
    users: int = 0

    @property
    def never_taken(self) -> bool:
        """Nobody uses it any more, and it has worked for nobody."""
        return self.users == 0 and not self.worked


class TokenKeeper:
    """Gets tokens with the application's credentials.

    A refusal is remembered: the credentials are not sent again, since repeated attempts lock applications. So is, for
    as long as a request is repeated, that the service does not answer: threads that wait for a token do not each try.

    Args:
        settings: The application.
        transport: Connections to the service.
        timing: How time passes.
        note: Told of every answer.
    """

    def __init__(
        self, settings: BanqupSettings, transport: Transport, timing: Timing, note: Callable[[Reply], None]
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._timing = timing
        self._note = note
        self._lock = threading.Lock()
        self._grant: Grant | None = None
        self.life: float | None = None
        """Seconds that the newest token lasts; None where the service does not say."""
        self._refusal = ""
        self._away = ""
        self._away_until = 0.0

    @contextmanager
    def using(self) -> Iterator[Grant]:
        """A token for one request, still valid as far as we know.

        Raises:
            CredentialsRejected: The credentials are refused, now or earlier.
            SourceUnavailable: The service does not answer within the budget.
            ConfigurationInvalid: There is no such service at the address.
            ContractBroken: The answer holds no token.
        """
        with self._lock:
            if self._grant is None or (self._grant.ends is not None and self._timing.clock() >= self._grant.ends):
                self._grant = self._renewed()
            grant = self._grant
            grant.users += 1
        try:
            yield grant
        finally:
            with self._lock:
                grant.users -= 1

    def forget(self, grant: Grant) -> None:
        """The service did not take it: the next one who asks gets another, unless somebody has got one already."""
        with self._lock:
            if self._grant is grant:
                self._grant = None

    def _renewed(self) -> Grant:
        if self._refusal:
            raise CredentialsRejected(self._refusal)
        if self._timing.clock() < self._away_until:
            raise SourceUnavailable(self._away)
        try:
            return self._get()
        except SourceUnavailable as error:
            self._away, self._away_until = str(error), self._timing.clock() + self._settings.retry_seconds
            raise

    def _get(self) -> Grant:
        settings = self._settings
        form = surface.token_form(settings.client_id, settings.client_secret, settings.scope)
        patience = Patience(settings.token_path, settings, self._timing)
        while True:
            asked_at = self._timing.clock()
            try:
                reply = self._transport.send(
                    "POST",
                    f"{settings.base_url}{settings.token_path}",
                    headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
                    body=urlencode(form).encode(),
                )
            except NotAnswered as error:
                patience.after_failure(str(error))
                continue
            self._note(reply)
            if not transient(reply.status):
                return self._granted(self._read(reply), asked_at)
            patience.after_answer(reply, f"HTTP {reply.status}")

    def _granted(self, token: Token, asked_at: float) -> Grant:
        self.life = token.seconds
        if token.seconds is None:
            return Grant(token.text, None)
        # A token of a few seconds keeps most of them; one of minutes is renewed half a minute early.
        return Grant(token.text, asked_at + token.seconds - min(_LONGEST_MARGIN, token.seconds / 4))

    def _read(self, reply: Reply) -> Token:
        settings = self._settings
        where = f"{settings.server}{settings.token_path}"
        if reply.status in _REFUSED:
            self._refusal = self._refused(reply)
            raise CredentialsRejected(self._refusal)
        if reply.status not in (200, 201):
            raise ConfigurationInvalid(
                f"{where} gives no token (HTTP {reply.status}). Check that the connection's host is Banqup's API, and "
                f"token_path in its extra."
            )
        token = read_token(reply.body)
        if token is None:
            raise ContractBroken(
                f"The answer of {where} holds no {surface.ACCESS_TOKEN}. Check that the connection's host is Banqup's "
                f"API, and token_path in its extra."
            )
        return token

    def _refused(self, reply: Reply) -> str:
        settings = self._settings
        words = [read_error_code(reply.body), read_error(reply.body)]
        said = redact(": ".join(dict.fromkeys(word for word in words if word)), settings.secrets)
        return (
            f"{settings.server} refuses the application {settings.client_id!r} (HTTP {reply.status}"
            f"{', ' + said if said else ''}). Correct login (client id) and password (client secret) of the "
            f"connection; it is not tried again before."
        )
