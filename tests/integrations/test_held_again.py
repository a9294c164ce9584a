"""Runs that a person starts pass by held records for which a second person is needed; in all four integrations."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.banqup_to_sftp.rehearsal import ONE, read_config
from tests.support.holding import hold
from tieout import approvals
from tieout.calendars import load_calendar
from tieout.config import SapB1ToPeakflo, SecondPerson, StampliToSapB1, SysproToLegacyErp
from tieout.integrations import held_again
from tieout.integrations.banqup_to_sftp import plan as banqup
from tieout.integrations.run import Mode, Run
from tieout.integrations.sap_b1_to_peakflo import plan as peakflo
from tieout.integrations.sap_b1_to_peakflo import reading
from tieout.integrations.stampli_to_sap_b1 import collecting as stampli
from tieout.integrations.stampli_to_sap_b1 import purchase_orders
from tieout.integrations.syspro_to_legacy_erp import plan as syspro
from tieout.ledger import HeldRow, Ledger

DAY = datetime(2026, 3, 5, tzinfo=UTC)
LIMIT = {"above": {"EUR": "100", "*": "100"}}
RULE = SecondPerson.model_validate(LIMIT)
SMALL, LARGE, UNKNOWN = ("100", "EUR"), ("100.01", "EUR"), None


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as book:
        yield book


def run(integration: str = "sap_b1_to_peakflo", mode: Mode = "held_only", **changes: Any) -> Run:
    return Run(
        integration, "default", changes.pop("run_id", "manual__1"), mode, DAY, DAY.replace(day=6), DAY, **changes
    )


def holding(ledger: Ledger, of: Run, entity: str = "invoices") -> dict[str, HeldRow]:
    earlier = run(of.integration, run_id="scheduled__1").key(entity)
    return hold(ledger, earlier, {"1": SMALL, "2": LARGE, "3": UNKNOWN})


def taken(ledger: Ledger, the_run: Run, rule: SecondPerson | None = RULE) -> list[str]:
    rows = ledger.open_held(the_run.scope("invoices"))
    return [row.source_key for row in held_again.allowed(the_run, rule, ledger, rows)]


@pytest.mark.parametrize(
    ("changes", "rule", "expected"),
    [
        ({}, RULE, ["1"]),
        ({"mode": "incremental"}, RULE, ["1"]),
        ({"by_schedule": True, "mode": "incremental"}, RULE, ["1", "2", "3"]),
        ({"dry_run": True}, RULE, ["1", "2", "3"]),
        ({}, None, ["1", "2", "3"]),
        ({}, SecondPerson.model_validate({**LIMIT, "applies_to": ["discard"]}), ["1", "2", "3"]),
    ],
    ids=["held only", "by hand", "by schedule", "dry run", "no rule", "rule for discarding only"],
)
def test_which_records_a_run_takes(
    ledger: Ledger, changes: dict[str, Any], rule: SecondPerson | None, expected: list[str]
) -> None:
    the_run = run(**changes)
    holding(ledger, the_run)
    assert taken(ledger, the_run, rule) == expected


def test_what_is_left_is_told_once_a_run(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    rows = holding(ledger, run())
    with caplog.at_level(logging.WARNING):
        taken(ledger, run())
        taken(ledger, run())
    assert f"Ids: {rows['2'].id}, {rows['3'].id}" in caplog.text

    def told(source_key: str) -> list[str]:
        detail = ledger.get_held(rows[source_key].id)
        assert detail is not None
        return [event.run_id for event in detail.history if event.what == approvals.NEEDED]

    assert [told(key) for key in ("1", "2", "3")] == [[], ["manual__1"], ["manual__1"]]
    taken(ledger, run(run_id="manual__2"))
    assert told("2") == ["manual__1", "manual__2"]


def test_a_run_that_was_agreed_to_takes_what_was_agreed_to(ledger: Ledger) -> None:
    rows = holding(ledger, run())
    agreed = approvals.run_agreed_to("manual__9")
    ledger.note_held(approvals.AGREED, [rows["2"]], agreed, {"by": "Anna", "asked_by": "Jan"})
    assert taken(ledger, run(run_id=agreed)) == ["1", "2"]
    assert taken(ledger, run()) == ["1"]


@pytest.mark.parametrize("mode", ["held_only", "incremental"])
def test_sap_b1_to_peakflo(ledger: Ledger, mode: Mode) -> None:
    config = SapB1ToPeakflo.model_validate({"second_person": LIMIT, "entities": {"invoices": {}}})
    the_run = run(mode=mode)
    rows = holding(ledger, the_run)
    (plan,) = peakflo.plan_run(the_run, config, ledger)
    assert (plan.held_keys, plan.with_held) == (("1",), True)

    ledger.discard_held(rows["1"].id, "not ours", "Jan")
    plans = peakflo.plan_run(the_run, config, ledger)
    assert [(plan.held_keys, plan.with_held) for plan in plans] == ([] if mode == "held_only" else [((), False)])


def test_sap_b1_to_peakflo_by_id(ledger: Ledger) -> None:
    config = SapB1ToPeakflo.model_validate({"second_person": LIMIT, "entities": {"invoices": {}}})
    rows = holding(ledger, run())
    (plan,) = peakflo.plan_run(run(held_ids=(rows["1"].id, rows["2"].id)), config, ledger)
    assert plan.held_keys == ("1",)
    assert peakflo.plan_run(run(held_ids=(rows["2"].id,)), config, ledger) == []


def test_the_purchase_orders_of_stampli(ledger: Ledger) -> None:
    config = StampliToSapB1.model_validate({"second_person": LIMIT, "purchase_orders": True})
    the_run = run("stampli_to_sap_b1")
    holding(ledger, the_run, purchase_orders.ENTITY)
    plan = purchase_orders.plan(the_run, config, ledger)
    assert plan is not None and plan.held_keys == ("1",)


def test_stampli_to_sap_b1(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = StampliToSapB1.model_validate({"second_person": LIMIT})
    the_run = run("stampli_to_sap_b1")
    holding(ledger, the_run)
    monkeypatch.setattr(stampli, "read_payload", lambda *arguments: arguments[-1])
    layouts = stampli.layouts_of(the_run)
    work = stampli._Entity(tmp_path, stampli.RecordWriter(tmp_path), ())
    records = stampli._held_records(the_run, config, ledger, "invoices", layouts, stampli.Limits(), work)
    assert [str(record) for record in records] == ["held record 1"]


@pytest.mark.parametrize("mode", ["held_only", "incremental"])
def test_banqup_to_sftp(ledger: Ledger, mode: Mode) -> None:
    clients = [{"external_id": ONE, "uen_number": "0701234576", "space_id": ONE, "conn_id": ONE}]
    defaults = {"activated_at": "2026-01-01T00:00:00Z", "invoice_path": "/in/[external_id]/[invoice_type]"}
    config = read_config(json.dumps({"second_person": LIMIT, "defaults": defaults, "clients": clients}))
    the_run = run("banqup_to_sftp", mode)
    holding(ledger, the_run, ONE)
    (plan,) = banqup.plan_run(the_run, banqup.Asked(), config, ledger)
    assert plan.held_keys == ("1",)


def test_a_backfill_of_banqup_says_nothing_of_held_records(ledger: Ledger) -> None:
    clients = [{"external_id": ONE, "uen_number": "0701234576", "space_id": ONE, "conn_id": ONE}]
    defaults = {"activated_at": "2026-01-01T00:00:00Z", "invoice_path": "/in/[external_id]/[invoice_type]"}
    config = read_config(json.dumps({"second_person": LIMIT, "defaults": defaults, "clients": clients}))
    rows = holding(ledger, run("banqup_to_sftp"), ONE)
    banqup.plan_run(run("banqup_to_sftp", "backfill"), banqup.Asked(), config, ledger)
    detail = ledger.get_held(rows["2"].id)
    assert detail is not None and [event.what for event in detail.history] == ["held"]


def planned(ledger: Ledger, the_run: Run, folder: Path, **config: Any) -> dict[str, syspro.Plan]:
    settings = SysproToLegacyErp.model_validate({"second_person": LIMIT, **config})
    calendar = load_calendar("calendar_months")
    plans = syspro.plan_run(the_run, syspro.Asked(period="2026-01"), settings, calendar, ledger, folder)
    return {plan.entity: plan for plan in plans}


def test_syspro_to_legacy_erp(ledger: Ledger, tmp_path: Path) -> None:
    the_run = run("syspro_to_legacy_erp")
    rows = holding(ledger, the_run)
    assert planned(ledger, the_run, tmp_path)["invoices"].held_keys == ("1",)
    by_id = run("syspro_to_legacy_erp", held_ids=(rows["2"].id,))
    assert "invoices" not in planned(ledger, by_id, tmp_path)


def test_a_posting_that_waits_keeps_its_journal_back(ledger: Ledger, tmp_path: Path) -> None:
    key = run("syspro_to_legacy_erp", run_id="scheduled__1").key(syspro.GL_POSTINGS)
    held = {"2026|1|7|1": SMALL, "2026|1|7|2": LARGE, "2026|1|8|1": SMALL, "2025|12|8|1": LARGE}
    rows = hold(ledger, key, held)
    plan = planned(ledger, run("syspro_to_legacy_erp"), tmp_path)[syspro.GL_POSTINGS]
    assert (plan.held_keys, plan.periods) == (("2026|1|8|1",), ("202601",))
    by_id = run("syspro_to_legacy_erp", held_ids=(rows["2026|1|7|1"].id,))
    assert syspro.GL_POSTINGS not in planned(ledger, by_id, tmp_path)


def test_reading_takes_no_held_record_where_none_may_be_taken(ledger: Ledger) -> None:
    config = SapB1ToPeakflo.model_validate({"second_person": LIMIT, "entities": {"invoices": {}}})
    the_run = run(mode="incremental")
    hold(ledger, run(run_id="scheduled__1").key("invoices"), {"2": LARGE})
    (plan,) = peakflo.plan_run(the_run, config, ledger)
    mapping: Any = None  # the plan alone says that nothing is to be taken
    assert reading.held_keys(ledger, the_run, plan, mapping) == []
