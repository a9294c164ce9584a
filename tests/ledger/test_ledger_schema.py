from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

import tieout.ledger
from tests.ledger import processes
from tests.ledger.builders import (
    deliver,
    held_draft,
    hold,
    post,
    posting_draft,
    posting_lease,
    posting_run,
    prepared,
    run_key,
)
from tests.ledger.test_ledger_leases import process, said
from tieout.errors import ConfigurationInvalid
from tieout.ledger import Filters, Ledger, Scope
from tieout.ledger.models import metadata
from tieout.ledger.schema import HEAD, REVISIONS, VERSION_TABLE

SCOPE = Scope("sap_b1_to_peakflo", "default", "invoices")


def test_migrations_build_what_the_models_say(empty_url: str) -> None:
    Ledger.open(empty_url, migrate=True).close()
    engine = create_engine(empty_url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.connect() as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        made = {index["name"] for table in metadata.tables for index in inspect(connection).get_indexes(table)}
        assert {index.name for table in metadata.tables.values() for index in table.indexes} <= made
    engine.dispose()


def indexes(connection: Connection) -> dict[str, tuple[object, ...]]:
    """Every index by its name: table, columns, unique or not, condition."""
    return {
        str(index["name"]): (
            table,
            index["column_names"],
            bool(index["unique"]),
            [str(condition) for condition in index.get("dialect_options", {}).values()],
        )
        for table in metadata.tables
        for index in inspect(connection).get_indexes(table)
    }


def test_migrations_build_the_same_indexes(empty_url: str) -> None:
    """Also their conditions, which the comparison above leaves out."""
    Ledger.open(empty_url, migrate=True).close()
    engine = create_engine(empty_url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        migrated = indexes(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert indexes(connection) == migrated
    engine.dispose()


FIRST_ROWS = """
    INSERT INTO scopes (integration, instance, entity, version) VALUES ({key}, 1);
    INSERT INTO runs (integration, instance, entity, run_id, attempt, mode, dry_run, status, stage, "window",
        started_at) VALUES ({key}, 'r', 1, 'scheduled', false, 'success', 'delivered', '{{}}', {at});
    INSERT INTO files (integration, instance, entity, run_id, kind, file_name, remote_path, local_uri, bytes, sha256,
        records, control_totals, state, verification, created_at, updated_at, delivered_at) VALUES ({key}, 'r', 'data',
        'a.csv', '/in/a.csv', 'x', 10, 'd', 1, '{{}}', 'delivered', 'size', {at}, {at}, {at});
    INSERT INTO file_records VALUES (1, '1', 'f', 'INV-1', 0, 10);
    INSERT INTO records VALUES (1, '1', 'f', 'INV-1', 1, 'r', {at});
    INSERT INTO held (integration, instance, entity, source_key, label, first_run_id, run_id, reason_code, owner,
        payload, payload_sha256, content_type, amount, currency, first_seen, last_seen, attempts, status) VALUES
        ({key}, '2', 'INV-2', 'r', 'r', 'X', 'finance', 'p', 'd', 't', '1.50', 'EUR', {at}, {at}, 3, 'held')
"""


def first_tables(url: str) -> None:
    """A ledger as version 0001 left it: a run that delivered one record and held another."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    config = Config()
    config.set_main_option("script_location", str(Path(tieout.ledger.__file__).with_name("migrations")))
    rows = FIRST_ROWS.format(key="'sap_b1_to_peakflo', 'default', 'invoices'", at="'2026-03-31T22:15:00.000000Z'")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in rows.split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_ledger_of_the_first_version_keeps_its_books(empty_url: str) -> None:
    first_tables(empty_url)
    with Ledger.open(empty_url) as ledger:
        with pytest.raises(ConfigurationInvalid, match=f"is at version 0001, this code needs {HEAD}"):
            ledger.runs(Filters())
        ledger.migrate()
        assert ledger.fingerprints(SCOPE, ["1"]) == {"1": "f"} and ledger.entity_version(SCOPE) == 1
        (file,) = ledger.files(Filters())
        assert (file.state, file.source_mtime, file.archive_path) == ("delivered", None, None)
        assert ledger.delivered_digests(SCOPE, "/in/a.csv") == {"d"}
        (held,) = ledger.open_held(SCOPE)
        assert (held.source_key, held.amount, held.attempts) == ("2", Decimal("1.50"), 3)
        assert [run.status for run in ledger.runs(Filters())] == ["success"]
        deliver(ledger, run_key("2"), "2", name="b.csv")
        prepared(ledger, posting_run())
        with posting_lease(ledger) as lease:
            post(ledger, posting_run(), lease, posting_draft("7"), first_number=17)
        assert [record["source_key"] for record in ledger.trace("17")["records"]] == ["7"]
        assert ledger.open_held(SCOPE) == []
        assert ledger.get_file(2) is not None  # numbered on


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    with Ledger.open(empty_url, migrate=True) as ledger:
        deliver(ledger, run_key(), "1")
        ledger.migrate()
    with Ledger.open(empty_url, migrate=True) as ledger:
        assert ledger.fingerprints(SCOPE, ["1"]) == {"1": "fingerprint 1 v1"}


def test_four_processes_migrate_at_once(empty_url: str) -> None:
    with ExitStack() as stack:
        pipes = [stack.enter_context(process(processes.migrate, empty_url))[1] for _ in range(4)]
        assert [said(pipe) for pipe in pipes] == ["ready"] * 4
        for pipe in pipes:
            pipe.send("go")
        assert [said(pipe) for pipe in pipes] == ["done"] * 4
    with Ledger.open(empty_url) as ledger:
        assert ledger.entity_version(SCOPE) == 0


def test_tables_newer_than_the_code(ledger: Ledger, ledger_url: str) -> None:
    ledger.close()
    engine = create_engine(ledger_url.replace("postgresql://", "postgresql+psycopg2://"))
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    for attempt in (lambda: Ledger.open(ledger_url, migrate=True), lambda: Ledger.open(ledger_url).runs(Filters())):
        with pytest.raises(ConfigurationInvalid, match="at version 9999, which this code does not know") as caught:
            attempt()
        assert "tieout_test:***" in str(caught.value) or "sqlite" in str(caught.value)


def test_no_tables_yet(empty_url: str) -> None:
    with Ledger.open(empty_url) as ledger:
        with pytest.raises(ConfigurationInvalid, match="has no tables yet"):
            ledger.runs(Filters())
        ledger.migrate()
        assert ledger.runs(Filters()) == []


def test_the_code_knows_its_own_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(tieout.ledger.__file__).with_name("migrations")))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert tuple(script.revision for script in scripts[::-1]) == REVISIONS
    assert scripts[0].revision == HEAD


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("not a url", "is not a database URL"),
        ("postgresql://u:secret@host:port/db", "is not a database URL"),
        ("mysql://u:secret@host/db", "names a mysql database"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_addresses_that_are_none(url: str, sentence: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=sentence) as caught:
        Ledger.open(url)
    assert "secret" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_names_of_postgresql(postgres_url: str, scheme: str) -> None:
    url = scheme + postgres_url.removeprefix("postgresql")
    with Ledger.open(url, migrate=True) as ledger:
        assert ledger.count_runs(Filters()) == 0
        password = url.split("@")[0].rsplit(":", 1)[1]
        assert password not in repr(ledger)


def test_errors_of_the_database_show_no_contents(ledger: Ledger) -> None:
    with pytest.raises(IntegrityError) as caught:
        ledger.save_session(None, b"s3cr3t", expected_generation=0)  # type: ignore[arg-type]
    assert "s3cr3t" not in str(caught.value)


def test_the_folder_of_a_new_ledger_is_made(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/a/b%20c/ledger.db", migrate=True) as ledger:
        assert ledger.count_runs(Filters()) == 0


def test_sqlite_is_safe_to_use_from_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    settings = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 60_000, "foreign_keys": 1}
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", migrate=True) as ledger, ledger._writing() as connection:
        for name, value in settings.items():
            assert connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() == value


def test_migrating_from_the_command_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    environment = {"PYTHONPATH": ":".join(sys.path), "AIRFLOW_CONN_TIEOUT_LEDGER": url, "AIRFLOW_HOME": str(tmp_path)}
    arguments = [sys.executable, "-m", "tieout.ledger", "migrate"]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Ledger.open(url) as ledger:
        assert ledger.count_runs(Filters()) == 0


class TestTrace:
    def test_by_every_name_a_record_has(self, ledger: Ledger) -> None:
        file = deliver(ledger, run_key("1"), "7", "8")
        for name in ("7", "INV-7"):
            found = json.loads(json.dumps(ledger.trace(name)))
            (record,) = found["records"]
            assert (record["entity"], record["source_key"]) == ("invoices", "7")
            assert record["delivered"]["fingerprint"] == "fingerprint 7 v1"
            (place,) = record["files"]
            assert (place["file_name"], place["byte_start"], place["byte_end"]) == ("invoices.csv", 0, 10)
            assert (place["file_id"], place["status"]) == (file.id, "delivered")
            assert [run["run_id"] for run in record["runs"]] == ["1"]

    def test_by_file(self, ledger: Ledger) -> None:
        deliver(ledger, run_key("1"), "7", "8")
        for name in ("invoices.csv", "/inbound/invoices/invoices.csv"):
            (file,) = json.loads(json.dumps(ledger.trace(name)))["files"]
            assert [event["what"] for event in file["events"]] == [
                "file prepared", "file sending", "file verified", "file delivered",
            ]  # fmt: skip

    def test_a_held_record_and_what_became_of_it(self, ledger: Ledger) -> None:
        hold(ledger, run_key("1"), *(held_draft(key) for key in ("a", "b", "c")))
        deliver(ledger, run_key("2"), "b")
        (row,) = [row for row in ledger.held(Filters()) if row.source_key == "b"]
        for name in ("b", "INV-b", str(row.id)):
            (record,) = json.loads(json.dumps(ledger.trace(name)))["records"]
            assert record["source_key"] == "b"
            assert [held["status"] for held in record["held"]] == ["settled"]
            assert [event["what"] for event in record["held"][0]["history"]] == ["held", "settled"]
            assert {run["run_id"] for run in record["runs"]} == {"1", "2"}

    def test_one_key_in_two_entities(self, ledger: Ledger) -> None:
        deliver(ledger, run_key("1"), "7")
        hold(ledger, run_key("1", "payments"), held_draft("7"))
        assert [record["entity"] for record in ledger.trace("7")["records"]] == ["invoices", "payments"]

    def test_an_event_of_the_callers(self, ledger: Ledger) -> None:
        ledger.event(
            integration="i", instance="default", entity="e", run_id="r", what="excluded",
            source_key="7", detail={"rule": "cancellation"},
        )  # fmt: skip
        (record,) = ledger.trace("7")["records"]
        assert record["events"][0]["detail"] == {"rule": "cancellation"} and record["delivered"] is None

    @pytest.mark.parametrize("key", ["", "nothing", "99999999999999999999999", "²", "%"])
    def test_nothing_known(self, ledger: Ledger, key: str) -> None:
        deliver(ledger, run_key("1"), "7")
        assert ledger.trace(key) == {"key": key, "records": [], "files": []}
