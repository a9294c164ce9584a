"""From what Airflow tells to an alert: which failures are one, what they say, and which are not."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from tieout import airflow_events, listeners
from tieout.alerts.money import at_stake
from tieout.alerts.occasions import (
    FailedTask,
    is_whole_run,
    raise_deadline_missed,
    raise_run_failed,
    raise_task_failed,
    rows_of_run,
)
from tieout.approvals import companion_of
from tieout.errors import (
    ConfigurationInvalid,
    ContractBroken,
    CredentialsRejected,
    DoesNotTieOut,
    HostKeyMismatch,
    QualityFailed,
    ReceiverRefused,
    ReceiverUnavailable,
    SourceUnavailable,
    Superseded,
)
from tieout.ledger import AlertRow, EntityOutcome, Ledger, RunKey, Scope, Tally

INVOICES = RunKey("sap_b1_to_peakflo", "default", "invoices", "r1")
EUR = Tally(3, {"EUR": Decimal("12.50")})


def begin(book: Ledger, key: RunKey = INVOICES, *, stage: str = "prepared", dry_run: bool = False) -> None:
    """A run that has come so far, with three records."""
    book.begin_run(key, mode="incremental", dry_run=dry_run, interval_start=None, interval_end=None, window={})
    if stage == "running":
        return
    book.record_extracted(key, EUR)
    if stage == "extracted":
        return
    to_send = EUR if stage == "prepared" else Tally()
    duplicate = Tally() if stage == "prepared" else EUR
    none = Tally()
    book.record_prepared(key, to_send=to_send, held=none, duplicate=duplicate, excluded=none, mapping_version="1")
    if stage == "delivered":
        with book.acquire(key.scope, "test") as lease:
            version = book.entity_version(key.scope)
            book.commit_entity(key, token=lease.token, base_version=version, outcome=EntityOutcome())


def failed(error: BaseException | str | None, **changes: Any) -> FailedTask:
    fields = {"integration": "sap_b1_to_peakflo", "instance": "default", "run_id": "r1", "task_id": "deliver"}
    return FailedTask(**{"title": "deliver", "error": error, **fields, **changes})


def the_alert(book: Ledger) -> AlertRow:
    [row] = book.open_alerts()
    return row


@pytest.mark.parametrize(
    ("error", "kind", "action"),
    [
        (CredentialsRejected("SAP refused the password."), "task_failed", "Correct user name and password"),
        (HostKeyMismatch("The server offers SHA256:abc."), "host_key_changed", "Do not accept the new key"),
        (ReceiverRefused("The folder is read-only."), "task_failed", "at the receiver"),
        (ReceiverUnavailable("It does not answer."), "receiver_unreachable", "Ask whoever runs the receiver"),
        (SourceUnavailable("It does not answer."), "source_unreachable", "Ask whoever runs the source"),
        (ContractBroken("Not in order."), "task_failed", "does not keep to its interface"),
        (ConfigurationInvalid("line 3, to: wrong"), "task_failed", "Correct the file"),
        (QualityFailed("Missed."), "task_failed", "bin/tieout quality"),
    ],
)
def test_each_error_class_has_a_kind_and_says_what_to_do(
    book: Ledger, error: Exception, kind: str, action: str
) -> None:
    begin(book)
    assert raise_task_failed(book, failed(error))
    row = the_alert(book)
    assert row.kind == kind and row.run_id == "r1"
    assert str(error) in row.content["what"] and action in row.content["action"]
    assert "Not delivered or posted yet: invoices (3 records, EUR 12.50)." in row.content["money"]
    assert row.content["link_path"] == "#/runs?integration=sap_b1_to_peakflo&instance=default&run_id=r1"


def test_a_foreign_error_is_named_but_not_quoted(book: Ledger) -> None:
    raise_task_failed(book, failed(KeyError("https://user:pa55word@b1/")))
    words = str(the_alert(book).content)
    assert "KeyError" in words and "pa55word" not in words


@pytest.mark.parametrize("error", [None, "killed by the system"])
def test_a_process_that_left_no_message(book: Ledger, error: str | None) -> None:
    raise_task_failed(book, failed(error))
    assert "Its process was killed" in the_alert(book).content["what"]


def test_an_outage_that_many_steps_meet_is_one(book: Ledger) -> None:
    for title in ("entity.extract [invoices]", "entity.extract [payments]", "logout"):
        raise_task_failed(book, failed(SourceUnavailable("down"), title=title, run_id=title))
    assert the_alert(book).occurrences == 3


def test_mistakes_of_two_entities_are_two(book: Ledger) -> None:
    for title in ("entity.prepare [invoices]", "entity.prepare [payments]"):
        raise_task_failed(book, failed(ConfigurationInvalid(title), title=title))
    assert len(book.open_alerts()) == 2


def test_a_tie_out_that_had_nothing_to_prove_is_no_alert(book: Ledger) -> None:
    begin(book)
    assert not raise_task_failed(book, failed(DoesNotTieOut("stopped after 'prepared'"), task_id="tie_out"))
    assert book.open_alerts() == []


def test_figures_that_do_not_agree_are_one_even_beside_a_failed_step(book: Ledger) -> None:
    begin(book, stage="delivered")
    book.finish_run(INVOICES, ties_out=False, message="3 records were extracted but 2 have a place")
    begin(book, RunKey("sap_b1_to_peakflo", "default", "payments", "r1"))
    raise_task_failed(book, failed(ReceiverUnavailable("down")))
    assert raise_task_failed(book, failed(DoesNotTieOut("does not"), task_id="tie_out", title="tie_out"))
    kinds = {row.kind: row for row in book.open_alerts()}
    assert set(kinds) == {"receiver_unreachable", "not_tied_out"}
    wrong = kinds["not_tied_out"]
    assert wrong.subject == "invoices" and "but 2 have a place" in wrong.content["what"]
    assert "invoices: extracted 3 records, EUR 12.50" in wrong.content["money"]
    assert "payments" not in wrong.content["money"]


@pytest.mark.parametrize("error", [ConfigurationInvalid("x"), DoesNotTieOut("x"), HostKeyMismatch("x")])
def test_a_dry_run_is_nobodys_alarm(book: Ledger, error: Exception) -> None:
    begin(book, dry_run=True)
    assert not raise_task_failed(book, failed(error))
    assert not raise_run_failed(book, "sap_b1_to_peakflo", "default", "r1")
    assert book.open_alerts() == []


def test_who_was_superseded_need_not_be_helped(book: Ledger) -> None:
    assert not raise_task_failed(book, failed(Superseded("another run")))


@pytest.mark.parametrize(
    ("error", "tells"),
    [(ReceiverUnavailable("x"), False), (HostKeyMismatch("x"), False), (CredentialsRejected("x"), False),
     (ContractBroken("x"), True)],
)  # fmt: skip
def test_clients_servers_are_told_by_a_task_of_their_own(book: Ledger, error: Exception, tells: bool) -> None:
    assert raise_task_failed(book, failed(error, integration="banqup_to_sftp")) is tells
    assert raise_task_failed(book, failed(error, integration="banqup_to_sftp", task_id="collect", title="collect"))


# --- the net


def test_a_red_run_that_nobody_told_of_is_told(book: Ledger) -> None:
    begin(book, stage="extracted")
    book.fail_run(INVOICES, "the disk is full")
    assert raise_run_failed(book, "sap_b1_to_peakflo", "default", "r1")
    words = the_alert(book).content
    assert "invoices: the disk is full" in words["what"]
    assert "neither sent nor held yet: invoices (3 records, EUR 12.50)" in words["money"]


def test_a_red_run_that_was_told_of_is_not(book: Ledger) -> None:
    begin(book)
    raise_task_failed(book, failed(ReceiverUnavailable("down")))
    assert not raise_run_failed(book, "sap_b1_to_peakflo", "default", "r1")
    assert raise_run_failed(book, "sap_b1_to_peakflo", "default", "r2")


def test_a_run_that_is_red_because_a_server_is_down_waits_for_its_time(book: Ledger) -> None:
    scope = Scope("banqup_to_sftp", "default", "C1001")
    book.receiver_failed(scope, error="down", error_kind="ReceiverUnavailable", waiting=2, next_try_at=None)
    assert not raise_run_failed(book, "banqup_to_sftp", "default", "r1")
    book.receiver_reached(scope)
    assert raise_run_failed(book, "banqup_to_sftp", "default", "r1")


def test_a_missed_deadline_names_what_is_missing(book: Ledger) -> None:
    begin(book, stage="delivered")
    begin(book, RunKey("sap_b1_to_peakflo", "default", "payments", "r1"), stage="running")
    args = (
        "sap_b1_to_peakflo",
        "default",
        "r1",
        ["invoices", "payments", "contacts"],
        "2026-11-18 16:00 UTC",
        "202610",
    )
    assert [raise_deadline_missed(book, *args) for _ in range(2)] == [True, False]
    words = the_alert(book).content
    assert words["title"] == "sap_b1_to_peakflo: the deadline has passed for 202610"
    assert "should have been done by 2026-11-18 16:00 UTC" in words["what"]
    assert "Not delivered: payments, contacts." in words["what"]
    assert "Not read yet, so of unknown amount: payments." in words["money"]


def test_money_of_a_run_in_the_middle(book: Ledger) -> None:
    begin(book, stage="extracted")
    begin(book, RunKey("sap_b1_to_peakflo", "default", "payments", "r1"), stage="prepared")
    words = at_stake(rows_of_run(book, "sap_b1_to_peakflo", "default", "r1"))
    assert words.startswith("Not delivered or posted yet: payments (3 records, EUR 12.50). Read from the source")
    assert at_stake([]).startswith("Nothing was read, so no amount is known. Nothing is lost")


@pytest.mark.parametrize(
    ("conf", "whole"),
    [({}, True), ({"entities": [], "dry_run": False, "held_ids": None, "period": None, "resend": False}, True),
     ({"entities": ["invoices"]}, False), ({"held_only": True}, False), ({"dry_run": True}, False),
     ({"held_ids": [3]}, False), ({"period": "2026-10"}, False), ({"resend": "all"}, False),
     ({"regenerate": ["invoices"]}, False), ({"backfill_from": "2026-10-01"}, False),
     ({"backfill_to": "2026-10-31"}, False)],
)  # fmt: skip
def test_only_a_whole_run_proves_that_things_work_again(conf: dict[str, Any], whole: bool) -> None:
    assert is_whole_run(conf) is whole


# --- as Airflow calls it


class State(Enum):
    FAILED = "failed"
    UP_FOR_RETRY = "up_for_retry"


@dataclass
class Instance:
    """What of Airflow's task instance is looked at."""

    dag_id: str = "sap_b1_to_peakflo"
    state: State = State.FAILED
    run_id: str = "r1"
    task_id: str = "entity.prepare"
    rendered_map_index: str | None = "invoices"


@dataclass
class DagRun:
    dag_id: str = "sap_b1_to_peakflo"
    run_id: str = "r2"
    run_type: str = "scheduled"
    conf: dict[str, Any] = field(default_factory=dict)


class NotedRun(DagRun):
    """A run whose note is read, and by which thread it was set."""

    text, noted_by = "", None

    @property
    def note(self) -> str:
        return self.text

    @note.setter
    def note(self, text: str) -> None:
        self.text, self.noted_by = text, threading.current_thread()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The ledger that Airflow's processes would find."""
    url = f"sqlite:///{tmp_path / 'book.db'}"
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", url)
    monkeypatch.setattr(airflow_events, "SCHEDULER_SECONDS", 60.0)
    monkeypatch.setattr("tieout.alerts.sending.airflow_base_url", lambda: None)
    with Ledger.open(url, migrate=True) as ledger:
        yield ledger


def test_a_try_that_is_repeated_is_no_alert(home: Ledger) -> None:
    airflow_events.task_failed(Instance(state=State.UP_FOR_RETRY), ConfigurationInvalid("x"))
    assert home.open_alerts() == []
    airflow_events.task_failed(Instance(), ConfigurationInvalid("x"))
    assert the_alert(home).content["title"] == "sap_b1_to_peakflo: entity.prepare [invoices] failed"


@pytest.mark.parametrize("dag_id", ["somebody_elses", "alerts", "connection_health"])
def test_other_dags_are_not_ours(home: Ledger, dag_id: str) -> None:
    airflow_events.task_failed(Instance(dag_id=dag_id), ConfigurationInvalid("x"))
    airflow_events.run_ended(DagRun(dag_id), succeeded=False)
    assert home.open_alerts() == []


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance `north`, and one that is only called like a companion."""
    folder = tmp_path / "include" / "integrations" / "stampli_to_sap_b1"
    folder.mkdir(parents=True)
    for name in ("default", "north", "every_second_person"):
        (folder / f"{name}.yaml").write_text("{}")
    monkeypatch.setenv("TIEOUT_INCLUDE", str(tmp_path / "include"))
    return folder


@pytest.mark.parametrize(
    "dag_id", ["stampli_to_sap_b1_second_person", "stampli_to_sap_b1__north_second_person"], ids=["default", "named"]
)
def test_a_question_to_a_second_person_is_no_instances(home: Ledger, include: Path, dag_id: str) -> None:
    assert dag_id == companion_of("stampli_to_sap_b1", "north" if "north" in dag_id else "default")
    airflow_events.task_failed(Instance(dag_id), ConfigurationInvalid("nobody answered"))
    airflow_events.run_ended(DagRun(dag_id), succeeded=False)
    assert home.open_alerts() == []


def test_an_instance_may_be_called_like_a_companion(home: Ledger, include: Path) -> None:
    airflow_events.task_failed(Instance("stampli_to_sap_b1__every_second_person"), ConfigurationInvalid("x"))
    assert the_alert(home).instance == "every_second_person"


def test_a_companions_failure_is_its_instances(home: Ledger) -> None:
    failing = Instance("syspro_to_legacy_erp__north_acknowledgements", task_id="read_acknowledgements")
    airflow_events.task_failed(failing, ReceiverRefused("the reader tells this itself"))
    assert home.open_alerts() == []
    airflow_events.task_failed(failing, ReceiverUnavailable("down"))
    row = the_alert(home)
    assert (row.integration, row.instance) == ("syspro_to_legacy_erp", "north")
    airflow_events.run_ended(DagRun(failing.dag_id), succeeded=True)
    assert the_alert(home), "that the folder was read proves nothing of the deliveries"


@pytest.mark.parametrize(
    ("run", "over"),
    [(DagRun(), True), (DagRun(run_type="manual"), True), (DagRun(run_type="backfill"), False),
     (DagRun(conf={"held_only": True}), False), (DagRun("sap_b1_to_peakflo__other"), False)],
    ids=["scheduled", "manual", "backfill", "replay", "another instance"],
)  # fmt: skip
def test_a_good_run_ends_it(home: Ledger, run: DagRun, over: bool) -> None:
    airflow_events.task_failed(Instance(), SourceUnavailable("down"))
    airflow_events.run_ended(run, succeeded=True)
    assert (home.open_alerts() == []) is over


@pytest.mark.parametrize(
    ("run", "over"),
    [(DagRun(), False), (DagRun(run_id="late"), True), (DagRun(run_id="late", run_type="backfill"), True),
     (DagRun(run_id="late", conf={"period": "2026-10"}), True), (DagRun("sap_b1_to_peakflo__other", "late"), False)],
    ids=["a later run", "that run", "a backfill", "a former period", "another instance"],
)  # fmt: skip
def test_only_that_run_itself_ends_that_it_was_late(home: Ledger, run: DagRun, over: bool) -> None:
    raise_deadline_missed(home, "sap_b1_to_peakflo", "default", "late", ["invoices"], "16:00 UTC", "202610")
    airflow_events.task_failed(Instance(run_id="late"), SourceUnavailable("down"))
    airflow_events.run_ended(replace(run), succeeded=True)
    left = {row.kind for row in home.open_alerts()}
    assert ("deadline_missed" not in left) is over
    whole = run.run_type != "backfill" and not run.conf and run.dag_id == "sap_b1_to_peakflo"
    assert ("source_unreachable" not in left) is whole


def test_the_note_is_there_when_airflow_goes_on(home: Ledger) -> None:
    begin(home, RunKey("sap_b1_to_peakflo", "default", "invoices", "r2"), stage="delivered")
    run = NotedRun()
    listeners.on_dag_run_success(run, "success")
    assert "| invoices |" in run.note and run.noted_by is threading.current_thread()


def test_a_ledger_that_does_not_answer_holds_nobody_up(
    home: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that takes the connection and then says nothing."""
    monkeypatch.setattr(airflow_events, "SCHEDULER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://user:pa55word@127.0.0.1:{silent.getsockname()[1]}/ledger"
        monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", url)
        before = set(threading.enumerate())
        run = NotedRun()
        listeners.on_dag_run_success(run, "success")
        waiting = set(threading.enumerate()) - before
        assert "sap_b1_to_peakflo r2 is not in its note: the ledger does not answer" in caplog.text
    assert waiting and run.note == ""
    for thread in waiting:
        thread.join(60)
    assert not any(thread.is_alive() for thread in waiting) and "pa55word" not in caplog.text
    assert run.note == "", "nobody but the scheduler's own thread may change its run"


def test_what_a_person_calls_failed_or_good_is_neither(home: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow's API calls the listeners when somebody marks a task or a run."""
    monkeypatch.setattr(listeners, "_note", lambda dag_run: None)
    listeners.on_task_instance_failed(None, Instance(), "TaskInstance's state was manually set to `failed`.")
    listeners.on_dag_run_failed(DagRun(), "Dag Run's state was manually set to `failed`.")
    assert home.open_alerts() == []
    listeners.on_task_instance_failed("running", Instance(), SourceUnavailable("down"))
    listeners.on_dag_run_success(DagRun(), "Dag Run's state was manually set to `success`.")
    assert the_alert(home)
    listeners.on_dag_run_success(DagRun(), "success")
    assert home.open_alerts() == []


def test_a_red_run_is_caught(home: Ledger) -> None:
    airflow_events.run_ended(DagRun(conf={"dry_run": True}), succeeded=False)
    assert home.open_alerts() == []
    airflow_events.run_ended(DagRun(), succeeded=False)
    assert the_alert(home).kind == "run_failed"


def test_a_ledger_that_cannot_be_reached_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TIEOUT_LEDGER", f"postgresql://user:pa55word@127.0.0.1:1/{tmp_path.name}")
    airflow_events.task_failed(Instance(), SourceUnavailable("down"))
    airflow_events.run_ended(DagRun(), succeeded=False)
    told = caplog.text + "".join(traceback.format_stack())
    assert caplog.text.count("An alert could not be raised") == 2 and "pa55word" not in told
