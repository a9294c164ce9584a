"""Alerts at a real mail server and real webhooks: every kind, once, also when processes compete, stop or die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.alerts.support import alert
from tests.support.airflow_home import airflow_environment
from tests.support.mail_server import PASSWORD, USER, Mailbox, Server
from tests.support.ports import kept_port
from tests.support.webhook_server import WebhookServer
from tieout.alerts import KINDS, announce, raise_alert
from tieout.ledger import Ledger

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
ROOT = Path(__file__).resolve().parents[2]

FILE = """
mail: {connection: ops_mail}
webhooks:
  slack: {connection: hook, style: slack}
  teams: {connection: hook, style: teams}
audiences:
  operators: {to: [ops@example.com], webhooks: [slack]}
  engineers: {to: [eng@example.com]}
  finance: {to: [cfo@example.com], webhooks: [teams]}
base_url: https://airflow.example.com
"""

SEND = """
import sys
from datetime import datetime
from tieout.alerts.config import load_alerts_config
from tieout.alerts.sending import send_due
from tieout.ledger import Ledger

with Ledger.open(sys.argv[1]) as ledger:
    sys.stdin.readline()
    now = datetime.fromisoformat(sys.argv[2]) if len(sys.argv) > 2 else None
    done = send_due(ledger, load_alerts_config(), now=now)
print(len(done.sent), len(done.delayed), len(done.failed))
"""


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


class Senders:
    """Processes that send, as Airflow's tasks do."""

    def __init__(self, folder: Path, url: str, mail_port: int, hook_port: int) -> None:
        (folder / "include").mkdir()
        (folder / "include" / "alerts.yaml").write_text(FILE)
        mail = {
            "conn_type": "smtp", "host": "127.0.0.1", "port": mail_port, "login": USER, "password": PASSWORD,
            "extra": {"from_email": "tieout@example.com", "disable_ssl": True, "disable_tls": True, "timeout": 5},
        }  # fmt: skip
        hook = {"conn_type": "http", "host": f"http://127.0.0.1:{hook_port}", "password": "s3cr3t"}
        self.env = airflow_environment(
            folder,
            TIEOUT_INCLUDE=str(folder / "include"),
            AIRFLOW_CONN_OPS_MAIL=json.dumps(mail),
            AIRFLOW_CONN_HOOK=json.dumps(hook),
        )
        self._url = url

    def start(self, *now: datetime) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SEND, self._url, *(moment.isoformat() for moment in now)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.env, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def go(self, count: int = 1, *now: datetime) -> list[tuple[int, ...]]:
        """Let so many processes send at the same moment; returns what each sent, delayed and failed."""
        children = [self.start(*now) for _ in range(count)]
        for child in children:
            assert child.stdin
            child.stdin.write("go\n")
            child.stdin.flush()
        ended = [child.communicate(timeout=120) for child in children]
        assert [child.returncode for child in children] == [0] * count, [error for _, error in ended]
        assert not any("s3cr3t" in text or PASSWORD in text for pair in ended for text in pair)
        return [tuple(int(number) for number in output.splitlines()[-1].split()) for output, _ in ended]


@pytest.fixture
def senders(tmp_path: Path, ledger_url: str, ledger: Ledger, mail_server: Server, hook: WebhookServer) -> Senders:
    return Senders(tmp_path, ledger_url, mail_server.port, hook.port)


def test_every_kind_arrives_once(senders: Senders, ledger: Ledger, mailbox: Mailbox, hook: WebhookServer) -> None:
    for _ in range(3):
        for kind in KINDS:
            if kind == "held_digest":
                announce(
                    ledger, "today", "held_digest", "sap_b1_to_peakflo", "default",
                    title=kind, what="Three.", text="All three.\n", html="<p>All three.</p>",
                )  # fmt: skip
            else:
                raise_alert(ledger, alert(kind=kind, title=kind))
    counts = senders.go(2)
    assert sum(sent for sent, _, _ in counts) == len(mailbox.mails) + len(hook.received)
    senders.go(1)

    mails = mailbox.messages()
    assert Counter(mail["Subject"] for mail in mails) == dict.fromkeys((f"Tieout: {kind}" for kind in KINDS), 1)
    by_kind = {mail["Subject"].removeprefix("Tieout: "): mail for mail in mails}
    assert by_kind["not_tied_out"]["To"] == "ops@example.com, eng@example.com, cfo@example.com"
    assert by_kind["held_digest"]["To"] == "cfo@example.com"
    assert body(by_kind["held_digest"], "plain").splitlines() == ["All three."]
    _check_words(by_kind["receiver_unreachable"])
    assert [path for path, _ in hook.received] == ["/s3cr3t"] * len(hook.received)
    slack = Counter(message["text"] for _, message in hook.received if "text" in message)
    assert slack["Tieout: receiver_unreachable"] == 1 and "Tieout: held_digest" not in slack
    cards = [
        message["attachments"][0]["content"]["body"][0]["text"] for _, message in hook.received if "type" in message
    ]
    assert sorted(cards) == [
        f"Tieout: {kind}" for kind in ("deadline_missed", "files_refused", "held_digest", "not_tied_out")
    ]


def _check_words(mail: EmailMessage) -> None:
    text, html = body(mail, "plain"), body(mail, "html")
    for heading in ("What happened", "What it means for the money", "What to do"):
        assert heading in text and heading in html
    assert "invoices (3 records, EUR 12.50)" in text and "invoices (3 records, EUR 12.50)" in html
    link = "https://airflow.example.com/tieout/#/runs?run_id=r%2B1"
    assert f"More: {link}" in text and f'href="{link}"' in html


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_mail_server_that_is_down_gets_it_once_when_it_is_back(
    senders: Senders, ledger: Ledger, mailbox: Mailbox, mail_server: Server, hook: WebhookServer
) -> None:
    raise_alert(ledger, alert())
    mail_server.stop()
    with kept_port(mail_server.port):
        assert senders.go() == [(1, 1, 0)], "the webhook has it, the mail waits"
        back = Server(mailbox, port=mail_server.port)
    back.start()
    try:
        later = datetime.now(UTC) + timedelta(minutes=5)
        assert sorted(senders.go(2, later)) == [(0, 0, 0), (1, 0, 0)]
        senders.go(1, later + timedelta(hours=1))
    finally:
        back.stop()
    assert len(mailbox.mails) == 1 and len(hook.received) == 1


def test_killed_after_the_server_had_it_the_second_mail_is_known_as_the_same(
    senders: Senders, ledger: Ledger, mailbox: Mailbox
) -> None:
    """The one moment in which nobody can know: an alert told twice is better than one that nobody heard."""
    raise_alert(ledger, alert(kind="host_key_changed"))
    child = senders.start()
    # The server takes the mail and then does not answer before the sender is gone.
    mailbox.on_data = lambda: os.kill(child.pid, signal.SIGKILL)
    child.communicate("go\n", timeout=120)
    assert child.returncode == -9
    mailbox.on_data = None
    senders.go(1, datetime.now(UTC) + timedelta(minutes=5))
    assert len(mailbox.mails) == 1, "as long as the sender may be alive, nobody else sends"
    senders.go(2, datetime.now(UTC) + timedelta(minutes=15))
    first, second = mailbox.messages()
    assert first["Message-ID"] == second["Message-ID"]
