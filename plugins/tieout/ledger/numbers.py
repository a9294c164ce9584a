"""Numbers that a partner checks for gaps: file sequence numbers, interchange and group control numbers.

A number is allocated before anything is written, is used once the file that carries it is delivered, and is void when
that can no longer happen. It is never given twice. Whether it is used is read from its file's own state, so that there
is no moment between a delivery and its number in which a crash could leave the two in disagreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    case,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from tieout.ledger.columns import iso_z
from tieout.ledger.database import update_rows, utc_now
from tieout.ledger.events import add_events, event_values
from tieout.ledger.filters import by_scope
from tieout.ledger.models import files, numbers, scopes
from tieout.ledger.rows import RunKey, Scope
from tieout.ledger.scopes import ScopeStore

# The file's state has the last word: what was taken for void and arrived all the same is used.
_STATE: ColumnElement[str] = case(
    (files.c.state == "delivered", literal_column("'used'", Text)),
    (numbers.c.void_at.is_not(None), literal_column("'void'", Text)),
    else_=literal_column("'allocated'", Text),
)

_EFFECT_UNKNOWN = ("sending", "verified")


@dataclass(frozen=True)
class NumberRow:
    """A number that was given.

    Attributes:
        partner: Whose counter it is.
        counter: Its name, such as `file` or `interchange`.
        number: What the partner sees.
        serial: Counts on where `number` starts again at 1: the serials of a counter have no gap.
        state: allocated, used or void.
        owner: What it was allocated for, which names the run too.
        run_id: The run of its file.
        file_id: The file that carries it, as far as there is one.
        at: When it was delivered, found void or allocated.
        why: Why it is void.
    """

    partner: Scope
    counter: str
    number: int
    serial: int
    state: str
    owner: str
    run_id: str | None
    file_id: int | None
    file_name: str | None
    allocated_at: datetime
    at: datetime
    why: str

    def as_json(self) -> dict[str, Any]:
        """The row for lists."""
        return {
            "integration": self.partner.integration,
            "partner": self.partner.entity,
            "counter": self.counter,
            "number": self.number,
            "state": self.state,
            "owner": self.owner,
            "run_id": self.run_id,
            "file_name": self.file_name,
            "allocated_at": iso_z(self.allocated_at),
            "at": iso_z(self.at),
            "why": self.why,
        }


class NumberStore(ScopeStore):
    """The partners' numbers in the ledger. A partner is `Scope(integration, "*", name)`."""

    def allocate_number(self, partner: Scope, counter: str, owner: str, *, highest: int | None = None) -> int:
        """Give the next number of a counter, or again the one that its owner has and has not used.

        Args:
            partner: Whose counter.
            counter: Its name, such as `file`, `interchange` or `group`.
            owner: What the number is for, such as `<instance>/<entity>/<run_id>/<part>`: a second attempt at the same
                thing gets the same number.
            highest: After this number the counter starts again at 1.
        """
        with self._writing() as connection:
            # Locked: whoever wants a number of the same partner waits here.
            scope_id = self._scope_id(connection, partner)
            mine = _newest(connection, scope_id, counter, numbers.c.owner == owner)
            if mine is not None and mine.state == "allocated":
                return int(mine.number)
            last = _newest(connection, scope_id, counter)
            number = _next(last, highest)
            row = {
                "scope_id": scope_id,
                "counter": counter,
                "serial": last.serial + 1 if last is not None else 1,
                "number": number,
                "owner": owner,
                "allocated_at": utc_now(),
            }
            connection.execute(insert(numbers), row)
            return number

    def peek_number(self, partner: Scope, counter: str, *, highest: int | None = None) -> int:
        """The number that would be given next to a new owner; nothing is written."""
        with self._reading() as connection:
            query = select(scopes.c.id).where(*by_scope(scopes, partner))
            scope_id = connection.execute(query).scalar_one_or_none()
            last = None if scope_id is None else _newest(connection, scope_id, counter)
            return _next(last, highest)

    def number_used(self, partner: Scope, counter: str, number: int, file_id: int) -> None:
        """Say which file carries a number; it is used from the file's delivery on.

        Best said as soon as the file is prepared: then nothing can come between its delivery and its number. Saying it
        again changes nothing; another file may take over a number whose own was not delivered.

        Args:
            partner: Whose counter.
            counter: Its name.
            number: The number.
            file_id: The file.

        Raises:
            ValueError: The number was not given, there is no such file, or the number is another file's, which was
                delivered or whose effect is unknown.
        """
        with self._writing() as connection:
            scope_id = self._scope_id(connection, partner)
            row = _newest(connection, scope_id, counter, numbers.c.number == number)
            if row is None:
                raise ValueError(f"Number {number} of {_name(partner, counter)} was never given.")
            if row.file_id == file_id:
                return
            if row.file_state in (*_EFFECT_UNKNOWN, "delivered"):
                raise ValueError(
                    f"Number {number} of {_name(partner, counter)} is that of file {row.file_name} ({row.file_state}); "
                    "no other file may carry it."
                )
            state = connection.execute(select(files.c.state).where(files.c.id == file_id)).scalar_one_or_none()
            if state is None:
                raise ValueError(f"The ledger has no file {file_id}.")
            if row.state == "void" and state != "delivered":
                raise ValueError(
                    f"Number {number} of {_name(partner, counter)} is void ({row.void_why}); the file needs a new one."
                )
            connection.execute(update(numbers).where(numbers.c.id == row.id).values(file_id=file_id))

    def void_numbers(
        self, partner: Scope, *, owner_prefix: str, except_owner_prefix: str | None = None, why: str
    ) -> int:
        """Declare allocated numbers void that will not be used any more, with an event for each.

        Those of files whose effect is unknown are left as they are: look the files up first.

        Args:
            partner: Whose numbers, of all counters.
            owner_prefix: How the owners begin, such as `<instance>/<entity>/`.
            except_owner_prefix: Not those that begin so, such as `<instance>/<entity>/<run_id>/`.
            why: The reason, for the partner who asks about the gap; not empty.

        Returns:
            How many numbers became void.

        Raises:
            ValueError: No reason is given.
        """
        if not why.strip():
            raise ValueError("Say why the numbers are void: the partner will ask about the gap.")
        may_be_void = (
            _begins(owner_prefix),
            _STATE == "allocated",
            or_(files.c.id.is_(None), files.c.state.not_in(_EFFECT_UNKNOWN)),
        )
        with self._writing() as connection:
            query = _rows().where(numbers.c.scope_id == self._scope_id(connection, partner), *may_be_void)
            if except_owner_prefix is not None:
                query = query.where(~_begins(except_owner_prefix))
            rows = connection.execute(query.order_by(numbers.c.id)).all()
            now = utc_now()
            update_rows(connection, numbers, {"void_at": now, "void_why": why}, [{"id": row.id} for row in rows])
            add_events(connection, (_void_event(partner, row, why, now) for row in rows))
        return len(rows)

    def numbers(
        self,
        partner: Scope | None = None,
        *,
        counter: str | None = None,
        state: str | None = None,
        owner_prefix: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[NumberRow]:
        """Numbers that were given, the last first.

        Args:
            partner: Only this partner's.
            counter: Only this counter's.
            state: allocated, used or void.
            owner_prefix: Only those whose owners begin so.
            limit: So many at most.
            offset: Leave out so many first.
        """
        query = _rows().order_by(numbers.c.id.desc()).limit(limit).offset(offset)
        if partner is not None:
            query = query.where(*by_scope(scopes, partner))
        if counter is not None:
            query = query.where(numbers.c.counter == counter)
        if state is not None:
            query = query.where(_STATE.in_([state]))
        if owner_prefix:
            query = query.where(_begins(owner_prefix))
        with self._reading() as connection:
            return [_number_row(row) for row in connection.execute(query)]


def _rows() -> Select[Any]:
    return (
        select(
            numbers,
            *(scopes.c.integration, scopes.c.instance, scopes.c.entity),
            _STATE.label("state"),
            *(files.c.file_name, files.c.run_id, files.c.delivered_at, files.c.state.label("file_state")),
        )
        .join(scopes, scopes.c.id == numbers.c.scope_id)
        .outerjoin(files, files.c.id == numbers.c.file_id)
    )


def _newest(connection: Connection, scope_id: int, counter: str, *conditions: ColumnElement[bool]) -> Row[Any] | None:
    mine = (numbers.c.scope_id == scope_id, numbers.c.counter == counter, *conditions)
    return connection.execute(_rows().where(*mine).order_by(numbers.c.serial.desc()).limit(1)).one_or_none()


def _next(last: Row[Any] | None, highest: int | None) -> int:
    if last is None or (highest is not None and last.number >= highest):
        return 1
    return int(last.number) + 1


def _begins(prefix: str) -> ColumnElement[bool]:
    # LIKE would need escaping, and SQLite's does not tell capitals from small letters.
    return func.substr(numbers.c.owner, 1, len(prefix), type_=Text) == literal(prefix)


def _name(partner: Scope, counter: str) -> str:
    return f"counter {counter!r} of {partner.entity} ({partner.integration})"


def _void_event(partner: Scope, row: Row[Any], why: str, now: datetime) -> dict[str, Any]:
    key = RunKey(partner.integration, partner.instance, partner.entity, row.run_id or "")
    detail = {"counter": row.counter, "number": row.number, "owner": row.owner, "why": why}
    return event_values(key, "number void", now, detail) | {"file_id": row.file_id}


def _number_row(row: Row[Any]) -> NumberRow:
    at = {"used": row.delivered_at, "void": row.void_at}.get(row.state) or row.allocated_at
    return NumberRow(
        partner=Scope(row.integration, row.instance, row.entity),
        counter=row.counter,
        number=row.number,
        serial=row.serial,
        state=row.state,
        owner=row.owner,
        run_id=row.run_id,
        file_id=row.file_id,
        file_name=row.file_name,
        allocated_at=row.allocated_at,
        at=at,
        why=row.void_why if row.state == "void" else "",
    )
