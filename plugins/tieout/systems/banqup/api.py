"""One read of Banqup's API: with a token that is valid, repeated while the service cannot serve."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote, urlencode

from tieout.errors import ConfigurationInvalid, CredentialsRejected
from tieout.systems.banqup.answers import read_error
from tieout.systems.banqup.errors import Unreadable
from tieout.systems.banqup.patience import Patience, Timing, http_date, transient
from tieout.systems.banqup.redaction import redact
from tieout.systems.banqup.settings import BanqupSettings
from tieout.systems.banqup.tokens import Grant, TokenKeeper
from tieout.systems.common.transport import NotAnswered, Reply, Transport

_CONNECTIONS = 64
_MOST_LOSSES = 20
_READINGS = 3

T = TypeVar("T")


class Refused(Exception):
    """The service answers, and says no; what that means depends on what was asked for.

    Attributes:
        status: HTTP status, 4xx or 501.
        words: What the service says, cleaned; may be empty.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"HTTP {status}" + (f": {words}" if words else ""))
        self.status = status
        self.words = words


class Api:
    """Reads Banqup's API, from several threads.

    Args:
        settings: Address, application and limits.
        timing: How time passes.
    """

    def __init__(self, settings: BanqupSettings, timing: Timing) -> None:
        self.settings = settings
        self._timing = timing
        self._transport = Transport(settings, timing.clock, connections=_CONNECTIONS)
        self._tokens = TokenKeeper(settings, self._transport, timing, self._note)
        self._first = threading.Lock()
        self.server_time: datetime | None = None
        self.clock_skew: timedelta | None = None

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def login(self) -> None:
        """Makes sure that there is a token; errors as `get`."""
        with self._tokens.using():
            pass

    @property
    def token_life(self) -> timedelta | None:
        """How long the newest token lasts; None where there is none, and where the service does not say."""
        return None if self._tokens.life is None else timedelta(seconds=self._tokens.life)

    def get(self, path: str, parse: Callable[[bytes], T], params: Mapping[str, str] | None = None) -> T:
        """Reads one answer; one that cannot be read is asked for again, twice.

        Args:
            path: Below the base URL, percent-encoded.
            parse: Makes a value of the body of a 200.
            params: The query, not yet encoded.

        Raises:
            Refused: The service says no.
            CredentialsRejected: It does not take the application's credentials, or none of its own tokens.
            SourceUnavailable: It does not answer within the budget, or asks to come back later than that.
            ConfigurationInvalid: The connection leads elsewhere.
            ContractBroken: An answer cannot be read or is too large, or there is no token in one.
        """
        patience = Patience(path, self.settings, self._timing)
        for _ in range(_READINGS - 1):
            try:
                return parse(self._body(path, params))
            except Unreadable as error:
                why = str(error)
            patience.after_failure(why)
        return parse(self._body(path, params))

    def _body(self, path: str, params: Mapping[str, str] | None) -> bytes:
        url = f"{self.settings.base_url}{path}" + (f"?{urlencode(params, quote_via=quote)}" if params else "")
        patience = Patience(path, self.settings, self._timing)
        losses = 0
        while True:
            with self._tokens.using() as grant:
                reply = self._send(url, grant)
            if isinstance(reply, NotAnswered):
                patience.after_failure(str(reply))
            elif reply.status == 401:
                losses += 1
                self._lost(grant, losses, path, reply)
            elif transient(reply.status):
                patience.after_answer(reply, f"HTTP {reply.status}{self._words(reply, ' ', grant)}")
            elif reply.status == 200:
                return reply.body
            elif reply.status < 400:
                raise ConfigurationInvalid(
                    f"{self.settings.server} answers {path} with HTTP {reply.status}. Check that the connection's host "
                    f"is Banqup's API, and the paths in its extra."
                )
            else:
                raise Refused(reply.status, self._words(reply, "", grant))

    def _send(self, url: str, grant: Grant) -> Reply | NotAnswered:
        headers = {
            "Accept": "application/json", "Accept-Encoding": "gzip", "Authorization": f"Bearer {grant.text}"
        }  # fmt: skip
        try:
            reply = self._transport.send("GET", url, headers=headers)
        except NotAnswered as error:
            return error
        self._note(reply)
        grant.worked = grant.worked or (reply.status != 401 and not transient(reply.status))
        return reply

    def _lost(self, grant: Grant, losses: int, path: str, reply: Reply) -> None:
        """Has the token renewed, unless the service takes none.

        A token that has worked has merely ended, perhaps while another thread used it; one that never was taken, after
        another was refused, means that the service does not want the application here.
        """
        if (losses > 1 and grant.never_taken) or losses > _MOST_LOSSES:
            raise CredentialsRejected(
                f"{self.settings.server} gives the application {self.settings.client_id!r} a token and does not take "
                f"it for {path} (HTTP 401{self._words(reply, ', ', grant)}). Check in Banqup that the application may "
                f"use the API, and scope in the connection's extra."
            )
        self._tokens.forget(grant)

    def _words(self, reply: Reply, before: str, grant: Grant) -> str:
        words = redact(read_error(reply.body), (*self.settings.secrets, grant.text))
        return f"{before}{words}" if words else ""

    def _note(self, reply: Reply) -> None:
        """Remembers the server's clock as the first answer shows it."""
        if self.server_time is not None:
            return
        moment = http_date(reply.headers.get("Date") or "")
        with self._first:
            if self.server_time is None and moment is not None:
                self.clock_skew = moment - self._timing.now()
                self.server_time = moment
