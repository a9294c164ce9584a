"""Leases: one holder at a time, with a fencing token that makes an old holder harmless.

A holder renews its lease while it works. If it dies, the lease runs out and the next one takes over with a higher
token; whatever the old holder still tries to commit is refused because its token is no longer the newest.
"""

from __future__ import annotations

import json
import logging
import math
import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from tieout.errors import Superseded
from tieout.ledger.database import Database
from tieout.ledger.models import leases
from tieout.ledger.rows import Scope

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2


def _seconds() -> float:
    """Seconds by a clock that nobody sets; it goes on while the machine sleeps, where the system has such a one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """A lease that is held. Leave its `with` block, or call `release`, to give it back.

    Attributes:
        token: The fencing token: higher than that of every earlier holder.
        holder: Who holds it.
        name: Its name in the ledger.
        title: What it is on, for people.
    """

    def __init__(
        self, store: LeaseStore, name: str, title: str, holder: str, token: int, ttl: float, asked_at: float
    ) -> None:
        self.holder = holder
        self.token = token
        self.name = name
        self.title = title
        self._store = store
        self._ttl = ttl
        # The latest moment before which the ledger is known to have said yes. From the asking, not from the answer:
        # the lease may have begun to run out any time in between.
        self._confirmed_at = asked_at
        self._over = Event()
        self._heartbeat = Thread(target=self._renew_until_over, name=f"lease {title}", daemon=True)
        self._heartbeat.start()

    def check(self) -> None:
        """Ask the ledger whether the lease is still ours.

        Raises:
            Superseded: Somebody else has taken over, or it was released.
        """
        self._store._check_lease(self.name, self.title, self.token)

    def check_local(self, margin: float = 5.0) -> None:
        """Look at the clock whether the lease can still be ours, without asking the ledger.

        For the moment before something leaves that cannot be taken back: a process that was stopped and wakes up
        finds its lease too old here, before anybody hears from it.

        Args:
            margin: Seconds that must be left before others may take over: what is sent takes a while to arrive.

        Raises:
            Superseded: The last renewal is too long ago, somebody else has taken over, or the lease was given back.
            ValueError: The margin is as long as the lease itself.
        """
        if margin >= self._ttl:
            raise ValueError(f"A margin of {margin:g} s leaves nothing of a lease of {self._ttl:g} s.")
        if doubt := self._doubt(margin):
            raise Superseded(
                f"This run can no longer rely on its lease on {self.title} (token {self.token}): {doubt}. "
                "It sends nothing more; what it had already done is looked up by the next run."
            )

    def release(self) -> None:
        """Give the lease back; harmless if it is lost or released already."""
        self._over.set()
        self._store._release_lease(self.name, self.token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.release()
        except SQLAlchemyError:
            # The work's own error, if any, matters more; the lease runs out by itself.
            log.warning("The lease on %s could not be given back; it runs out in %g s.", self.title, self._ttl)

    def __repr__(self) -> str:
        return f"<Lease on {self.title} by {self.holder}, token {self.token}>"

    def _doubt(self, margin: float) -> str:
        """Why the lease may not be ours any more; empty while it surely is."""
        silence = _seconds() - self._confirmed_at
        if self._over.is_set():
            return "it was given back"
        if silence == math.inf:
            return "somebody else has taken over"
        if silence > self._ttl - margin:
            return f"it was last renewed {silence:.0f} s ago and lasts {self._ttl:g} s, so another run may have it now"
        return ""

    def _renew_until_over(self) -> None:
        while not self._over.wait(self._ttl / 4):
            asked_at = _seconds()
            try:
                if not self._store._renew_lease(self.name, self.token, self._ttl):
                    log.warning("The lease on %s was taken over from %s.", self.title, self.holder)
                    self._confirmed_at = -math.inf
                    return
                self._confirmed_at = asked_at
            except SQLAlchemyError as error:
                log.warning("The lease on %s could not be renewed, trying again: %s", self.title, error)


class LeaseStore(Database):
    """The leases in the ledger."""

    def acquire(self, scope: Scope, holder: str, *, ttl: float = 20.0, wait: float = 120.0) -> Lease:
        """Become the one who works on a scope.

        Args:
            scope: What to work on.
            holder: Who asks, for the next one's message: run and task, never a secret.
            ttl: Seconds without a renewal after which others may take over.
            wait: Seconds to wait for a live holder.

        Raises:
            Superseded: A live holder kept it all that time.
        """
        return self._acquire(lease_name(scope), str(scope), holder, ttl, wait)

    def lock(self, name: str, holder: str, *, ttl: float = 90.0, wait: float = 120.0) -> Lease:
        """The same for anything that has a name, such as one log-in at a time.

        Raises:
            Superseded: A live holder kept it all that time.
        """
        return self._acquire(json.dumps(["lock", name]), name, holder, ttl, wait)

    def _acquire(self, name: str, title: str, holder: str, ttl: float, wait: float) -> Lease:
        deadline = time.monotonic() + wait
        while True:
            present_holder = self._live_holder(name)
            asked_at = _seconds()
            token = self._take_lease(name, holder, ttl) if present_holder is None else None
            if token is not None:
                return Lease(self, name, title, holder, token, ttl, asked_at)
            left = deadline - time.monotonic()
            if left <= 0:
                raise Superseded(
                    f"{title} is in the hands of {present_holder or 'another run'}, and still was after {wait:g} s of "
                    f"waiting, so {holder} gives way. Let the other one finish (or stop it), then run again."
                )
            time.sleep(min(POLL_SECONDS, left))

    def _live_holder(self, name: str) -> str | None:
        """Who holds the lease; None if nobody does or the holder's time is up. Reads only: pollers block nobody."""
        query = select(leases.c.holder).where(leases.c.name == name, leases.c.expires_at > self._clock())
        with self._reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _take_lease(self, name: str, holder: str, ttl: float) -> int | None:
        with self._writing() as connection:
            unheld = {"name": name, "token": 0, "holder": None, "expires_at": 0.0}
            connection.execute(self._insert(leases).values(unheld).on_conflict_do_nothing())
            taken = connection.execute(
                update(leases)
                .where(leases.c.name == name, or_(leases.c.holder.is_(None), leases.c.expires_at <= self._clock()))
                .values(token=leases.c.token + 1, holder=holder, expires_at=self._clock() + ttl)
                .returning(leases.c.token)
            )
            return taken.scalar_one_or_none()

    def _renew_lease(self, name: str, token: int, ttl: float) -> bool:
        ours = (leases.c.name == name, leases.c.token == token, leases.c.holder.is_not(None))
        with self._writing() as connection:
            renewed = connection.execute(update(leases).where(*ours).values(expires_at=self._clock() + ttl))
            return renewed.rowcount == 1

    def _release_lease(self, name: str, token: int) -> None:
        ours = (leases.c.name == name, leases.c.token == token)
        with self._writing() as connection:
            connection.execute(update(leases).where(*ours).values(holder=None, expires_at=0.0))

    def _check_lease(self, name: str, title: str, token: int) -> None:
        with self._reading() as connection:
            check_token(connection, name, title, token)


def lease_name(scope: Scope) -> str:
    """The name of a scope's lease; JSON, so that no separator inside a name can make two scopes one."""
    return json.dumps(["scope", scope.integration, scope.instance, scope.entity])


def require_token(connection: Connection, scope: Scope, token: int) -> None:
    """Check inside a writing transaction that a token is the newest, and keep it so until the commit.

    Raises:
        Superseded: Somebody else has taken over, or the lease was given back.
    """
    check_token(connection, lease_name(scope), str(scope), token, lock=True)


def require_lease(connection: Connection, lease: Lease) -> None:
    """Check inside a writing transaction that a lease of whatever name is still held, and keep it so until the commit.

    Raises:
        Superseded: Somebody else has taken over, or the lease was given back.
    """
    check_token(connection, lease.name, lease.title, lease.token, lock=True)


def check_token(connection: Connection, name: str, title: str, token: int, *, lock: bool = False) -> None:
    """Check that a token is the newest of its lease, and the lease still held.

    Raises:
        Superseded: It is not.
    """
    query = select(leases.c.token, leases.c.holder).where(leases.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is not None and row.token == token and row.holder is not None:
        return
    now = "nobody holds it now"
    if row is not None and row.holder is not None:
        now = f"{row.holder} has it now (token {row.token})"
    raise Superseded(
        f"This run has lost its lease on {title} (token {token}): {now}. It must not write any more; "
        "what it had already done is looked up by the next run."
    )
