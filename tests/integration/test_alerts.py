"""Alerts under real Airflow: each cause gives one mail, whichever of Airflow's processes sees it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from airflow_services import ROOT, AirflowServices
from tests.integration.support import until
from tests.support.asyncssh_server import Account, AsyncSshServer
from tests.support.mail_server import PASSWORD, USER, Mailbox, Server
from tieout.ledger import Ledger

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]

# Instances of an integration of ours, each with one thing that goes wrong; the steps use the library as real ones do.
DAGS = """
import os, pathlib, signal, time
from decimal import Decimal

from airflow.sdk import DAG, task
from tieout.config import SapB1ToPeakflo, load_instance
from tieout.operators.dags import RETRY_BY_ERROR_CLASS
from tieout.operators.deadlines import run_deadline

INTEGRATION = "sap_b1_to_peakflo"
HERE = pathlib.Path(os.environ["AIRFLOW_HOME"])


def book():
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url
    return Ledger.open(ledger_url(), migrate=True)


def a_run(name, run_id):
    from datetime import UTC, datetime
    from tieout.integrations.run import Run
    return Run(INTEGRATION, name, run_id, "incremental", None, None, datetime.now(UTC))


def dag(name, **options):
    options.setdefault("default_args", {"retry_policy": RETRY_BY_ERROR_CLASS, "retry_delay": 0.1})
    return DAG(f"{INTEGRATION}__{name}", schedule=None, catchup=False, **options)


@task(trigger_rule="all_done", retries=0)
def tie_out(name, entities, run_id=None):
    from tieout.integrations.tie_out import raise_unless_all_tie_out, tie_out
    with book() as ledger:
        raise_unless_all_tie_out(tie_out(a_run(name, run_id), entities, ledger))


with dag("outage"):
    @task(retries=1)
    def extract(run_id=None):
        from tieout.errors import SourceUnavailable
        from tieout.ledger import Tally
        if not (HERE / "repaired").exists():
            raise SourceUnavailable("SAP at b1:50000 refuses connections.")
        key = a_run("outage", run_id).key("invoices")
        with book() as ledger:
            ledger.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
            ledger.record_extracted(key, Tally())
            ledger.record_prepared(key, to_send=Tally(), held=Tally(), duplicate=Tally(), excluded=Tally(),
                                   mapping_version="1")
            from tieout.ledger import EntityOutcome
            with ledger.acquire(key.scope, "test") as lease:
                ledger.commit_entity(key, token=lease.token, base_version=ledger.entity_version(key.scope),
                                     outcome=EntityOutcome())
    extract() >> tie_out("outage", ["invoices"])


with dag("imbalance"):
    @task
    def deliver(run_id=None):
        from tieout.ledger import EntityOutcome, Tally
        key = a_run("imbalance", run_id).key("invoices")
        with book() as ledger:
            ledger.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
            ledger.record_extracted(key, Tally(3, {"EUR": Decimal("12.50")}))
            ledger.record_prepared(key, to_send=Tally(), held=Tally(), duplicate=Tally(2, {"EUR": Decimal("10.00")}),
                                   excluded=Tally(), mapping_version="1")
            with ledger.acquire(key.scope, "test") as lease:
                ledger.commit_entity(key, token=lease.token, base_version=ledger.entity_version(key.scope),
                                     outcome=EntityOutcome())
    deliver() >> tie_out("imbalance", ["invoices"])


with dag("host_key"):
    @task(retries=2)
    def deliver():
        from tieout.delivery import SftpSession
        from tieout.hooks.connections import sftp_target
        with SftpSession(sftp_target("partner")):
            pass
    deliver() >> tie_out("host_key", ["invoices"])


with dag("killed"):
    @task
    def deliver():
        os.kill(os.getpid(), signal.SIGKILL)
    deliver()


with dag("late", deadline=run_deadline(load_instance(INTEGRATION, "late", SapB1ToPeakflo))):
    @task
    def deliver():
        while not (HERE / "go").exists():
            time.sleep(0.1)
    deliver()


with dag("dry"):
    @task
    def deliver(run_id=None):
        from tieout.errors import ConfigurationInvalid
        key = a_run("dry", run_id).key("invoices")
        with book() as ledger:
            ledger.begin_run(key, mode="incremental", dry_run=True, interval_start=None, interval_end=None, window={})
        raise ConfigurationInvalid("Whoever asked for this dry run sees it.")
    deliver()
"""

NAMES = ("outage", "imbalance", "host_key", "killed", "late", "dry")
ALERTS = """
mail: {connection: ops_mail}
audiences:
  operators: {to: [ops@example.com]}
  engineers: {to: [eng@example.com]}
  finance: {to: [cfo@example.com]}
held_digest: {at: null}
"""


@dataclass
class World:
    """Airflow, a mail server, and a partner whose host key is not the known one.

    Attributes:
        begun: The first run of each instance, all of them begun at the same time.
    """

    home: Path
    airflow: AirflowServices
    mailbox: Mailbox
    begun: dict[str, str]

    def dag(self, name: str) -> str:
        return f"sap_b1_to_peakflo__{name}"

    def first(self, name: str) -> str:
        """The end of the first run; returns its state."""
        return str(self.airflow.wait_run(self.dag(name), self.begun[name])["state"])

    def again(self, name: str) -> str:
        """Another run from beginning to end; returns its state."""
        run_id = self.airflow.trigger(self.dag(name), unpause=False)
        return str(self.airflow.wait_run(self.dag(name), run_id)["state"])

    def send(self) -> None:
        """What the schedule does every five minutes."""
        run = self.airflow.wait_run("alerts", self.airflow.trigger("alerts"))
        assert run["state"] == "success"

    def mails_of(self, name: str) -> list[EmailMessage]:
        return [mail for mail in self.mailbox.messages() if self.dag(name) in mail["Subject"]]

    def the_mail(self, name: str, to: str) -> tuple[str, str]:
        """Subject and text of the only mail about an instance."""
        [mail] = self.mails_of(name)
        assert mail["To"] == to
        part = mail.get_body(("plain",))
        assert part is not None
        return subject_of(mail), part.get_content().replace("\r\n", "\n")

    def alerted(self, name: str) -> Counter[str]:
        with Ledger.open(f"sqlite:///{self.home / 'ledger.db'}") as ledger:
            return Counter(row.kind for row in ledger.open_alerts("sap_b1_to_peakflo", name))


def subject_of(mail: EmailMessage) -> str:
    """Without the blank that a folded line leaves."""
    return str(mail["Subject"]).strip()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("alerts")
    dags, include, home = folder / "dags", folder / "include", folder / "home"
    dags.mkdir()
    (dags / "instances.py").write_text(DAGS)
    shutil.copy(ROOT / "dags" / "alerts.py", dags)
    shutil.copytree(ROOT / "include", include)
    (include / "alerts.yaml").write_text(ALERTS)
    instances = include / "integrations" / "sap_b1_to_peakflo"
    for name in NAMES:
        text = (instances / "default.yaml").read_text()
        (instances / f"{name}.yaml").write_text(text + ("\ndeadline: {hours: 0.0003}\n" if name == "late" else ""))
    mailbox = Mailbox()
    mail_server = Server(mailbox)
    mail_server.start()
    (folder / "partner").mkdir()
    try:
        with AsyncSshServer(folder / "partner", Account(password="pw")) as other, \
                AsyncSshServer(folder / "partner", Account(password="pw")) as partner:  # fmt: skip
            mail = {
                "conn_type": "smtp", "host": "127.0.0.1", "port": mail_server.port, "login": USER, "password": PASSWORD,
                "extra": {"from_email": "tieout@example.com", "disable_ssl": True, "disable_tls": True, "timeout": 5},
            }  # fmt: skip
            sftp = {
                "conn_type": "sftp", "host": partner.host, "port": partner.port, "login": "partner", "password": "pw",
                "extra": {"host_key": other.host_key},
            }  # fmt: skip
            env = {
                "TIEOUT_INCLUDE": str(include),
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
                "AIRFLOW_CONN_OPS_MAIL": json.dumps(mail),
                "AIRFLOW_CONN_PARTNER": json.dumps(sftp),
            }
            with AirflowServices(home, env) as airflow:
                airflow.wait_healthy()
                world = World(home, airflow, mailbox, {})
                for name in NAMES:
                    conf = {"dry_run": True} if name == "dry" else {}
                    world.begun[name] = airflow.trigger(world.dag(name), conf)
                yield world
    finally:
        mail_server.stop()


def test_an_outage_is_told_after_the_last_try_and_once_until_it_is_over(world: World) -> None:
    assert (world.first("outage"), world.again("outage")) == ("failed", "failed")
    subject, text = world.the_mail("outage", "ops@example.com")
    assert subject == "Tieout: sap_b1_to_peakflo__outage: the source cannot be reached"
    assert "SAP at b1:50000 refuses connections." in text and "Nothing was read" in text and "What to do:" in text
    assert f"{world.airflow.url}/tieout/#/runs?integration=sap_b1_to_peakflo&instance=outage&run_id=manual" in text
    assert world.alerted("outage") == {"source_unreachable": 1}, "the tie-out that had nothing to prove is none"

    (world.home / "repaired").touch()
    assert world.again("outage") == "success"
    until(lambda: not world.alerted("outage"), "the scheduler's word that it is over")
    world.send()
    assert [subject_of(mail) for mail in world.mails_of("outage")][1:] == [
        "Tieout: sap_b1_to_peakflo__outage: the source is back"
    ]


def test_a_run_that_does_not_tie_out(world: World) -> None:
    assert (world.first("imbalance"), world.again("imbalance")) == ("failed", "failed")
    subject, text = world.the_mail("imbalance", "ops@example.com, eng@example.com, cfo@example.com")
    assert subject == "Tieout: sap_b1_to_peakflo__imbalance: the run does not tie out (invoices)"
    assert "3 records were extracted but 2 have a place" in text
    assert "extracted 3 records, EUR 12.50" in text and "together 2 records, EUR 10.00" in text


def test_another_host_key(world: World) -> None:
    assert world.first("host_key") == "failed"
    subject, text = world.the_mail("host_key", "ops@example.com, eng@example.com")
    assert subject == "Tieout: sap_b1_to_peakflo__host_key: the receiver's host key is not the known one"
    assert "SHA256:" in text and "Do not accept the new key before the partner has confirmed it" in text


def test_a_task_that_was_killed(world: World) -> None:
    assert world.first("killed") == "failed"
    until(lambda: bool(world.alerted("killed")), "the scheduler's alert")
    world.send()
    _, text = world.the_mail("killed", "ops@example.com, eng@example.com")
    assert "What to do:" in text
    assert sum(world.alerted("killed").values()) == 1


def test_a_deadline_that_passes_and_the_run_that_comes_late(world: World) -> None:
    until(lambda: world.alerted("late") == {"deadline_missed": 1}, "Airflow's deadline alert")
    world.send()
    subject, text = world.the_mail("late", "ops@example.com, cfo@example.com")
    assert subject.startswith("Tieout: sap_b1_to_peakflo__late: the deadline has passed for")
    assert "Not delivered: customers, contacts, invoices" in text
    (world.home / "go").touch()
    assert world.first("late") == "success"
    until(lambda: not world.alerted("late"), "the scheduler's word that it is over")
    world.send()
    assert [subject_of(mail) for mail in world.mails_of("late")][1:] == [
        "Tieout: sap_b1_to_peakflo__late: done, after its deadline"
    ]


def test_a_dry_run_is_told_to_nobody(world: World) -> None:
    assert world.first("dry") == "failed"
    world.send()
    assert world.mails_of("dry") == [] and world.alerted("dry") == {}
