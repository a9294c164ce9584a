"""How old secrets may become, how strong keys are, how long certificates and sessions last."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tieout.delivery import SftpTarget
from tieout.errors import ConfigurationInvalid
from tieout.health import (
    Held,
    Rotation,
    check_ages,
    check_certificate,
    check_idle_time,
    check_key,
    check_token_life,
    load_health,
)

TODAY = date(2026, 3, 10)
EVERYTHING = Held(password=True, key=True, passphrase=True)
NAMES = ("secret_age", "password_age", "key_age", "passphrase_age")


def ages(extra: dict[str, Any], held: Held = EVERYTHING, **rules: Any) -> tuple[str, ...]:
    found = {check.name: check.status.value for check in check_ages(held, extra, Rotation(**rules), TODAY)}
    return tuple(found[name] for name in NAMES)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, "unknown"),
        ({"rotated_on": "2026-01-01", "rotate_after_days": "90"}, "ok"),
        ({"rotated_on": "2025-12-25", "rotate_after_days": 90}, "ok"),
        ({"rotated_on": "2025-12-24", "rotate_after_days": 90}, "warning"),
        ({"rotated_on": "2025-12-11", "rotate_after_days": 90}, "warning"),
        ({"rotated_on": "2025-12-10", "rotate_after_days": 90}, "failed"),
        ({"rotated_on": "2025-11-01"}, "ok"),
        ({"rotated_on": "last spring"}, "failed"),
        ({"rotated_on": "2026-01-01", "rotate_after_days": "soon"}, "failed"),
        ({"rotated_on": "2026-01-01", "rotate_after_days": [3]}, "failed"),
    ],
)
def test_one_date_for_all_secrets(extra: dict[str, Any], expected: str) -> None:
    assert ages(extra) == (expected,) * 4
    assert ages(extra, Held(password=True)) == (expected, expected, "n/a", "n/a")


def test_no_secret_has_no_age() -> None:
    assert ages({"rotated_on": "2020-01-01"}, Held()) == ("n/a",) * 4


def test_each_secret_on_its_own() -> None:
    extra = {
        "rotated_on": "2020-01-01", "password_rotated_on": "2026-01-01", "key_rotated_on": "2025-03-11",
        "passphrase_rotated_on": "2026-03-01",
    }  # fmt: skip
    assert ages(extra) == ("warning", "ok", "warning", "ok")
    assert ages(extra, passphrase_days=8) == ("failed", "ok", "warning", "failed")
    assert ages(extra, key_days=None) == ("ok",) * 4
    assert ages({"password_rotated_on": "2026-01-01"}) == ("unknown", "ok", "unknown", "unknown")


def test_the_words_say_what_is_due_when_and_whose_duty_it_is() -> None:
    rules = Rotation(key_days=30, duty="the platform team")
    _, password, key, _ = check_ages(EVERYTHING, {"key_rotated_on": "2026-02-20"}, rules, TODAY)
    assert (key.due, password.due) == (date(2026, 3, 22), None)
    assert key.message == (
        "The private key is 18 days old; its rotation is due on 2026-03-22. Whose duty: the platform team."
    )
    assert "write password_rotated_on (YYYY-MM-DD)" in password.message


@pytest.mark.parametrize(
    ("password", "extra", "held"),
    [
        (None, {}, Held()),
        ("x", {}, Held(password=True)),
        (None, {"keyboard_interactive": "a\nb"}, Held(password=True)),
        ("", {"company_password": "x"}, Held(password=True)),
        ("", {"private_key": "PEM"}, Held(key=True)),
        ("", {"key_file": "/k", "private_key_passphrase": "x"}, Held(key=True, passphrase=True)),
    ],
)
def test_what_a_connection_holds(password: str | None, extra: dict[str, Any], held: Held) -> None:
    assert Held.by(password, extra) == held


# The rules


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))

    def write_file(text: str) -> None:
        (tmp_path / "health.yaml").write_text(text)

    return write_file


def test_rules_of_a_type_and_of_a_connection(write: Callable[[str], None]) -> None:
    write(
        "schedule: null\n"
        "rotation:\n"
        "  default: {password_days: 100, notice_days: 7, duty: us}\n"
        "  types: {sftp: {key_days: 50, password_days: null}}\n"
        "  connections: {bank: {notice_days: 30, duty: them, passphrase_required: true}}\n"
    )
    config = load_health()
    assert config.schedule is None
    assert config.rotation.of("sap_b1", "http") == Rotation(password_days=100, notice_days=7, duty="us")
    assert config.rotation.of("other", "sftp") == Rotation(password_days=None, key_days=50, notice_days=7, duty="us")
    assert config.rotation.of("bank", "sftp") == Rotation(
        password_days=None, key_days=50, notice_days=30, duty="them", passphrase_required=True
    )


@pytest.mark.usefixtures("write")
def test_without_a_file_the_usual_holds() -> None:
    assert load_health().rotation.of("any", "sftp") == Rotation()


def test_a_file_that_is_wrong(write: Callable[[str], None]) -> None:
    write("rotation:\n  default: {password_day: 3}\n")
    with pytest.raises(ConfigurationInvalid, match=r"health\.yaml, line 2, rotation\.default\.password_day"):
        load_health()


def test_the_file_of_the_project_says_what_holds_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIEOUT_INCLUDE", raising=False)
    from tieout.health import HealthConfig

    config = load_health()
    assert config.rotation.of("any", "sftp") == Rotation()
    assert config.model_copy(update={"rotation": HealthConfig().rotation}) == HealthConfig()


# Keys


def make_key(folder: Path, *options: str, passphrase: str = "") -> str:
    path = folder / "key"
    command = ["ssh-keygen", "-q", "-N", passphrase, "-f", str(path), *options]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.read_text()


@pytest.mark.parametrize(
    ("options", "passphrase", "required", "status", "words"),
    [
        (["-t", "ed25519"], "", False, "ok", ""),
        (["-t", "ed25519"], "", True, "warning", "has no passphrase"),
        (["-t", "ed25519", "-a", "1"], "a secret", True, "ok", ""),
        (["-t", "ecdsa"], "", False, "ok", ""),
        (["-t", "rsa", "-b", "3072"], "", False, "ok", ""),
        (["-t", "rsa", "-b", "2048"], "", True, "warning", "RSA key of 2048 bits"),
        (["-t", "rsa", "-b", "1024"], "", False, "failed", "RSA key of 1024 bits"),
        (["-t", "rsa", "-b", "2048", "-m", "PEM"], "a secret", False, "warning", "2048 bits"),
    ],
    ids=["ed25519", "open", "closed", "ecdsa", "rsa 3072", "rsa 2048", "rsa 1024", "rsa in PEM, closed"],
)
def test_how_strong_a_key_is(
    tmp_path: Path, options: list[str], passphrase: str, required: bool, status: str, words: str
) -> None:
    text = make_key(tmp_path, *options, passphrase=passphrase)
    check = check_key(
        SftpTarget("h", username="u", private_key=text, passphrase=passphrase or None), passphrase_required=required
    )
    assert (check.status.value, words in check.message) == (status, True)
    in_a_file = SftpTarget("h", username="u", key_file=str(tmp_path / "key"), passphrase=passphrase or None)
    assert check_key(in_a_file, passphrase_required=required) == check


def test_a_dsa_key() -> None:
    import asyncssh

    text = asyncssh.generate_private_key("ssh-dss").export_private_key("pkcs1-pem").decode()
    check = check_key(SftpTarget("h", username="u", private_key=text), passphrase_required=False)
    assert (check.status.value, "DSA" in check.message) == ("failed", True)


def test_a_key_that_cannot_be_read_is_for_the_log_in_to_tell(tmp_path: Path) -> None:
    closed = make_key(tmp_path, "-t", "ed25519", "-a", "1", passphrase="right")
    for target in (
        SftpTarget("h", username="u", private_key=closed, passphrase="wrong"),
        SftpTarget("h", username="u", private_key="nonsense"),
        SftpTarget("h", username="u", key_file=str(tmp_path / "nowhere")),
    ):
        assert check_key(target, passphrase_required=True).status.value == "unknown"
    assert check_key(SftpTarget("h", username="u", password="p"), passphrase_required=True).status.value == "n/a"


# Certificates


@pytest.fixture
def https(tmp_path: Path) -> Iterator[tuple[str, dt.datetime]]:
    """A server with a certificate that nobody signed, and when that ends."""
    ends = dt.datetime.now(dt.UTC).replace(microsecond=0) + timedelta(days=20)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "erp")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, ends - timedelta(days=90), ends)
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "tls.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}", ends
        server.shutdown()


@pytest.mark.parametrize(
    ("days_left", "verify", "production", "status"),
    [
        (31, True, True, "ok"),
        (31, False, False, "ok"),
        (31, False, True, "warning"),
        (29, True, True, "warning"),
        (0, True, True, "failed"),
    ],
)
def test_the_end_of_a_certificate(
    https: tuple[str, dt.datetime], days_left: int, verify: bool, production: bool, status: str
) -> None:
    url, ends = https
    now = ends - timedelta(days=days_left)
    check = check_certificate(url, notice_days=30, now=now, verify=verify, production=production)
    assert check.status.value == status
    assert ("verify is false" in check.message) == (status == "warning" and not verify)
    assert (check.due == ends.date()) == (days_left < 30)


def test_no_certificate_to_read() -> None:
    def status(url: str) -> str:
        now = dt.datetime.now(dt.UTC)
        return check_certificate(url, notice_days=30, now=now, verify=True, production=True).status.value

    assert status("http://erp:30001") == "n/a"
    assert status("https://127.0.0.1:1") == "unknown"


# Sessions


@pytest.mark.parametrize(
    ("minutes", "status"), [(None, "unknown"), (30, "ok"), (10, "ok"), (9.9, "warning"), (1, "warning")]
)
def test_how_long_a_session_may_be_idle(minutes: float | None, status: str) -> None:
    assert check_idle_time(None if minutes is None else timedelta(minutes=minutes)).status.value == status


@pytest.mark.parametrize(("seconds", "status"), [(None, "ok"), (300, "ok"), (120, "ok"), (119, "warning")])
def test_how_long_a_token_lasts(seconds: float | None, status: str) -> None:
    assert check_token_life(None if seconds is None else timedelta(seconds=seconds)).status.value == status
