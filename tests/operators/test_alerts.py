"""The DAG `alerts`' tasks, and Airflow's deadline callback, against a real mail server and ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.support import alert
from tests.support.mail_server import PASSWORD, USER, Mailbox, Server
from tieout import config as config_module
from tieout.alerts import raise_alert
from tieout.config import Deadline, Instance, SapB1ToPeakflo, StampliToSapB1, SysproToLegacyErp, load_instance
from tieout.errors import ConfigurationInvalid, ReceiverRefused, ReceiverUnavailable
from tieout.integrations.banqup_to_sftp.config import BanqupToSftp, ReceiverAlerts
from tieout.integrations.run import Run
from tieout.ledger import EntityOutcome, HeldDraft, Ledger, Tally

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
RECIPIENTS = "mail: {connection: ops_mail}\naudiences:\n  operators: {to: [ops@example.com]}\n"


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "alerts.yaml").write_text(RECIPIENTS)
    monkeypatch.setenv("TIEOUT_INCLUDE", str(folder))
    return folder


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, include: Path, mail_server: Server) -> Iterator[Ledger]:
    """The ledger that the tasks find, beside the connection to the mail server."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path / 'airflow.db'}")
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", url)
    fields = {
        "conn_type": "smtp", "host": "127.0.0.1", "port": mail_server.port, "login": USER, "password": PASSWORD,
        "extra": {"from_email": "tieout@example.com", "disable_ssl": True, "disable_tls": True, "timeout": 5},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_OPS_MAIL", json.dumps(fields))
    with Ledger.open(url, migrate=True) as opened:
        yield opened


def send() -> Any:
    # Airflow reads its home when it is imported, so not before the test has set one.
    from tieout.operators.alerts import SendAlerts

    return SendAlerts(task_id="send_alerts").execute({})


def test_what_is_due_is_sent(ledger: Ledger, mailbox: Mailbox) -> None:
    raise_alert(ledger, alert())
    assert [send(), send()] == [{"sent": 1}, {"sent": 0}]
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("reply", "kind"), [("451 come back later", ReceiverUnavailable), ("554 no such thing", ReceiverRefused)]
)
def test_the_task_is_red_when_something_could_not_be_sent(
    ledger: Ledger, mailbox: Mailbox, reply: str, kind: type[Exception]
) -> None:
    raise_alert(ledger, alert())
    mailbox.replies["DATA"] = reply
    with pytest.raises(kind, match=reply[:3]):
        send()


def test_a_wrong_file_is_named_and_loses_nothing(ledger: Ledger, mailbox: Mailbox, include: Path) -> None:
    from tieout.operators.alerts import tell_now

    raise_alert(ledger, alert())
    (include / "alerts.yaml").write_text("audiences: {operators: {too: []}}")
    with pytest.raises(ConfigurationInvalid, match="too"):
        send()
    tell_now(ledger)
    assert mailbox.mails == []
    (include / "alerts.yaml").write_text(RECIPIENTS)
    tell_now(ledger)
    assert len(mailbox.mails) == 1


def late(ledger: Ledger, conf: dict[str, Any]) -> list[Any]:
    """The alerts after Airflow has called."""
    from tieout.operators.deadlines import deadline_missed

    run = {
        "dag_run_id": "r1",
        "conf": conf,
        "data_interval_start": "2026-10-01T00:00:00Z",
        "data_interval_end": "2026-11-01T00:00:00+00:00",
    }
    context = {"dag_run": run, "deadline": {"id": "1", "deadline_time": "2026-11-02T16:00:00Z"}}
    asyncio.run(deadline_missed("syspro_to_legacy_erp", "default", ["gl_postings", "invoices"], context))
    return ledger.open_alerts()


@pytest.mark.parametrize(
    ("conf", "period", "missing"),
    [
        ({}, "2026-10-01 00:00 UTC to 2026-11-01 00:00 UTC", "gl_postings, invoices"),
        ({"period": "2026-09", "entities": ["invoices"]}, "period 2026-09", "invoices"),
    ],
)
def test_a_missed_deadline(ledger: Ledger, conf: dict[str, Any], period: str, missing: str) -> None:
    [row] = late(ledger, conf)
    assert row.kind == "deadline_missed" and row.content["title"].endswith(f"has passed for {period}")
    assert "done by 2026-11-02 16:00 UTC" in row.content["what"] and f"Not delivered: {missing}." in row.content["what"]


def test_a_dry_run_has_no_deadline(ledger: Ledger) -> None:
    assert late(ledger, {"dry_run": True}) == []


def test_an_instance_has_a_deadline_where_its_file_says_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from tieout.operators.deadlines import run_deadline

    monkeypatch.delenv("TIEOUT_INCLUDE")
    found: Instance[SapB1ToPeakflo] = load_instance("sap_b1_to_peakflo", "default", SapB1ToPeakflo)
    assert run_deadline(found) is None
    timed = replace(found, config=found.config.model_copy(update={"deadline": Deadline(hours=1.5)}))
    [deadline] = run_deadline(timed) or []
    assert deadline.interval == timedelta(minutes=90)
    assert deadline.callback.path == "tieout.operators.deadlines.deadline_missed"
    assert deadline.callback.kwargs["entities"][:2] == ["customers", "contacts"]


# --- the integrations' own messages go the same way


def instance_of(integration: str, config: Any) -> Instance[Any]:
    return Instance(integration, "default", config, Path("default.yaml"))


def run_of(integration: str) -> Run:
    stamp = datetime(2026, 11, 18, 8, tzinfo=UTC)
    return Run(integration, "default", "r1", "incremental", None, None, stamp)


def subjects(mailbox: Mailbox) -> list[tuple[str, str]]:
    return [(str(mail["To"]), str(mail["Subject"]).strip()) for mail in mailbox.messages()]


def test_stampli_tells_finance_once_per_run(
    ledger: Ledger, mailbox: Mailbox, include: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tieout.operators.stampli_to_sap_b1 import FinanceDigest

    config = StampliToSapB1(finance=config_module.FinanceDigest(connection="ops_mail", to=("clerk@example.com",)))
    (include / "alerts.yaml").write_text(RECIPIENTS + "  finance: {to: [cfo@example.com]}\n")
    run = run_of("stampli_to_sap_b1")
    key, none = run.key("invoices"), Tally()
    ledger.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.record_extracted(key, none)
    ledger.record_prepared(key, to_send=none, held=none, duplicate=none, excluded=none, mapping_version="1")
    draft = HeldDraft(
        source_key="1", reason_code="X", message="No account.", fix_hint="Choose one.", owner="finance", payload=b"p",
        label="INV-1", currency="EUR", amount=Decimal("12.50"),
    )  # fmt: skip
    with ledger.acquire(key.scope, "test") as lease:
        ledger.commit_entity(key, token=lease.token, base_version=0, outcome=EntityOutcome(held=[draft]))
    task = FinanceDigest(task_id="finance_digest", instance=instance_of("stampli_to_sap_b1", config))
    monkeypatch.setattr(task, "run_of", lambda context: run)
    monkeypatch.setattr(task, "load_config", lambda: config)
    assert [task.execute({}), task.execute({})] == [
        "Tieout stampli_to_sap_b1: 1 new, 0 open, 0 settled", "nothing to tell",
    ]  # fmt: skip
    assert sorted(subjects(mailbox)) == [
        ("cfo@example.com, clerk@example.com", "Tieout stampli_to_sap_b1: 1 new, 0 open, 0 settled")
    ]
    part = mailbox.only().get_body(("plain",))
    assert part is not None and "EUR 12.50" in part.get_content()


def test_banqup_tells_of_a_server_that_is_down_and_back(
    ledger: Ledger, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tieout.operators.banqup_to_sftp import TellReceivers

    monkeypatch.delenv("TIEOUT_INCLUDE")
    found = load_instance("banqup_to_sftp", "default", BanqupToSftp)
    alerts = ReceiverAlerts(connection="ops_mail", to=("clerk@example.com",), unreachable_minutes=0)
    config = found.config.model_copy(update={"alerts": alerts})
    task, run = TellReceivers(task_id="tell_receivers", instance=found), run_of("banqup_to_sftp")
    monkeypatch.setattr(task, "run_of", lambda context: run)
    monkeypatch.setattr(task, "load_config", lambda: config)
    scope = run.scope("C1001")
    ledger.receiver_failed(scope, error="It is down.", error_kind="ReceiverUnavailable", waiting=2, next_try_at=None)
    task.execute({})
    task.execute({})
    ledger.receiver_reached(scope)
    task.execute({})
    [(to, down), (_, back)] = subjects(mailbox)
    assert to == "clerk@example.com" and "C1001 Bakkerij De Korenbloem BV: the server takes no documents since" in down
    assert back == "Tieout: C1001 Bakkerij De Korenbloem BV: the server is back"


def test_syspro_tells_of_refused_files_once_per_run(ledger: Ledger, mailbox: Mailbox) -> None:
    from airflow.sdk import DAG

    from tieout.operators.syspro_to_legacy_erp import ReadAcknowledgements

    instance = instance_of("syspro_to_legacy_erp", SysproToLegacyErp())
    with DAG("syspro_to_legacy_erp_acknowledgements", schedule=None):
        task = ReadAcknowledgements(task_id="read_acknowledgements", instance=instance)
    told = config_module.FinanceDigest(connection="ops_mail", to=("clerk@example.com",))
    for _ in range(2):
        task._tell(told, "r1", ["GL_1.edi was rejected: the amounts differ."])
    [(to, subject)] = subjects(mailbox)
    assert to == "ops@example.com, clerk@example.com" and "1 files refused or without an answer" in subject
