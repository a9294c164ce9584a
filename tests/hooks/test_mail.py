"""Mail to a real SMTP server, and what is said when it will not take it."""

from __future__ import annotations

import json
import ssl
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mail_server import PASSWORD, USER, Mailbox, Server
from tieout.errors import ConfigurationInvalid, CredentialsRejected, ReceiverRefused, ReceiverUnavailable, TieoutError

FINANCE = "finance@example.com"
# The server of these tests is reached over loopback only.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

PLAIN = {"disable_ssl": True, "disable_tls": True, "timeout": 5}
STARTTLS = {"disable_ssl": True, "timeout": 5}


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Defines the Airflow connection `finance_mail`."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path / 'airflow.db'}")

    def define(port: int, extra: dict[str, Any] = PLAIN, *, login: str = USER, password: str = PASSWORD) -> None:
        fields = {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": port,
            "login": login,
            "password": password,
            "extra": {"from_email": "tieout@example.com", **extra},
        }
        monkeypatch.setenv("AIRFLOW_CONN_FINANCE_MAIL", json.dumps(fields))

    return define


def send(**changes: Any) -> None:
    # Airflow reads its home when it is imported, so not before the test has set one.
    from tieout.hooks import mail

    fields: dict[str, Any] = {
        "conn_id": "finance_mail",
        "sender": "Tieout <books@example.com>",
        "to": (FINANCE,),
        "subject": "Tieout stampli_to_sap_b1: 3 new, 12 open, 2 settled – Société",
        "text": "Société Générale – 1.234,50 €\n" + "long " * 400,
        "html": "<p>Société Générale</p>",
    }
    mail.send(**{**fields, **changes})


def test_text_and_html_arrive_as_they_were_written(mail_server: Server, mailbox: Mailbox, connect: Any) -> None:
    connect(mail_server.port)

    send(to=(FINANCE, "clerk@example.com"))

    message = mailbox.only()
    assert mailbox.mails[0].rcpt_tos == [FINANCE, "clerk@example.com"]
    assert message["Subject"] == "Tieout stampli_to_sap_b1: 3 new, 12 open, 2 settled – Société"
    assert message["From"] == "Tieout <books@example.com>"
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Date"] and message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().splitlines() == ["Société Générale – 1.234,50 €", "long " * 400]
    assert html.get_content().strip() == "<p>Société Générale</p>"
    assert max(map(len, mailbox.mails[0].content.splitlines())) <= 998  # type: ignore[union-attr]


def test_the_connection_names_the_sender_where_the_instance_does_not(
    mail_server: Server, mailbox: Mailbox, connect: Any
) -> None:
    connect(mail_server.port)

    send(sender=None)

    assert mailbox.only()["From"] == "tieout@example.com"


def test_a_refused_login_stops_at_once_and_tells_no_password(
    mail_server: Server, mailbox: Mailbox, connect: Any
) -> None:
    connect(mail_server.port, password="wr0ng-secret")

    with pytest.raises(CredentialsRejected, match="refused the user name or password") as caught:
        send()

    assert "'finance_mail'" in str(caught.value)
    assert "wr0ng-secret" not in "".join(traceback.format_exception(caught.value))
    assert mailbox.mails == []


def test_a_server_that_is_down_is_tried_again_later(connect: Any) -> None:
    connect(1)

    with pytest.raises(ReceiverUnavailable, match=r"127\.0\.0\.1:1 .*does not answer"):
        send()


def test_a_server_that_went_away_is_tried_again_later(mail_server: Server, mailbox: Mailbox, connect: Any) -> None:
    connect(mail_server.port)
    send()
    mail_server.stop()

    with pytest.raises(ReceiverUnavailable):
        send()

    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("replies", "expected", "words"),
    [
        ({"DATA": "451 try again later"}, ReceiverUnavailable, "451: try again later"),
        ({"DATA": "552 too large"}, ReceiverRefused, "552: too large"),
        ({FINANCE: "450 mailbox busy"}, ReceiverUnavailable, FINANCE),
        ({FINANCE: "550 no such user"}, ReceiverRefused, FINANCE),
        ({"AUTH": "454 4.7.0 Temporary authentication failure"}, ReceiverUnavailable, "cannot check log-ins now"),
    ],
    ids=["later", "never", "recipient later", "no such recipient", "log-ins later"],
)
def test_what_the_server_says_decides(
    mail_server: Server,
    mailbox: Mailbox,
    connect: Any,
    replies: dict[str, str],
    expected: type[TieoutError],
    words: str,
) -> None:
    connect(mail_server.port)
    mailbox.replies = replies

    with pytest.raises(expected) as caught:
        send()

    assert words in str(caught.value)
    assert mailbox.mails == []


def test_one_refused_recipient_is_told_and_the_others_get_the_mail(
    mail_server: Server, mailbox: Mailbox, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    connect(mail_server.port)
    mailbox.replies = {"gone@example.com": "550 no such user"}

    send(to=("gone@example.com", FINANCE))

    assert mailbox.mails[0].rcpt_tos == [FINANCE]
    assert "did not take the mail for gone@example.com" in caplog.text


def test_a_mail_is_never_sent_twice_by_itself(mail_server: Server, mailbox: Mailbox, connect: Any) -> None:
    connect(mail_server.port)
    mailbox.replies = {"DATA": "451 try again later"}

    with pytest.raises(ReceiverUnavailable):
        send()

    assert mailbox.logins == 1


@pytest.mark.parametrize(
    ("extra", "changes", "words"),
    [
        (STARTTLS, {}, "disable_tls: true"),
        ({"timeout": 5}, {}, "disable_ssl: true"),
        ({**PLAIN, "from_email": ""}, {"sender": None}, "no sender"),
        (PLAIN, {"to": ()}, "no recipient"),
        (PLAIN, {"sender": "a\nBcc: b@example.com"}, "no address"),
        (PLAIN, {"conn_id": "nowhere"}, "no Airflow connection 'nowhere'"),
        ({**STARTTLS, "ssl_context": "lax"}, {}, "ssl_context"),
    ],
    ids=["no STARTTLS", "no TLS", "no sender", "no recipient", "header in the sender", "no connection", "ssl_context"],
)
def test_a_wrong_configuration_is_named(
    mail_server: Server, mailbox: Mailbox, connect: Any, extra: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    connect(mail_server.port, extra)

    with pytest.raises(ConfigurationInvalid) as caught:
        send(**changes)

    assert words in str(caught.value)
    assert mailbox.mails == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that no authority has signed, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture
def encrypted(mailbox: Mailbox, certificate: tuple[Path, Path]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    controller = Server(mailbox, context)
    controller.start()
    yield controller
    controller.stop()


def test_a_certificate_nobody_vouches_for_is_refused(encrypted: Server, mailbox: Mailbox, connect: Any) -> None:
    connect(encrypted.port, STARTTLS)

    with pytest.raises(ConfigurationInvalid, match="certificate that cannot be verified"):
        send()

    assert mailbox.logins == 0


def test_a_trusted_certificate_is_taken(
    encrypted: Server, mailbox: Mailbox, connect: Any, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    connect(encrypted.port, STARTTLS)

    send()

    assert mailbox.mails[0].rcpt_tos == [FINANCE]
