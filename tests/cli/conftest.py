"""A real ledger with a story in it, and the command line run in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import postgres_server, postgres_url  # noqa: F401
from tieout.cli import main
from tieout.ledger import EntityOutcome, FileRecord, HeldDraft, Ledger, RunKey, Tally

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
INVOICES = RunKey("sap_b1_to_peakflo", "default", "invoices", "manual__2026-01-31")
NORTH = RunKey("sap_b1_to_peakflo", "north", "customers", "scheduled__2026-02-01")
PAYLOAD = b'{"DocEntry":8,\n "DocNum":5008, "CardName":"M\xc3\xbcller"}'


@dataclass(frozen=True)
class Answer:
    """What a command printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def tieout(capsys: pytest.CaptureFixture[str]) -> Run:
    """`tieout("runs", "--json")`."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Airflow home of the test's own, and nothing of the caller's settings."""
    for name in ("AIRFLOW_CONN_TIEOUT_LEDGER", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "airflow"
    folder.mkdir()
    monkeypatch.setenv("AIRFLOW_HOME", str(folder))
    return folder


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger that the commands find, with one run delivered and two records held."""
    if request.param == "sqlite":
        url = f"sqlite:///{home / 'ledger.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
        monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", url)
    with Ledger.open(url, migrate=True) as book:
        tell_story(book)
        yield book


def tell_story(book: Ledger) -> None:
    """Three invoices read: two delivered in one file, one held; and a customer held at another instance."""
    deliver_and_hold(book, INVOICES, sent=("6", "7"), held="8")
    deliver_and_hold(book, NORTH, sent=(), held="C9")


def deliver_and_hold(book: Ledger, key: RunKey, *, sent: tuple[str, ...], held: str) -> None:
    """One run of one entity, from beginning to end."""
    start = datetime(2026, 1, 30, tzinfo=UTC)
    money = Tally(len(sent), {"EUR": Decimal(len(sent)) * 100} if sent else {})
    one = Tally(1, {"EUR": Decimal("12.30")})
    everything = Tally(len(sent) + 1, {"EUR": Decimal(len(sent)) * 100 + Decimal("12.30")})
    book.begin_run(
        key, mode="incremental", dry_run=False, interval_start=start, interval_end=start.replace(day=31), window={}
    )
    book.record_extracted(key, everything)
    book.record_prepared(key, to_send=money, held=one, duplicate=Tally(), excluded=Tally(), mapping_version="v1")
    delivered = []
    if sent:
        file = book.prepare_file(
            key,
            file_name=f"{key.entity}.csv",
            remote_path=f"/inbound/{key.entity}/{key.entity}.csv",
            local_uri=f"/staging/{key.entity}.csv",
            bytes=200,
            sha256="ab" * 32,
            records=len(sent),
            control_totals={"EUR": "200.00"},
            records_iter=[FileRecord(k, f"print-{k}", f"500{k}", n * 100, n * 100 + 100) for n, k in enumerate(sent)],
        )
        book.file_states([file.id], "sending", temp_path_by_id={file.id: "/inbound/.x.part"})
        book.file_states([file.id], "verified", verification="read_back")
        delivered = [(file.id, "read_back", datetime(2026, 1, 31, 8, tzinfo=UTC))]
    draft = HeldDraft(
        source_key=held,
        reason_code="LINE_SUM_MISMATCH",
        message="The lines do not add up to the total.",
        fix_hint="Correct the document in SAP.",
        owner="finance",
        payload=PAYLOAD,
        currency="EUR",
        amount=Decimal("12.30"),
        label=f"500{held}",
    )
    with book.acquire(key.scope, "test") as lease:
        outcome = EntityOutcome(delivered=delivered, held=[draft], watermark={"until": "2026-01-31"}, tally=money)
        book.commit_entity(key, token=lease.token, base_version=book.entity_version(key.scope), outcome=outcome)
    book.finish_run(key, ties_out=True)


DAG = """
import json, os
from pathlib import Path
from airflow.sdk import DAG, Param, task

for dag_id in ("sap_b1_to_peakflo", "sap_b1_to_peakflo__north"):
    with DAG(
        dag_id,
        schedule=None,
        params={"held_only": Param(False, type="boolean"), "held_ids": Param([], type=["array", "null"]),
                "entities": Param([], type=["array", "null"])},
    ):

        @task
        def note_conf(**context):
            line = json.dumps([context["dag"].dag_id, dict(context["params"])])
            with (Path(os.environ["AIRFLOW_HOME"]) / "ran.jsonl").open("a") as file:
                file.write(line + "\\n")
            if os.environ.get("TEST_FAIL"):
                raise ValueError("as asked")

        note_conf()
"""


@pytest.fixture
def airflow_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared Airflow home with two small DAGs that note the `conf` they were given."""
    dags = home / "dags"
    dags.mkdir()
    (dags / "replay.py").write_text(DAG)
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__CORE__FERNET_KEY": "cNs1ecUQT9Ip9aFJIQ1jVXPfTQFbcvQL4tkRMrLRQ0M=",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True)
    return home
