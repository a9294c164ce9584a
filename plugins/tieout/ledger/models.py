"""The ledger's tables. `migrations/versions` builds them; a test holds that both say the same.

Every list shown to people is filtered and read newest first, a page at a time. The indexes of the lists have time and
`id` behind what they find by, and then all that a list may be filtered by: which rows are on a page, and how many there
are in all, an index alone tells (`filters.page`). Identifiers are never used again (AUTOINCREMENT): the audit trail
refers to them.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from tieout.ledger.columns import Identity64, Money, TotalsColumn, UtcDateTime, Words

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


def _identity() -> Column[int]:
    return Column("id", Identity64, primary_key=True, autoincrement=True)


def _scope() -> tuple[Column[str], Column[str], Column[str]]:
    return (
        Column("integration", Text, nullable=False),
        Column("instance", Text, nullable=False),
        Column("entity", Text, nullable=False),
    )


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _totals(name: str) -> Column[object]:
    return Column(name, TotalsColumn, nullable=False, server_default=text("'{}'"))


def _words(name: str) -> Column[str]:
    return Column(name, Words, nullable=False, server_default=text("''"))


def _prefix_index(name: str, column: str) -> Index:
    """An index that also finds what begins with a text, in whatever language a PostgreSQL database sorts."""
    return Index(name, column, postgresql_ops={column: "text_pattern_ops"})


def _index_where(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows that a condition names."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


# One row per integration, instance and entity: what has been committed so far.
scopes = Table(
    "scopes",
    metadata,
    _identity(),
    *_scope(),
    _count("version"),
    Column("watermark", JSON(none_as_null=True)),
    Column("watermark_run_id", Text),
    Column("watermark_at", UtcDateTime),
    UniqueConstraint("integration", "instance", "entity"),
)

_SCOPE = ("integration", "instance", "entity")
_NEWEST = ("started_at", "id")
_VERDICT = ("mode", "ties_out")

runs = Table(
    "runs",
    metadata,
    _identity(),
    *_scope(),
    Column("run_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("mode", Text, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    # How far the run got; a failed run that is retried goes on from here.
    Column("stage", Text, nullable=False),
    Column("interval_start", UtcDateTime),
    Column("interval_end", UtcDateTime),
    Column("window", JSON, nullable=False),
    Column("mapping_version", Text, nullable=False, server_default=text("''")),
    _count("extracted"),
    _totals("source_totals"),
    _count("to_send"),
    _totals("to_send_totals"),
    _count("delivered"),
    _count("posted"),
    _totals("target_totals"),
    _count("held"),
    _totals("held_totals"),
    _count("duplicate"),
    _totals("duplicate_totals"),
    _count("excluded"),
    _totals("excluded_totals"),
    Column("ties_out", Boolean),
    _words("message"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("integration", "instance", "entity", "run_id"),
    Index("ix_runs_page", *_NEWEST, "status", *_SCOPE, *_VERDICT),
    Index("ix_runs_instance", *_SCOPE[:2], *_NEWEST, "entity", "status", *_VERDICT),
    Index("ix_runs_scope", *_SCOPE, *_NEWEST, "status", *_VERDICT),
    Index("ix_runs_status", "status", *_NEWEST, *_SCOPE, *_VERDICT),
    _index_where("ix_runs_sent", "started_at", where="delivered > 0 OR posted > 0"),
    Index("ix_runs_run_id", "run_id", *_SCOPE[:2]),
    sqlite_autoincrement=True,
)

files = Table(
    "files",
    metadata,
    _identity(),
    *_scope(),
    Column("run_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("remote_path", Text, nullable=False),
    Column("temp_path", Text),
    Column("local_uri", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("control_totals", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("verification", Text),
    _words("message"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime),
    # Only of files that were collected from a source (kind 'inbound').
    Column("source_mtime", BigInteger),  # seconds since 1970, by the source's clock
    Column("archive_path", Text),
    Index("ix_files_page", "id", "state", *_SCOPE, "created_at"),
    Index("ix_files_instance", *_SCOPE[:2], "id", "state", "entity", "created_at"),
    Index("ix_files_scope", *_SCOPE, "id", "state", "created_at"),
    Index("ix_files_state", "state", "id", *_SCOPE, "created_at"),
    Index("ix_files_run", "run_id", *_SCOPE, "id"),
    _prefix_index("ix_files_remote_path", "remote_path"),
    _prefix_index("ix_files_file_name", "file_name"),
    Index(
        "ix_files_unsettled",
        "integration",
        "instance",
        "entity",
        sqlite_where=text("state IN ('sending', 'verified')"),
        postgresql_where=text("state IN ('sending', 'verified')"),
    ),
    _index_where("ix_files_archive_path", "archive_path", where="archive_path IS NOT NULL"),
    _index_where("ix_files_inbound_digest", "sha256", where="kind = 'inbound'"),
    _index_where(
        "ix_files_inbound_open",
        "integration",
        "instance",
        where="kind = 'inbound' AND state IN ('collected', 'settled')",
    ),
    sqlite_autoincrement=True,
)

# Which source record is where in which file: its byte range, and the fingerprint that this content has.
file_records = Table(
    "file_records",
    metadata,
    Column("file_id", Identity64, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("source_key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("byte_start", BigInteger, nullable=False),
    Column("byte_end", BigInteger, nullable=False),
    Index("ix_file_records_source_key", "source_key"),
    sqlite_with_rowid=False,
)

# The records of a file that has too many of them for a row each: compressed columns, some ten thousand records a row.
# They stay with the file; whether they are delivered is the file's state. See `packing`.
packed_records = Table(
    "packed_records",
    metadata,
    Column("file_id", Identity64, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("scope_id", Identity64, ForeignKey("scopes.id"), nullable=False),
    Column("partition", Text, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("lines", LargeBinary, nullable=False),  # source keys, labels, byte ranges
    Column("fingerprints", LargeBinary, nullable=False),
    Index("ix_packed_records_partition", "partition", "scope_id", "file_id", "chunk"),
    Index("ix_packed_records_scope", "scope_id", "partition", "file_id", "chunk"),
)

# What the receiver has: the last delivered content of every source record.
records = Table(
    "records",
    metadata,
    Column("scope_id", Identity64, ForeignKey("scopes.id"), primary_key=True),
    Column("source_key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("file_id", BigInteger),
    Column("run_id", Text, nullable=False),
    Column("delivered_at", UtcDateTime, nullable=False),
    Index("ix_records_label", "label"),
    sqlite_with_rowid=False,
)

held = Table(
    "held",
    metadata,
    _identity(),
    *_scope(),
    Column("source_key", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("first_run_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("reason_code", Text, nullable=False),
    _words("message"),
    _words("fix_hint"),
    Column("owner", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("payload_sha256", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("currency", Text),
    Column("amount", Money),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("closed_by", Text),
    _words("closed_why"),
    # At most one open row per record.
    Index(
        "uq_held_open",
        "integration",
        "instance",
        "entity",
        "source_key",
        unique=True,
        sqlite_where=text("status = 'held'"),
        postgresql_where=text("status = 'held'"),
    ),
    # `status` and the like lie behind the payload in a row, which may be long.
    Index("ix_held_page", "id", "status", *_SCOPE, "run_id", "last_seen"),
    Index("ix_held_scope", *_SCOPE, "id"),
    Index("ix_held_status", "status", "id"),
    _prefix_index("ix_held_source_key", "source_key"),
    _prefix_index("ix_held_label", "label"),
    sqlite_autoincrement=True,
)

# What was to be written into an ERP's books, and what became of it. The unique key is what makes posting twice
# impossible: whoever wants to post the same again meets the row of the first time.
postings = Table(
    "postings",
    metadata,
    _identity(),
    *_scope(),
    Column("run_id", Text, nullable=False),
    Column("source_key", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("posting_key", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("currency", Text),
    Column("amount", Money),
    Column("body", LargeBinary, nullable=False),
    Column("body_sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("target_key", Text),
    Column("target_number", Text),
    _words("code"),
    _words("message"),
    Column("attempts", Integer, nullable=False),
    Column("high_water", BigInteger),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    # The lease it was last sent under, with its token; only its holder knows that the bytes did not go yet.
    Column("sent_under", Text),
    Column("settled_at", UtcDateTime),
    Column("settled_run_id", Text),
    UniqueConstraint("posting_key", "kind", "integration", "instance"),
    Index("ix_postings_scope", "integration", "instance", "entity", "id"),
    Index("ix_postings_run", "run_id", "entity", "id"),
    Index("ix_postings_state", "state", "id"),
    Index("ix_postings_updated", "updated_at", "id"),
    Index("ix_postings_source_key", "source_key", "integration", "instance", "entity", "id"),
    Index("ix_postings_identity", "identity", "integration", "instance", "entity", "id"),
    Index("ix_postings_label", "label"),
    _index_where("ix_postings_target_key", "target_key", where="target_key IS NOT NULL"),
    _index_where("ix_postings_target_number", "target_number", where="target_number IS NOT NULL"),
    _index_where("ix_postings_settled_run", "settled_run_id", "entity", "id", where="settled_run_id IS NOT NULL"),
    _index_where("ix_postings_unsettled", "integration", "instance", "entity", where="state = 'sending'"),
    sqlite_autoincrement=True,
)

# One holder at a time per name; the token only ever grows, so an old holder is recognised for ever.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", Text),
    Column("expires_at", Double, nullable=False),  # seconds since 1970, by the clock that judges it
)

sequences = Table(
    "sequences",
    metadata,
    Column("scope_id", Identity64, ForeignKey("scopes.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("last_number", BigInteger, nullable=False),
)

# Numbers without gaps that a partner checks, such as file sequence and interchange control numbers. A number is used
# once its file is delivered, void once `void_at` says so, and allocated till then; it is never given twice.
numbers = Table(
    "numbers",
    metadata,
    _identity(),
    Column("scope_id", Identity64, ForeignKey("scopes.id"), nullable=False),
    Column("counter", Text, nullable=False),
    # Counts on where the number itself starts again at 1.
    Column("serial", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("file_id", Identity64, ForeignKey("files.id", ondelete="SET NULL")),
    Column("allocated_at", UtcDateTime, nullable=False),
    Column("void_at", UtcDateTime),
    _words("void_why"),
    UniqueConstraint("scope_id", "counter", "serial"),
    Index("ix_numbers_number", "scope_id", "counter", "number"),
    Index("ix_numbers_owner", "scope_id", "owner"),
    _index_where("ix_numbers_file", "file_id", where="file_id IS NOT NULL"),
    sqlite_autoincrement=True,
)

# What the partner's system said of an X12 file, or has yet to say. It counts once the file is delivered.
acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("file_id", Identity64, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("scope_id", Identity64, ForeignKey("scopes.id"), nullable=False),
    Column("interchange", BigInteger, nullable=False),
    Column("group_control", BigInteger, nullable=False),
    Column("functional_id", Text, nullable=False),
    Column("sets", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("ack_file", Text),
    Column("detail", JSON, nullable=False),
    Index("ix_acknowledgements_group", "scope_id", "group_control"),
    Index("ix_acknowledgements_interchange", "scope_id", "interchange"),
    _index_where("ix_acknowledgements_open", "scope_id", "due_at", where="state IN ('sent', 'overdue')"),
)

# The partner's files of acknowledgements that were read: not all may be moved away.
acknowledgement_files = Table(
    "acknowledgement_files",
    metadata,
    Column("scope_id", Identity64, ForeignKey("scopes.id"), primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("remote_path", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("source_mtime", BigInteger, nullable=False),  # seconds since 1970, by the partner's clock
    Column("archive_path", Text),
    Column("read_at", UtcDateTime, nullable=False),
    Index("ix_acknowledgement_files_path", "scope_id", "remote_path"),
)

# What another system calls a record of the source: learnt from records that did not have to be posted, too.
codes = Table(
    "codes",
    metadata,
    Column("scope_id", Identity64, ForeignKey("scopes.id"), primary_key=True),
    Column("source_key", Text, primary_key=True),
    Column("code", Text, nullable=False),
    sqlite_with_rowid=False,
)

sessions = Table(
    "sessions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

capabilities = Table(
    "capabilities",
    metadata,
    Column("partner", Text, primary_key=True),
    Column("data", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# Whether a scope's receiver can be reached, and who was told that it cannot.
receivers = Table(
    "receivers",
    metadata,
    Column("scope_id", Identity64, ForeignKey("scopes.id"), primary_key=True),
    Column("state", Text, nullable=False),
    Column("failures", BigInteger, nullable=False),
    _words("last_error"),
    Column("error_kind", Text, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("last_tried_at", UtcDateTime, nullable=False),
    Column("next_try_at", UtcDateTime),
    Column("down_since", UtcDateTime),
    Column("alerted_at", UtcDateTime),
    Column("up_since", UtcDateTime),
    Column("recovered_alerted_at", UtcDateTime),
)

# What people are to be told of: one row per occasion, open until it is over. At most one is open per subject.
alerts = Table(
    "alerts",
    metadata,
    _identity(),
    Column("kind", Text, nullable=False),
    Column("integration", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    _count("occurrences"),
    Column("content", JSON, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("told_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Index(
        "ix_alerts_open",
        "kind",
        "integration",
        "instance",
        "subject",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    Index("ix_alerts_run", "integration", "instance", "run_id"),
    sqlite_autoincrement=True,
)

# One thing to be told, not yet to whom.
alert_notices = Table(
    "alert_notices",
    metadata,
    _identity(),
    Column("key", Text, nullable=False),
    Column("alert_id", Identity64, ForeignKey("alerts.id")),
    Column("about", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("integration", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("content", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("routed_at", UtcDateTime),
    UniqueConstraint("key"),
    Index("ix_alert_notices_alert", "alert_id"),
    _index_where("ix_alert_notices_unrouted", "id", where="routed_at IS NULL"),
    sqlite_autoincrement=True,
)

# One notice on its way to one mail server or webhook.
alert_messages = Table(
    "alert_messages",
    metadata,
    _identity(),
    Column("notice_id", Identity64, ForeignKey("alert_notices.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("connection", Text, nullable=False),
    Column("target", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    _count("attempts"),
    Column("claimed_until", UtcDateTime),
    _words("last_error"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    UniqueConstraint("notice_id", "channel"),
    _index_where("ix_alert_messages_open", "due_at", "id", where="state IN ('waiting', 'sending')"),
    sqlite_autoincrement=True,
)

# The audit trail. Nothing in the library changes or removes a row of it.
events = Table(
    "events",
    metadata,
    _identity(),
    Column("at", UtcDateTime, nullable=False),
    *_scope(),
    Column("run_id", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("source_key", Text),
    Column("file_id", BigInteger),
    Column("held_id", BigInteger),
    Column("detail", JSON, nullable=False),
    Index("ix_events_run", "integration", "instance", "entity", "run_id", "id"),
    Index(
        "ix_events_source_key",
        "source_key",
        sqlite_where=text("source_key IS NOT NULL"),
        postgresql_where=text("source_key IS NOT NULL"),
    ),
    Index(
        "ix_events_file",
        "file_id",
        sqlite_where=text("file_id IS NOT NULL"),
        postgresql_where=text("file_id IS NOT NULL"),
    ),
    Index(
        "ix_events_held",
        "held_id",
        sqlite_where=text("held_id IS NOT NULL"),
        postgresql_where=text("held_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
