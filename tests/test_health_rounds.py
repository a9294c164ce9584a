"""Looks at connections one after the other: refused log-ins are left alone, alerts come once, changes are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.banqup import BanqupServer, DocumentStore
from sandbox.banqup.access import Application
from sandbox.clock import SandboxClock
from sandbox.sap_b1 import Company, ServiceLayer, Sizes, generate_company
from sandbox.sap_b1.faults import Faults
from tests.support.asyncssh_server import Account, AsyncSshServer
from tests.support.sshd import ssh_server
from tests.support.syspro_connection import airflow_home, ledger
from tieout.cli import main
from tieout.health import (
    Check,
    Finding,
    HealthConfig,
    Probe,
    Server,
    Status,
    check_banqup,
    check_sap_b1,
    check_sftp,
    look_at_all,
    rounds,
)
from tieout.health import ConnectionInUse as Use
from tieout.health.telling import forget, tell
from tieout.hooks import connection_checks
from tieout.hooks.connection_checks import looking, probe_of
from tieout.hooks.connections import sftp_target
from tieout.ledger import Ledger
from tieout.ledger.rows import RunKey
from tieout.systems.banqup import BanqupSettings
from tieout.systems.sap_b1.settings import SapB1Settings

__all__ = ["airflow_home", "ledger"]

NOW = datetime(2026, 3, 10, 8, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
USE = Use(Server("bank"), ("banqup_to_sftp", "sap_b1_to_peakflo__north"), folders=("/",))
PASSWORD = "Sesam, öffne dich 7"
WRONG = "Sesam, öffne dich 6"


@pytest.fixture
def account() -> Account:
    return Account(password=PASSWORD)


@pytest.fixture
def bank(tmp_path: Path, account: Account) -> Iterator[AsyncSshServer]:
    (tmp_path / "files").mkdir()
    with AsyncSshServer(tmp_path / "files", account) as server:
        yield server


@pytest.fixture
def connect(bank: AsyncSshServer, airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the connection `bank`; keywords are fields, others its extras."""

    def set_to(**changes: Any) -> None:
        fields = {
            "conn_type": "sftp", "host": bank.host, "port": bank.port, "login": "partner", "password": PASSWORD,
        }  # fmt: skip
        extra = {"host_key": bank.host_key, "rotated_on": str(datetime.now(UTC).date() - timedelta(days=30))}
        extra |= {name: changes.pop(name) for name in list(changes) if name not in fields}
        monkeypatch.setenv("AIRFLOW_CONN_BANK", json.dumps({**fields, **changes, "extra": extra}))

    set_to()
    return set_to


def look(ledger: Ledger, now: datetime, *, also_refused: bool = False, use: Use = USE) -> Finding:
    """One round, as the DAG does it."""
    how = looking(HealthConfig(), also_refused=also_refused)
    how = type(how)(now, how.retry_refused, how.seal, how.opens, also_refused)
    probe = probe_of(use, HealthConfig())
    # Ages are judged by the day of the look.
    [finding] = look_at_all([probe], ledger.connection_states(), how)
    finding = tell(ledger, finding)
    rounds.note(ledger, [finding], run_id=f"run {now:%d %H}")
    return finding


def statuses(finding: Finding) -> dict[str, Any]:
    return finding.health.as_json()


def open_alerts(ledger: Ledger) -> list[tuple[str, str, str, str]]:
    return [(row.kind, row.integration, row.instance, row.subject) for row in ledger.open_alerts()]


def told(ledger: Ledger) -> list[tuple[str, str]]:
    """Everything that people were told, in order."""
    return [(notice.kind, notice.about) for notice in ledger.notices()]


# Refused log-ins


def test_a_refused_log_in_is_left_alone_for_a_day(
    ledger: Ledger, account: Account, connect: Callable[..., None]
) -> None:
    connect(password=WRONG)
    first = look(ledger, NOW)
    assert (first.tried, statuses(first)["authenticated"], account.password_attempts) == (True, "failed", 1)

    for hours in (1, 2, 23):
        later = look(ledger, NOW + hours * HOUR)
        row = statuses(later)
        assert (later.tried, row["authenticated"], row["reachable"], row["ok"]) == (False, "failed", "unknown", False)
        assert row["password_age"] == first.health.as_json()["password_age"]
        assert "refused the password" in row["messages"]["authenticated"]
        assert "is not tried before 2026-03-11 08:07 UTC" in row["messages"]["authenticated"]
        assert [check.name for check in later.acute] == ["authenticated"]
    assert account.password_attempts == 1

    assert look(ledger, NOW + 24 * HOUR).tried
    assert look(ledger, NOW + 25 * HOUR).tried is False
    assert account.password_attempts == 2


@pytest.mark.parametrize(
    ("change", "tried"),
    [
        ({"password": PASSWORD}, True),
        ({"password": WRONG + "!"}, True),
        ({"password": WRONG, "login": "another"}, True),
        ({"password": WRONG, "exec_allowed": True}, True),
        ({"password": WRONG, "rotated_on": "2026-03-10"}, False),
        ({"password": WRONG, "password_rotated_on": "2026-03-10", "rotate_after_days": 9}, False),
        ({"password": WRONG}, False),
    ],
    ids=["right password", "other password", "other login", "other extra", "a date", "other dates", "nothing"],
)
def test_a_changed_connection_is_tried_at_once(
    ledger: Ledger, account: Account, connect: Callable[..., None], change: dict[str, Any], tried: bool
) -> None:
    connect(password=WRONG)
    look(ledger, NOW)
    connect(**change)
    second = look(ledger, NOW + HOUR)
    assert (second.tried, account.password_attempts) == (tried, 1 + tried)
    assert second.health.ok == (change["password"] == PASSWORD)


def test_an_instances_own_user_is_a_change_too(ledger: Ledger, connect: Callable[..., None]) -> None:
    connect(password=WRONG)
    use = Use(Server("bank", user="one"), ("banqup_to_sftp",))
    assert look(ledger, NOW, use=use).tried
    assert not look(ledger, NOW + HOUR, use=use).tried
    assert look(ledger, NOW + HOUR, use=Use(Server("bank", user="two"), ("banqup_to_sftp",))).tried


def test_another_key_in_the_same_file_is_a_change(
    ledger: Ledger, bank: AsyncSshServer, account: Account, connect: Callable[..., None], tmp_path: Path
) -> None:
    import asyncssh

    good, bad = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    account.authorized_key, account.password = good.export_public_key().decode(), None
    file = tmp_path / "key"
    file.write_bytes(bad.export_private_key())
    connect(password=None, key_file=str(file))
    assert not look(ledger, NOW).health.ok
    assert not look(ledger, NOW + HOUR).tried
    file.write_bytes(good.export_private_key())
    assert look(ledger, NOW + 2 * HOUR).health.ok


def test_a_person_may_try_at_once(ledger: Ledger, account: Account, connect: Callable[..., None]) -> None:
    account.password = "not yet " + PASSWORD
    look(ledger, NOW)
    account.password = PASSWORD  # the receiver has unlocked the account: nothing changes on our side
    assert not look(ledger, NOW + HOUR).health.ok
    assert look(ledger, NOW + HOUR, also_refused=True).health.ok
    assert look(ledger, NOW + 2 * HOUR).tried


def test_an_outage_does_not_make_a_refusal_forgotten(
    ledger: Ledger, account: Account, connect: Callable[..., None]
) -> None:
    connect(password=WRONG)
    look(ledger, NOW)
    connect(password=WRONG, port=1)
    assert statuses(look(ledger, NOW + HOUR))["reachable"] == "failed"
    connect(password=WRONG)
    assert not look(ledger, NOW + 2 * HOUR).tried
    assert account.password_attempts == 1


def test_without_a_key_to_keep_the_connection_with_only_the_day_counts(
    ledger: Ledger, account: Account, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    connect(password=WRONG)
    look(ledger, NOW)
    connect()
    assert not look(ledger, NOW + HOUR).tried
    assert look(ledger, NOW + 24 * HOUR).health.ok


def test_the_ledger_keeps_no_secret(ledger: Ledger, connect: Callable[..., None], tmp_path: Path) -> None:
    connect(password=WRONG)
    finding = look(ledger, NOW)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert finding.memory.refused_with.encode() in kept
    assert WRONG.encode() not in kept and json.dumps(WRONG).strip('"').encode() not in kept
    assert PASSWORD not in repr(finding) and WRONG not in repr(finding)


# What is alerted, and when


def test_an_outage_is_given_a_second_look(ledger: Ledger, connect: Callable[..., None], bank: AsyncSshServer) -> None:
    connect(port=1)
    first = look(ledger, NOW)
    assert (first.health.ok, first.acute, open_alerts(ledger)) == (False, (), [])

    subject = ("connection_failing", "banqup_to_sftp", "default", "connection bank")
    for hours in (1, 2):
        later = look(ledger, NOW + hours * HOUR)
        assert ([check.name for check in later.acute], open_alerts(ledger)) == (["reachable"], [subject])
    [alert] = ledger.open_alerts()
    assert "It has not been well since 2026-03-10 08:07 UTC." in alert.content["what"]
    assert "banqup_to_sftp, sap_b1_to_peakflo__north" in alert.content["money"]
    assert told(ledger) == [("connection_failing", "raised")]

    connect(port=bank.port)
    assert look(ledger, NOW + 3 * HOUR).health.ok
    assert open_alerts(ledger) == []
    assert told(ledger) == [("connection_failing", "raised"), ("connection_failing", "resolved")]

    connect(port=1)
    assert look(ledger, NOW + 4 * HOUR).acute == ()


def test_what_cannot_pass_by_itself_is_told_at_once(ledger: Ledger, connect: Callable[..., None]) -> None:
    connect(password=WRONG)
    assert look(ledger, NOW).acute
    assert [kind for kind, *_ in open_alerts(ledger)] == ["connection_failing"]


def test_another_host_key(ledger: Ledger, connect: Callable[..., None], bank: AsyncSshServer) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFhK3gZ1b0mVfRj4w0cYVd3yQG9Q4k8o1m2n3p4q5r6s"
    connect(host_key=other)
    for hours in (0, 1):
        assert [check.name for check in look(ledger, NOW + hours * HOUR).acute] == ["host_key_pinned"]
        assert open_alerts(ledger) == [("host_key_changed", "banqup_to_sftp", "default", "connection bank")]
    assert "SHA256:" in ledger.open_alerts()[0].content["what"]
    connect(host_key=f"{other},{bank.host_key}")
    assert look(ledger, NOW + 2 * HOUR).health.ok
    assert told(ledger) == [("host_key_changed", "raised"), ("host_key_changed", "resolved")]


def test_no_pinned_host_key_is_no_change_of_it(
    ledger: Ledger, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_ENV", "production")
    connect(host_key="")
    assert statuses(look(ledger, NOW))["host_key_pinned"] == "failed"
    assert [kind for kind, *_ in open_alerts(ledger)] == ["connection_failing"]


def test_a_due_date_is_told_once(ledger: Ledger, connect: Callable[..., None]) -> None:
    today = datetime.now(UTC).date()
    soon, past = (str(today - timedelta(days=365 - left)) for left in (10, -3))
    due_soon, over = today + timedelta(days=10), today - timedelta(days=3)

    connect(rotated_on=soon)
    for hours in (0, 1):
        finding = look(ledger, NOW + hours * HOUR)
        assert (finding.health.ok, finding.acute) == (True, ())
    connect(rotated_on=past)
    finding = look(ledger, NOW + 2 * HOUR)
    assert {check.name for check in finding.acute} == {"secret_age", "password_age"}
    assert open_alerts(ledger) == [("rotation_due", "banqup_to_sftp", "default", f"connection bank, password, {over}")]
    connect(rotated_on=str(today))
    assert look(ledger, NOW + 3 * HOUR).health.ok
    assert told(ledger) == [
        ("rotation_due", "raised"), ("rotation_due", "raised"), ("rotation_due", "resolved"),
        ("rotation_due", "resolved"),
    ]  # fmt: skip
    assert str(due_soon) in ledger.notices()[0].content["title"]
    assert ledger.notices()[0].content["action"].startswith("Change it without an outage as docs/health.md says")


def test_a_due_date_is_not_said_to_be_seen_again(ledger: Ledger, connect: Callable[..., None]) -> None:
    connect(rotated_on=str(datetime.now(UTC).date() - timedelta(days=360)))
    for hours in range(3):
        look(ledger, NOW + hours * HOUR)
    [alert] = ledger.open_alerts()
    assert alert.occurrences == 1


def test_a_connection_that_nobody_uses_any_more(ledger: Ledger, connect: Callable[..., None]) -> None:
    connect(password=WRONG)
    look(ledger, NOW)
    forget(ledger, ledger.connection_states().values())
    assert (ledger.connection_states(), open_alerts(ledger)) == ({}, [])
    assert [about for _, about in told(ledger)] == ["raised", "resolved"]


# What is kept


def events(ledger: Ledger) -> Sequence[str]:
    from tieout.ledger.events import find_events
    from tieout.ledger.models import events as table

    with ledger._reading() as connection:
        found = find_events(connection, table.c.what == "connection health")
    assert all((row.integration, row.entity, row.detail["connection"]) == ("connection_health", "bank", "bank")
               for row in found)  # fmt: skip
    return [row.run_id for row in found]


def test_the_audit_trail_is_told_of_changes_and_once_a_day(ledger: Ledger, connect: Callable[..., None]) -> None:
    for hours in range(3):
        look(ledger, NOW + hours * HOUR)
    assert events(ledger) == ["run 10 08"]
    connect(port=1)
    look(ledger, NOW + 3 * HOUR)
    connect(port=2)  # other words, the same answer
    look(ledger, NOW + 4 * HOUR)
    assert events(ledger) == ["run 10 08", "run 10 11"]
    look(ledger, NOW + 27 * HOUR)
    assert events(ledger) == ["run 10 08", "run 10 11", "run 11 11"]
    assert ledger.events_of_run(RunKey("connection_health", "default", "bank", "run 10 11"))[0].detail["ok"] is False


def test_the_state_is_that_of_the_last_look(ledger: Ledger, connect: Callable[..., None]) -> None:
    look(ledger, NOW)
    connect(port=1)
    look(ledger, NOW + HOUR)
    state = ledger.connection_states()["bank"]
    assert (state.row["reachable"], state.memory["failures"]) == ("failed", 1)
    assert datetime.now(UTC) - state.checked_at < timedelta(minutes=5)


# The command


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect: Callable[..., None]) -> None:
    path = tmp_path / "include" / "integrations" / "other" / "default.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("connections: {target: bank}\ntarget: {root: /}\n")
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))


@pytest.mark.usefixtures("instance")
def test_the_command_keeps_what_it_finds_and_shows_it_again(
    ledger: Ledger, account: Account, connect: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    connect(password=WRONG)
    assert main(["check", "--last", "--json"]) == 0
    assert "Never looked at: bank." in capsys.readouterr().err

    assert main(["check", "--json"]) == 1
    [_, shown] = json.loads(capsys.readouterr().out)
    assert main(["check", "--last", "--json"]) == 1
    [kept] = json.loads(capsys.readouterr().out)
    assert datetime.fromisoformat(kept.pop("checked_at")).tzinfo is not None
    assert (kept, account.password_attempts) == (shown, 1)

    assert main(["check"]) == 1
    assert account.password_attempts == 2  # a person who asks gets an answer
    assert main(["check", "--last"]) == 1
    printed = capsys.readouterr().out
    assert "bank, authenticated, failed: partner@" in printed
    assert "checked at" in printed


@pytest.mark.usefixtures("instance")
def test_a_look_at_a_part_is_not_kept(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--integration", "other", "--json"]) == 0
    assert ledger.connection_states() == {}


@pytest.mark.usefixtures("instance")
def test_what_the_command_finds_well_is_tried_by_the_next_look(
    ledger: Ledger, account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.password = "not yet " + PASSWORD
    look(ledger, datetime.now(UTC))
    account.password = PASSWORD
    assert main(["check", "--json"]) == 0
    finding = look(ledger, datetime.now(UTC))
    assert (finding.tried, finding.health.ok) == (True, True)
    assert open_alerts(ledger) == []


@pytest.mark.usefixtures("instance")
def test_the_command_does_not_forget_an_alert_that_was_raised_meanwhile(
    ledger: Ledger, account: Account, bank: AsyncSshServer, airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hourly look finds a wrong password while the command is talking to the server."""
    account.password = "not yet " + PASSWORD
    plain = connection_checks.probe_of

    def probe_in_between(use: Use, config: HealthConfig) -> Probe:
        probe = plain(use, config)

        def talk() -> Sequence[Check]:
            with Ledger.open(f"sqlite:///{airflow_home / 'ledger.db'}") as other:
                look(other, datetime.now(UTC), use=use)
            return probe.talk()

        return replace(probe, talk=talk)

    monkeypatch.setattr(connection_checks, "probe_of", probe_in_between)
    assert main(["check", "--json"]) == 1
    [(kind, *_)] = open_alerts(ledger)
    assert kind == "connection_failing"
    account.password = PASSWORD
    monkeypatch.setattr(connection_checks, "probe_of", plain)
    assert main(["check", "--json"]) == 0
    look(ledger, datetime.now(UTC))
    assert open_alerts(ledger) == []


# Errors that nobody had foreseen


def broken() -> Sequence[Check]:
    raise ZeroDivisionError(f"while logging in with {PASSWORD}")


def reachable() -> Sequence[Check]:
    return [Check("reachable", Status.OK), Check("authenticated", Status.FAILED, "no", "CredentialsRejected")]


def test_what_breaks_one_look_leaves_the_others(ledger: Ledger) -> None:
    ends = [("talk", tuple, broken), ("own", broken, reachable), ("well", tuple, reachable)]
    probes = [Probe(name, "sftp", (), "", own, talk, name) for name, own, talk in ends]
    how = looking(HealthConfig(), also_refused=False)
    findings = look_at_all(probes, {}, how)
    rounds.note(ledger, [tell(ledger, finding) for finding in findings])
    rows = {finding.health.conn_id: finding.health.as_json() for finding in findings}
    assert {name: row["reachable"] for name, row in rows.items()} == {"talk": "failed", "own": "failed", "well": "ok"}
    for name in ("talk", "own"):
        assert rows[name]["messages"]["reachable"].endswith("(ZeroDivisionError).")
    assert findings[1].memory.refused_at, "the log-in that was refused is not forgotten"
    [again] = look_at_all(probes[1:2], ledger.connection_states(), how)
    assert (again.tried, again.health.as_json()["reachable"]) == (False, "failed")
    assert PASSWORD not in repr(findings) + repr(again)


@pytest.mark.usefixtures("instance")
@pytest.mark.parametrize("where", ["connection", "check_sftp"], ids=["before", "while it looks"])
def test_the_command_shows_what_it_can(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(connection_checks, where, lambda *_, **__: broken())
    assert main(["check", "--json"]) == 1
    printed = capsys.readouterr()
    [own, bank] = json.loads(printed.out)
    assert own["ok"] and bank["reachable"] == "failed"
    assert bank["messages"]["reachable"].endswith("that nobody had foreseen (ZeroDivisionError).")
    assert PASSWORD not in printed.out + printed.err


# What the systems tell


def value(checks: Sequence[Any], name: str) -> tuple[str, str]:
    return next((check.status.value, check.message) for check in checks if check.name == name)


@pytest.fixture(scope="module")
def company() -> Company:
    return generate_company(3, Sizes(customers=2, suppliers=1, leads=1, items=2, invoices=2, credit_notes=1))


@pytest.mark.parametrize(("minutes", "status"), [(30, "ok"), (5, "warning")])
def test_how_long_sap_lets_a_session_be_idle(company: Company, minutes: int, status: str) -> None:
    user, password = next(iter(company.users.items()))
    faults = Faults()
    faults.settings.login_ms = 0
    with ServiceLayer(company, faults, session_timeout_minutes=minutes) as server:
        extra = {"company_db": company.database}
        checks = check_sap_b1(
            SapB1Settings.from_connection(host=server.url, login=user, password=password, extra=extra)
        )
    assert value(checks, "authenticated") == ("ok", "")
    assert value(checks, "session_life")[0] == status
    assert f"{minutes} minutes" in value(checks, "session_life")[1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, ("ok", "300 seconds")), ({"token_seconds": 60.0}, ("warning", "60 seconds")),
     ({"expires_in": "left_out"}, ("ok", "does not say"))],
)  # fmt: skip
def test_how_long_banqups_tokens_last(settings: dict[str, Any], expected: tuple[str, str]) -> None:
    store = DocumentStore(SandboxClock())
    store.add_space("0c2f7f9e-0000-4000-8000-000000000001", "One", "0700000096")
    application = Application()
    with BanqupServer(store) as banqup:
        banqup.faults.configure(**settings)
        fields = BanqupSettings.from_connection(
            host=banqup.url, login=application.client_id, password=application.client_secret
        )
        checks = check_banqup(fields, {})
    status, words = value(checks, "session_life")
    assert (status, expected[1] in words) == (expected[0], True)


def test_a_host_key_that_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announced = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFhK3gZ1b0mVfRj4w0cYVd3yQG9Q4k8o1m2n3p4q5r6s"
    with ssh_server(tmp_path / "sshd") as server:
        for keys, told_of in ((server.host_key, False), (f"{announced},{server.host_key}", True)):
            extra = {"private_key": server.client_key_pem, "host_key": keys}
            fields = {"conn_type": "sftp", "host": server.host, "port": server.port, "login": server.user}
            monkeypatch.setenv("AIRFLOW_CONN_ANNOUNCED", json.dumps({**fields, "extra": extra}))
            checks = check_sftp(sftp_target("announced"), [])
            assert value(checks, "host_key_pinned") == ("ok", "")
            assert any(check.name == "host_key_rotation" for check in checks) == told_of
    status, words = value(checks, "host_key_rotation")
    assert status == "ok" and words.count("SHA256:") == 2 and "is pinned besides" in words
