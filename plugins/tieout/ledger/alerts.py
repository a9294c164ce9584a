"""What people are to be told, to whom it is on its way, and what they were told.

Three tables: an *alert* is an occasion, open until it is over; a *notice* is one thing to be told of it (it began, it
goes on, it is over), or a digest that belongs to no occasion; a *message* is a notice on its way to one mail server or
webhook. Raising writes one alert and one notice in one short transaction; whom to tell, and telling them, is somebody
else's work, at another time and perhaps in another process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select, update

from tieout.ledger.columns import plain_json
from tieout.ledger.database import Database, utc_now
from tieout.ledger.models import alert_messages, alert_notices, alerts, held

About = Literal["raised", "repeated", "resolved", "digest"]
MessageState = Literal["waiting", "sending", "sent", "failed", "dropped"]


@dataclass(frozen=True)
class AlertRow:
    """An occasion that people are told of.

    Attributes:
        subject: What it is about, within its kind and instance: a task, a client, a connection.
        run_id: The run in which it was last seen; empty where it belongs to none.
        occurrences: How often it was raised while it was open.
        content: The words, by name, as they were last given.
        told_at: When the last notice of it was written.
    """

    id: int
    kind: str
    integration: str
    instance: str
    subject: str
    run_id: str
    state: Literal["open", "closed"]
    occurrences: int
    content: Mapping[str, Any]
    opened_at: datetime
    last_seen_at: datetime
    told_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True)
class AlertNotice:
    """One thing to be told.

    Attributes:
        key: Unique: what was noted once is not noted again.
        alert_id: The alert it is of; None for a digest.
        routed_at: When it was decided who is told; None until then.
    """

    id: int
    key: str
    alert_id: int | None
    about: About
    kind: str
    integration: str
    instance: str
    content: Mapping[str, Any]
    created_at: datetime
    routed_at: datetime | None


@dataclass(frozen=True)
class MessageDraft:
    """A message to be: where it goes, and not before when.

    Attributes:
        channel: Names the way, unique within a notice.
        target: `connection`, the id of Airflow's connection, and what else the way needs. Never a secret.
    """

    channel: str
    target: Mapping[str, Any]
    due_at: datetime


@dataclass(frozen=True)
class AlertMessage:
    """One notice on its way to one mail server or webhook.

    Attributes:
        attempts: How often it was taken up, this time included.
        claimed_until: While it is being sent: when others may take it up.
    """

    id: int
    notice_id: int
    channel: str
    connection: str
    target: Mapping[str, Any]
    state: MessageState
    due_at: datetime
    attempts: int
    claimed_until: datetime | None
    last_error: str
    created_at: datetime
    sent_at: datetime | None
    notice: AlertNotice = field(repr=False)


class AlertStore(Database):
    """The alerts in the ledger."""

    def raise_alert(
        self,
        kind: str,
        integration: str,
        instance: str,
        subject: str,
        content: Mapping[str, Any],
        *,
        run_id: str = "",
        now: datetime | None = None,
    ) -> bool:
        """Open an alert, or note that an open one was seen again; whoever opens it writes the notice that tells of it.

        Args:
            kind: What has happened.
            integration: Whose.
            instance: Whose.
            subject: What it is about; together with the three above it says whether it is the same.
            content: The words. Never a secret.
            run_id: The run in which it happened.
            now: Aware; when it happened.

        Returns:
            Whether it is new.
        """
        at = now or utc_now()
        whose = {"kind": kind, "integration": integration, "instance": instance, "subject": subject}
        seen = {"run_id": run_id, "last_seen_at": at, "content": plain_json(content)}
        opened = {"state": "open", "occurrences": 1, "opened_at": at, "told_at": at}
        with self._writing() as connection:
            statement = self._insert(alerts).values({**whose, **seen, **opened}).on_conflict_do_nothing()
            alert_id = connection.execute(statement.returning(alerts.c.id)).scalar_one_or_none()
            if alert_id is not None:
                _tell(connection, _find(connection, alert_id), "raised", at)
                return True
            seen_again = {**seen, "occurrences": alerts.c.occurrences + 1}
            connection.execute(update(alerts).where(*_open(**whose)).values(seen_again))
            return False

    def resolve_alert(
        self,
        kind: str,
        integration: str,
        instance: str,
        subject: str,
        content: Mapping[str, Any] | None = None,
        *,
        now: datetime | None = None,
    ) -> bool:
        """Close an open alert. Who was told of it is to be told that it is over; what was not sent yet never goes.

        Args:
            kind: As it was raised, like the three that follow.
            integration: Whose.
            instance: Whose.
            subject: What it is about.
            content: Words that differ from those of the alert.
            now: Aware; when it was over.

        Returns:
            Whether there was an open one.
        """
        at = now or utc_now()
        whose = {"kind": kind, "integration": integration, "instance": instance, "subject": subject}
        with self._writing() as connection:
            closed = update(alerts).where(*_open(**whose)).values(state="closed", closed_at=at)
            row = connection.execute(closed.returning(*alerts.c)).one_or_none()
            if row is None:
                return False
            _drop_unsent(connection, row.id, at)
            _tell(connection, row, "resolved", at, content)
            return True

    def note_digest(
        self, key: str, kind: str, integration: str, instance: str, content: Mapping[str, Any], *, now: datetime
    ) -> bool:
        """Note something to be told that is no occasion; returns whether this key is new."""
        values = {
            "key": key,
            "about": "digest",
            "kind": kind,
            "integration": integration,
            "instance": instance,
            "content": plain_json(content),
            "created_at": now,
        }
        with self._writing() as connection:
            statement = self._insert(alert_notices).values(values).on_conflict_do_nothing()
            return connection.execute(statement.returning(alert_notices.c.id)).scalar_one_or_none() is not None

    def repeat_alerts(self, *, told_before: datetime, now: datetime) -> int:
        """Write a notice of every open alert that was told of before then and has been seen since; returns how many."""
        due = (alerts.c.state == "open", alerts.c.told_at <= told_before, alerts.c.last_seen_at > alerts.c.told_at)
        with self._writing() as connection:
            rows = connection.execute(update(alerts).where(*due).values(told_at=now).returning(*alerts.c)).all()
            for row in rows:
                _tell(connection, row, "repeated", now)
            return len(rows)

    def open_alerts(self, integration: str | None = None, instance: str | None = None) -> list[AlertRow]:
        """Open alerts, the oldest first; of one instance where it is named."""
        query = select(alerts).where(alerts.c.state == "open").order_by(alerts.c.id)
        if integration is not None:
            query = query.where(alerts.c.integration == integration)
        if instance is not None:
            query = query.where(alerts.c.instance == instance)
        with self._reading() as connection:
            return [AlertRow(**row._mapping) for row in connection.execute(query)]

    def alerted_of_run(self, integration: str, instance: str, run_id: str) -> bool:
        """Whether an alert, open or closed, was last seen in this run."""
        of_run = (alerts.c.integration == integration, alerts.c.instance == instance, alerts.c.run_id == run_id)
        with self._reading() as connection:
            return connection.execute(select(alerts.c.id).where(*of_run).limit(1)).first() is not None

    def notices(self, *, unrouted: bool = False) -> list[AlertNotice]:
        """What there is to tell, the oldest first."""
        query = select(alert_notices).order_by(alert_notices.c.id)
        if unrouted:
            query = query.where(alert_notices.c.routed_at.is_(None))
        with self._reading() as connection:
            return [AlertNotice(**row._mapping) for row in connection.execute(query)]

    def has_notice(self, key: str) -> bool:
        """Whether something was noted under this key."""
        with self._reading() as connection:
            return connection.execute(select(alert_notices.c.id).where(alert_notices.c.key == key)).first() is not None

    def told_of(self, alert_id: int) -> list[MessageDraft]:
        """By which channels people were told of an alert, or are being told at this moment."""
        columns = (alert_messages.c.channel, alert_messages.c.target, alert_messages.c.due_at)
        query = (
            select(*columns)
            .join(alert_notices, alert_notices.c.id == alert_messages.c.notice_id)
            .where(alert_notices.c.alert_id == alert_id, alert_messages.c.state.in_(("sent", "sending")))
            .order_by(alert_messages.c.id)
        )
        with self._reading() as connection:
            found = [MessageDraft(**row._mapping) for row in connection.execute(query)]
        return list({draft.channel: draft for draft in found}.values())

    def route_notice(self, notice_id: int, drafts: Sequence[MessageDraft], *, now: datetime) -> bool:
        """Enter the messages of a notice; returns False if somebody else was faster."""
        with self._writing() as connection:
            unrouted = (alert_notices.c.id == notice_id, alert_notices.c.routed_at.is_(None))
            if not connection.execute(update(alert_notices).where(*unrouted).values(routed_at=now)).rowcount:
                return False
            rows = [
                {
                    "notice_id": notice_id,
                    "channel": draft.channel,
                    "connection": draft.target["connection"],
                    "target": plain_json(draft.target),
                    "state": "waiting",
                    "due_at": draft.due_at,
                    "created_at": now,
                }
                for draft in drafts
            ]
            if rows:
                connection.execute(insert(alert_messages), rows)
            return True

    def claim_message(
        self, *, now: datetime, until: datetime, after_id: int = 0, without_connections: Sequence[str] = ()
    ) -> AlertMessage | None:
        """Take up the oldest message that is due: nobody else gets it until then.

        A message whose taker died is due again when its time is up. What is taken up has to be ended by
        `message_sent`, `message_delayed` or `message_failed`.

        Args:
            now: Aware.
            until: Aware; when others may take it up.
            after_id: Leave this message and older ones alone.
            without_connections: Leave messages alone whose target names one of these.
        """
        due = or_(
            and_(alert_messages.c.state == "waiting", alert_messages.c.due_at <= now),
            and_(alert_messages.c.state == "sending", alert_messages.c.claimed_until <= now),
        )
        newer = alert_messages.c.id > after_id
        query = select(alert_messages.c.id).where(due, newer).order_by(alert_messages.c.id).limit(1)
        if without_connections:
            query = query.where(alert_messages.c.connection.not_in(without_connections))
        with self._reading() as connection:
            if connection.execute(query).first() is None:
                return None  # most often there is nothing to send, and then nobody has to wait for the write lock
        with self._writing() as connection:
            found = connection.execute(query.with_for_update(skip_locked=True)).scalar_one_or_none()
            if found is None:
                return None
            taken = {"state": "sending", "claimed_until": until, "attempts": alert_messages.c.attempts + 1}
            connection.execute(update(alert_messages).where(alert_messages.c.id == found).values(taken))
            return _messages(connection, alert_messages.c.id == found)[0]

    def message_sent(self, message: AlertMessage, *, now: datetime) -> None:
        """Note that a message was handed over."""
        with self._writing() as connection:
            _end(connection, message, {"state": "sent", "sent_at": now, "last_error": ""})

    def message_delayed(self, message: AlertMessage, error: str, *, due_at: datetime) -> None:
        """Note that a message could not be handed over and is to be tried again, unless it is over meanwhile."""
        with self._writing() as connection:
            _end(connection, message, {"state": "waiting", "due_at": due_at, "last_error": error})
            _drop_if_over(connection, message)

    def message_failed(self, message: AlertMessage, error: str) -> None:
        """Note that a message will not be tried again."""
        with self._writing() as connection:
            _end(connection, message, {"state": "failed", "last_error": error})

    def messages(self) -> list[AlertMessage]:
        """All messages, the oldest first."""
        with self._reading() as connection:
            return _messages(connection)

    def forget_alerts(self, *, before: datetime, at_most: int) -> int:
        """Delete what was over before then and concerns nobody any more; returns how many alerts and digests that were.

        An alert that is open stays, whatever its age, and so does what has a message that is still to be sent.

        Args:
            before: Aware.
            at_most: How many alerts, and how many digests, at once; the oldest first.
        """
        over = select(alerts.c.id).where(alerts.c.state == "closed", alerts.c.closed_at < before)
        over = over.where(_all_told(alert_notices.c.alert_id == alerts.c.id)).order_by(alerts.c.id).limit(at_most)
        digest = (alert_notices.c.alert_id.is_(None), alert_notices.c.created_at < before)
        digests = select(alert_notices.c.id).where(*digest, alert_notices.c.routed_at.is_not(None), ~_undone())
        digests = digests.order_by(alert_notices.c.id).limit(at_most)
        with self._reading() as connection:
            if connection.execute(over).first() is None and connection.execute(digests).first() is None:
                return 0  # as nearly always, and then nobody has to wait for the write lock
        with self._writing() as connection:
            alert_ids = list(connection.execute(over).scalars())
            notice_ids = list(connection.execute(digests).scalars())
            of_them = or_(alert_notices.c.alert_id.in_(alert_ids), alert_notices.c.id.in_(notice_ids))
            theirs = select(alert_notices.c.id).where(of_them)
            connection.execute(delete(alert_messages).where(alert_messages.c.notice_id.in_(theirs)))
            connection.execute(delete(alert_notices).where(of_them))
            connection.execute(delete(alerts).where(alerts.c.id.in_(alert_ids)))
            return len(alert_ids) + len(notice_ids)

    def entities_with_held(self, integration: str, instance: str) -> list[str]:
        """Entities of which records are held now."""
        of_instance = (held.c.integration == integration, held.c.instance == instance, held.c.status == "held")
        with self._reading() as connection:
            return sorted(connection.execute(select(held.c.entity).where(*of_instance).distinct()).scalars())


def _open(kind: str, integration: str, instance: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return (
        alerts.c.state == "open",
        alerts.c.kind == kind,
        alerts.c.integration == integration,
        alerts.c.instance == instance,
        alerts.c.subject == subject,
    )


def _undone() -> ColumnElement[bool]:
    """Whether a notice has a message that is still to be sent."""
    waiting = (alert_messages.c.notice_id == alert_notices.c.id, alert_messages.c.state.in_(("waiting", "sending")))
    return select(alert_messages.c.id).where(*waiting).exists()


def _all_told(notices: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether of these notices nothing is still to be told."""
    left = or_(alert_notices.c.routed_at.is_(None), _undone())
    return ~select(alert_notices.c.id).where(notices, left).exists()


def _find(connection: Connection, alert_id: int) -> Row[Any]:
    return connection.execute(select(alerts).where(alerts.c.id == alert_id)).one()


def _tell(
    connection: Connection, alert: Row[Any], about: About, at: datetime, content: Mapping[str, Any] | None = None
) -> None:
    """Write a notice. Its key has the time in it, for one alert may be repeated many times."""
    told = {"occurrences": alert.occurrences, "opened_at": alert.opened_at, "subject": alert.subject}
    values = {
        "key": f"alert {alert.id} {about} {at.isoformat()}",
        "alert_id": alert.id,
        "about": about,
        "kind": alert.kind,
        "integration": alert.integration,
        "instance": alert.instance,
        "content": plain_json({**alert.content, **(content or {}), **told}),
        "created_at": at,
    }
    connection.execute(insert(alert_notices).values(values))


def _end(connection: Connection, message: AlertMessage, values: Mapping[str, Any]) -> None:
    # Only by who took it up last: whoever was too slow must not undo what the next one did.
    ours = (
        alert_messages.c.id == message.id,
        alert_messages.c.state == "sending",
        alert_messages.c.attempts == message.attempts,
    )
    connection.execute(update(alert_messages).where(*ours).values({**values, "claimed_until": None}))


def _drop_if_over(connection: Connection, message: AlertMessage) -> None:
    """The alert was closed while somebody tried in vain to tell of it."""
    if message.notice.about not in ("raised", "repeated"):
        return
    over = select(alerts.c.id).where(alerts.c.id == message.notice.alert_id, alerts.c.state == "closed")
    waiting = (alert_messages.c.id == message.id, alert_messages.c.state == "waiting")
    connection.execute(update(alert_messages).where(*waiting, over.exists()).values(state="dropped"))


def _drop_unsent(connection: Connection, alert_id: int, at: datetime) -> None:
    """What is over before anybody was told of it need not be told."""
    mine = alert_notices.c.alert_id == alert_id
    connection.execute(
        update(alert_messages)
        .where(
            alert_messages.c.state == "waiting", alert_messages.c.notice_id.in_(select(alert_notices.c.id).where(mine))
        )
        .values(state="dropped")
    )
    unrouted = (mine, alert_notices.c.routed_at.is_(None))
    connection.execute(update(alert_notices).where(*unrouted).values(routed_at=at))


def _messages(connection: Connection, *conditions: ColumnElement[bool]) -> list[AlertMessage]:
    notice = [column.label(f"notice_{column.name}") for column in alert_notices.c if column.name != "id"]
    query = (
        select(alert_messages, *notice)
        .join(alert_notices, alert_notices.c.id == alert_messages.c.notice_id)
        .where(*conditions)
        .order_by(alert_messages.c.id)
    )
    return [_message(dict(row._mapping)) for row in connection.execute(query)]


def _message(row: Mapping[str, Any]) -> AlertMessage:
    own = {column.name: row[column.name] for column in alert_messages.c}
    of_notice = {column.name: row[f"notice_{column.name}"] for column in alert_notices.c}
    return AlertMessage(**own, notice=AlertNotice(**of_notice))
