"""Who is told of what, and when not."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.alerts.support import NOON, Post, alert, config
from tieout.alerts import KINDS, MailTo, raise_alert, resolve_alert
from tieout.alerts.config import KIND_AUDIENCES, AlertsConfig, load_alerts_config
from tieout.alerts.quiet_hours import QuietHours
from tieout.errors import ConfigurationInvalid
from tieout.ledger import Ledger
from tieout.yaml_file import parse_yaml

EVERYBODY = """
webhooks:
  ops: {connection: slack_ops, style: slack}
  cfo: {connection: teams_cfo, style: teams}
audiences:
  operators: {to: [ops@example.com, both@example.com], webhooks: [ops]}
  engineers: {to: [eng@example.com]}
  finance: {to: [cfo@example.com, Both@example.com], webhooks: [cfo]}
instances:
  banqup_to_sftp/default:
    audiences: {finance: {to: [belgium@example.com]}}
    kinds: {receiver_unreachable: [operators, finance]}
"""


def told(ledger: Ledger, text: str = EVERYBODY, **changes: object) -> list[list[str]]:
    post = Post()
    raise_alert(ledger, alert(**changes), now=NOON)
    post.go(ledger, config(text))
    return post.recipients


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("receiver_unreachable", [["ops@example.com", "both@example.com"], ["webhook ops"]]),
        ("held_digest", [["cfo@example.com", "Both@example.com"], ["webhook cfo"]]),
        ("task_failed", [["ops@example.com", "both@example.com", "eng@example.com"], ["webhook ops"]]),
        (
            "deadline_missed",
            [["ops@example.com", "both@example.com", "cfo@example.com"], ["webhook ops"], ["webhook cfo"]],
        ),
    ],
)  # fmt: skip
def test_each_audience_gets_its_kinds_and_nobody_two_mails(book: Ledger, kind: str, expected: list[list[str]]) -> None:
    assert told(book, kind=kind) == expected


def test_an_instance_may_have_other_people_and_other_kinds(book: Ledger) -> None:
    got = told(book, integration="banqup_to_sftp")
    assert got == [["ops@example.com", "both@example.com", "belgium@example.com"], ["webhook ops"]]


def test_recipients_of_the_instances_own_file_are_added(book: Ledger) -> None:
    own = MailTo("finance_mail", ("OPS@example.com", "clerk@example.com"), "books@example.com")
    post = Post()
    raise_alert(book, alert(mail_to=own), now=NOON)
    post.go(book)
    targets = [message.target for message, _ in post.handed]
    assert [(target["connection"], target["sender"], target["to"]) for target in targets] == [
        ("ops_mail", "tieout@example.com", ["ops@example.com"]),
        ("finance_mail", "books@example.com", ["clerk@example.com"]),
    ]


def test_where_nobody_is_named_it_is_said_in_the_log(book: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert told(book, "{}") == []
        Post().go(book, config("{}"))
    assert [record.getMessage() for record in caplog.records] == [
        "Nobody is told of this, for include/alerts.yaml names no recipients for receiver_unreachable: "
        "sap_b1_to_peakflo: the receiver cannot be reached"
    ]


def test_every_kind_has_an_audience() -> None:
    assert set(KIND_AUDIENCES) == set(KINDS)


def test_the_projects_own_file_is_valid_and_tells_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TIEOUT_INCLUDE", raising=False)
    found = load_alerts_config()
    assert not any(recipients.to for recipients in found.audiences.values())
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    assert load_alerts_config() == AlertsConfig(), "no file is no mistake"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("audience: {}", "`audiences`?"),
        ("audiences: {operators: {to: [ops]}}", "'ops' is no mail address"),
        ("audiences: {board: {to: [a@b.c]}}", "audiences"),
        ("audiences: {operators: {webhooks: [x]}}", "names the webhook 'x', which `webhooks` does not have"),
        ("kinds: {task_faild: [operators]}", "kinds"),
        ("instances: {stampli: {}}", "'stampli' is no <integration>/<instance>"),
        ('quiet_hours: {from: "20:00"}', "quiet hours need both"),
        ('quiet_hours: {from: "20:00", to: "20:00"}', "same time"),
        ('quiet_hours: {from: "8pm", to: "07:00"}', 'a time of day is written as "07:30"'),
        ('quiet_hours: {from: "20:00", to: "07:00", timezone: Mars/Base}', "no time zone"),
        ("quiet_hours: {days: [mon, tue, wed, thu, fri, sat, sun]}", "quiet_hours.days"),
        ("held_digest: {at: 0730}", 'a time of day is written as "07:30"'),
        ("repeat_hours: 0", "repeat_hours"),
        ("base_url: airflow.example.com", "base_url"),
        ("- a", "alerts.yaml"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alerts.yaml").write_text(text)
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path))
    with pytest.raises(ConfigurationInvalid) as caught:
        load_alerts_config()
    assert message in str(caught.value) and "alerts.yaml" in str(caught.value)


# --- quiet hours

NIGHT = '{from: "20:00", to: "07:00", timezone: Europe/Brussels, days: [sat, sun], except: [host_key_changed]}'


def quiet(text: str = NIGHT) -> QuietHours:
    return parse_yaml(text, "quiet.yaml").validate(QuietHours)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-11-18T12:00+01:00", "2026-11-18T12:00+01:00"),
        ("2026-11-18T19:59+01:00", "2026-11-18T19:59+01:00"),
        ("2026-11-18T20:00+01:00", "2026-11-19T07:00+01:00"),
        ("2026-11-19T03:00+01:00", "2026-11-19T07:00+01:00"),
        ("2026-11-19T07:00+01:00", "2026-11-19T07:00+01:00"),
        ("2026-11-20T22:00+01:00", "2026-11-23T07:00+01:00"),  # Friday night, the weekend, and Monday's early hours
        ("2026-11-22T23:30+01:00", "2026-11-23T07:00+01:00"),
        ("2026-03-27T21:00+01:00", "2026-03-30T07:00+02:00"),  # the clocks go forward on Sunday
        ("2026-10-23T21:00+02:00", "2026-10-26T07:00+01:00"),  # and back
    ],
)
def test_quiet_nights_and_weekends(moment: str, end: str) -> None:
    assert quiet().end_of(datetime.fromisoformat(moment), "task_failed") == datetime.fromisoformat(end)


def test_quiet_hours_within_a_day() -> None:
    lunch = quiet('{from: "12:00", to: "13:00"}')
    assert lunch.end_of(NOON, "task_failed") == NOON + timedelta(hours=1)
    assert lunch.end_of(NOON + timedelta(hours=1), "task_failed") == NOON + timedelta(hours=1)


def test_some_kinds_are_too_important() -> None:
    night = datetime(2026, 11, 18, 23, tzinfo=UTC)
    assert quiet().end_of(night, "host_key_changed") == night


def test_what_comes_up_at_night_is_told_in_the_morning_once(ledger: Ledger) -> None:
    settings = config(f"quiet_hours: {NIGHT}\naudiences: {{operators: {{to: [ops@example.com]}}}}")
    night, morning = datetime(2026, 11, 18, 23, tzinfo=UTC), datetime(2026, 11, 19, 6, 0, tzinfo=UTC)
    post = Post()
    for minutes in range(0, 30, 5):
        raise_alert(ledger, alert(), now=night)
        post.go(ledger, settings, now=night + timedelta(minutes=minutes))
    assert post.subjects == []
    for minutes in (0, 5):
        post.go(ledger, settings, now=morning + timedelta(minutes=minutes))
    assert len(post.subjects) == 1


def test_what_came_and_went_at_night_is_told_to_nobody(ledger: Ledger) -> None:
    settings = config(f"quiet_hours: {NIGHT}\naudiences: {{operators: {{to: [ops@example.com]}}}}")
    night = datetime(2026, 11, 18, 23, tzinfo=UTC)
    post = Post()
    raise_alert(ledger, alert(), now=night)
    post.go(ledger, settings, now=night)
    resolve_alert(ledger, "receiver_unreachable", "sap_b1_to_peakflo", "default", "receiver_unreachable", now=night)
    post.go(ledger, settings, now=night + timedelta(hours=12))
    assert post.subjects == []


def test_an_audience_may_sleep_at_other_hours(book: Ledger) -> None:
    settings = config(f"""
quiet_hours: {NIGHT}
audiences:
  operators: {{to: [ops@example.com], quiet_hours: {{from: "12:00", to: "12:30"}}}}
  engineers: {{to: [eng@example.com]}}
""")
    night = datetime(2026, 11, 18, 23, tzinfo=UTC)
    post = Post()
    raise_alert(book, alert(kind="task_failed"), now=night)
    post.go(book, settings, now=night)
    assert post.recipients == [["ops@example.com"]]
    post.go(book, settings, now=night + timedelta(hours=12))
    assert post.recipients == [["ops@example.com"], ["eng@example.com"]]
