"""Acknowledgements: which files a partner has yet to answer, and what it said.

An expectation is entered with its file and counts once that is delivered. An answer is matched by the group's control
number to the newest delivered file that carries it. The file itself stays delivered, whatever the partner says of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, literal_column, select, update

from tieout.ledger.columns import iso_z, plain_json
from tieout.ledger.database import KEYS_PER_QUERY, chunks, utc_now
from tieout.ledger.events import add_event
from tieout.ledger.filters import by_scope
from tieout.ledger.models import acknowledgement_files, acknowledgements, file_records, files, scopes
from tieout.ledger.rows import RunKey, Scope
from tieout.ledger.scopes import ScopeStore

AcknowledgementState = Literal["sent", "accepted", "accepted_with_errors", "partially_accepted", "rejected", "overdue"]
"""`sent`: the partner has yet to answer; `overdue`: it should have."""

_IS_DELIVERED = files.c.state == "delivered"
# Neither delivered nor given up: the partner may have it before we know.
_IS_UNDERWAY = files.c.state.in_(("prepared", "sending", "verified"))
# Written out: only so do the databases see that the partial index fits.
_IS_OPEN = acknowledgements.c.state.in_([literal_column("'sent'"), literal_column("'overdue'")])


@dataclass(frozen=True)
class AcknowledgementRow:
    """What a partner said of a file, or has yet to say.

    Attributes:
        key: The run that sent the file.
        interchange: Its ISA13.
        group: Its GS06.
        functional_id: Its GS01.
        sets: How many sets are in it; 0 where that was not said.
        due_at: When an answer should be there.
        ack_file: The partner's file that has the answer.
        detail: The answer as it was read.
    """

    file_id: int
    key: RunKey
    file_name: str
    delivered_at: datetime | None
    interchange: int
    group: int
    functional_id: str
    sets: int
    state: AcknowledgementState
    due_at: datetime
    answered_at: datetime | None
    ack_file: str | None
    detail: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The row for `trace`."""
        return {
            "state": self.state,
            "interchange": self.interchange,
            "group": self.group,
            "functional_id": self.functional_id,
            "due_at": iso_z(self.due_at),
            "answered_at": iso_z(self.answered_at),
            "ack_file": self.ack_file,
            "detail": plain_json(self.detail),
        }


class Overdue(NamedTuple):
    """Files whose answer should be there by now, the longest overdue first.

    Attributes:
        new: Those found overdue for the first time.
        before: Those that were overdue already.
    """

    new: list[AcknowledgementRow]
    before: list[AcknowledgementRow]


class AcknowledgementStore(ScopeStore):
    """The acknowledgements in the ledger. A partner is `Scope(integration, "*", name)`."""

    def expect_acknowledgement(
        self,
        file_id: int,
        partner: Scope,
        *,
        interchange: int,
        group: int,
        functional_id: str,
        due_at: datetime,
        sets: int = 0,
    ) -> None:
        """Note that a partner owes an answer to a file; it counts once the file is delivered.

        Said again, it changes what was said before, unless the answer is there already.

        Args:
            file_id: The file.
            partner: Who owes the answer.
            interchange: Its ISA13.
            group: Its GS06.
            functional_id: Its GS01.
            due_at: Aware; when an answer should be there.
            sets: How many sets are in it; 0 where that is not known.

        Raises:
            ValueError: There is no such file.
        """
        with self._writing() as connection:
            if connection.execute(select(files.c.id).where(files.c.id == file_id)).first() is None:
                raise ValueError(f"The ledger has no file {file_id}.")
            expected = {
                "scope_id": self._scope_id(connection, partner),
                "interchange": interchange,
                "group_control": group,
                "functional_id": functional_id,
                "sets": sets,
                "state": "sent",
                "due_at": due_at,
            }
            statement = self._insert(acknowledgements).values({"file_id": file_id, "detail": {}} | expected)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["file_id"], set_=expected, where=acknowledgements.c.answered_at.is_(None)
                )
            )

    def acknowledge(
        self,
        partner: Scope,
        *,
        group: int,
        functional_id: str,
        state: AcknowledgementState,
        ack_file: str,
        answered_at: datetime,
        detail: Mapping[str, Any],
    ) -> AcknowledgementRow | None:
        """Enter what a partner said of a group. The same answer again changes nothing; another one replaces it.

        Args:
            partner: Who said it.
            group: The group's control number (AK102).
            functional_id: The group's functional id (AK101).
            state: accepted, accepted_with_errors, partially_accepted or rejected.
            ack_file: The partner's file that says so.
            answered_at: Aware; when it was read.
            detail: The answer as it was read; never a secret.

        Returns:
            The newest delivered file that carries the group, with its answer; None if none does.
        """
        which = (acknowledgements.c.group_control == group, acknowledgements.c.functional_id == functional_id)
        answer = {"state": state, "ack_file": ack_file, "detail": plain_json(detail)}
        return self._answer(partner, which, answer, answered_at)

    def acknowledge_interchange(
        self,
        partner: Scope,
        *,
        interchange: int,
        rejected: bool,
        ack_file: str,
        answered_at: datetime,
        detail: Mapping[str, Any],
    ) -> AcknowledgementRow | None:
        """Enter what a partner said of an interchange (TA1).

        A rejected interchange is the end of it. That one was accepted says nothing of what is in it: the answer to the
        group is still to come, and the file's state stays as it is.

        Args:
            partner: Who said it.
            interchange: The interchange's control number (TA101).
            rejected: Whether the partner refused it.
            ack_file: The partner's file that says so.
            answered_at: Aware; when it was read.
            detail: The answer as it was read; never a secret.

        Returns:
            The newest delivered file that carries the interchange; None if none does.
        """
        which = (acknowledgements.c.interchange == interchange,)
        if rejected:
            answer = {"state": "rejected", "ack_file": ack_file, "detail": plain_json(detail)}
            return self._answer(partner, which, answer, answered_at)
        with self._writing() as connection:
            row = _newest(connection, partner, *which)
            if row is not None:
                told = {"ack_file": ack_file, **plain_json(detail)}
                add_event(connection, row.key, "interchange accepted", file_id=row.file_id, detail=told)
            return row

    def may_be_on_its_way(self, partner: Scope, *, group: int | None = None, interchange: int | None = None) -> bool:
        """Whether a file with this control number is prepared or being sent: its answer may be there before we know.

        Args:
            partner: Whose file.
            group: The group's control number.
            interchange: Or the interchange's.
        """
        column, number = (
            (acknowledgements.c.group_control, group)
            if group is not None
            else (acknowledgements.c.interchange, interchange)
        )
        query = _rows().where(*by_scope(scopes, partner), column == number, _IS_UNDERWAY).limit(1)
        with self._reading() as connection:
            return connection.execute(query).first() is not None

    def overdue(self, now: datetime, partner: Scope | None = None) -> Overdue:
        """Mark what is overdue, with an event for each.

        Args:
            now: Aware.
            partner: Only what this partner owes.
        """
        mine = by_scope(scopes, partner) if partner is not None else ()
        late = _rows().where(*mine, _IS_DELIVERED, _IS_OPEN, acknowledgements.c.due_at <= now)
        with self._writing() as connection:
            rows = [_row(row) for row in connection.execute(late.order_by(acknowledgements.c.due_at, files.c.id))]
            new = [replace(row, state="overdue") for row in rows if row.state == "sent"]
            for row in new:
                of_file = acknowledgements.c.file_id == row.file_id
                connection.execute(update(acknowledgements).where(of_file).values(state="overdue"))
                due = {"due_at": row.due_at}
                add_event(connection, row.key, "acknowledgement overdue", file_id=row.file_id, detail=due)
        return Overdue(new, [row for row in rows if row.state == "overdue"])

    def get_acknowledgement(self, file_id: int) -> AcknowledgementRow | None:
        """What a partner said of a file or owes for it, also before the file is delivered; None if nothing is owed."""
        with self._reading() as connection:
            row = connection.execute(_rows().where(files.c.id == file_id)).one_or_none()
        return None if row is None else _row(row)

    def label_at(self, file_id: int, position: int) -> str | None:
        """The label of a file's record by its place in the file, from 1; the source key where it has none.

        Where every record is a set of its own, the first set's is the first record. None if there is no such record.
        """
        query = select(file_records.c.label, file_records.c.source_key).where(file_records.c.file_id == file_id)
        with self._reading() as connection:
            in_order = query.order_by(file_records.c.byte_start).offset(position - 1).limit(1)
            row = connection.execute(in_order).one_or_none()
        return None if row is None else row.label or row.source_key

    def read_acknowledgement_files(self, partner: Scope, sha256s: Sequence[str]) -> set[str]:
        """Those of the digests whose files were read before."""
        query = select(acknowledgement_files.c.sha256).join(scopes, scopes.c.id == acknowledgement_files.c.scope_id)
        found: set[str] = set()
        with self._reading() as connection:
            for some in chunks(sha256s, KEYS_PER_QUERY):
                chosen = (*by_scope(scopes, partner), acknowledgement_files.c.sha256.in_(some))
                found.update(connection.execute(query.where(*chosen)).scalars())
        return found

    def acknowledgement_files_at(self, partner: Scope, remote_paths: Sequence[str]) -> set[tuple[str, int, int]]:
        """Path, size and time of files at these paths that were read and still lie there, as far as we know."""
        columns = [acknowledgement_files.c[name] for name in ("remote_path", "bytes", "source_mtime")]
        query = select(*columns).join(scopes, scopes.c.id == acknowledgement_files.c.scope_id)
        found: set[tuple[str, int, int]] = set()
        with self._reading() as connection:
            for some in chunks(remote_paths, KEYS_PER_QUERY):
                chosen = (*by_scope(scopes, partner), acknowledgement_files.c.remote_path.in_(some))
                left = acknowledgement_files.c.archive_path.is_(None)
                found.update(tuple(row) for row in connection.execute(query.where(*chosen, left)))
        return found

    def remember_acknowledgement_file(
        self, partner: Scope, *, sha256: str, remote_path: str, bytes: int, source_mtime: int, archive_path: str | None
    ) -> None:
        """Note that a file was read, and where it was moved, if it was.

        Args:
            partner: Whose file.
            sha256: Its digest, hex.
            remote_path: Where it was found.
            bytes: Its size.
            source_mtime: When it was last changed, seconds since 1970 by the partner's clock; 0 where unknown.
            archive_path: Where it is now; None if it was left.
        """
        with self._writing() as connection:
            place = {
                "remote_path": remote_path,
                "bytes": bytes,
                "source_mtime": source_mtime,
                "archive_path": archive_path,
            }
            row = {"scope_id": self._scope_id(connection, partner), "sha256": sha256, "read_at": utc_now()} | place
            statement = self._insert(acknowledgement_files).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=["scope_id", "sha256"], set_=place))

    def _answer(
        self, partner: Scope, which: Sequence[ColumnElement[bool]], answer: Mapping[str, Any], answered_at: datetime
    ) -> AcknowledgementRow | None:
        with self._writing() as connection:
            # Answers of one partner are entered one after another.
            self._scope_id(connection, partner)
            row = _newest(connection, partner, *which)
            if row is None or answer == {name: getattr(row, name) for name in answer}:
                return row
            of_file = acknowledgements.c.file_id == row.file_id
            values = {**answer, "answered_at": answered_at}
            connection.execute(update(acknowledgements).where(of_file).values(values))
            told = {**answer, "before": row.state}
            add_event(connection, row.key, f"acknowledgement {answer['state']}", file_id=row.file_id, detail=told)
            return _newest(connection, partner, *which)


def acknowledgement_states(connection: Connection, file_ids: Sequence[int]) -> dict[int, str]:
    """How far the acknowledgements of these delivered files are; without the files that expect none."""
    found: dict[int, str] = {}
    query = select(acknowledgements.c.file_id, acknowledgements.c.state)
    for ids in chunks(file_ids, KEYS_PER_QUERY):
        for file_id, state in connection.execute(query.where(acknowledgements.c.file_id.in_(ids))):
            found[file_id] = state
    return found


def find_acknowledgement(connection: Connection, file_id: int) -> AcknowledgementRow | None:
    """The acknowledgement of a delivered file, if one is expected."""
    row = connection.execute(_rows().where(files.c.id == file_id, _IS_DELIVERED)).one_or_none()
    return None if row is None else _row(row)


def _rows() -> Select[Any]:
    columns = (files.c.integration, files.c.instance, files.c.entity, files.c.run_id, files.c.file_name)
    return (
        select(acknowledgements, *columns, files.c.delivered_at)
        .join(files, files.c.id == acknowledgements.c.file_id)
        .join(scopes, scopes.c.id == acknowledgements.c.scope_id)
    )


def _newest(connection: Connection, partner: Scope, *which: ColumnElement[bool]) -> AcknowledgementRow | None:
    query = _rows().where(*by_scope(scopes, partner), *which, _IS_DELIVERED).order_by(files.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _row(row)


def _row(row: Row[Any]) -> AcknowledgementRow:
    return AcknowledgementRow(
        file_id=row.file_id,
        key=RunKey(row.integration, row.instance, row.entity, row.run_id),
        file_name=row.file_name,
        delivered_at=row.delivered_at,
        interchange=row.interchange,
        group=row.group_control,
        functional_id=row.functional_id,
        sets=row.sets,
        state=row.state,
        due_at=row.due_at,
        answered_at=row.answered_at,
        ack_file=row.ack_file,
        detail=row.detail,
    )
