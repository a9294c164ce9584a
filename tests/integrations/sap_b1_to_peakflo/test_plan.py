"""What a run reads, as a table: watermark, mode and options on the left, the plan on the right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.sap_b1_to_peakflo.rehearsal import default_config
from tieout.errors import ConfigurationInvalid
from tieout.integrations.run import EntityPlan, Run
from tieout.integrations.sap_b1_to_peakflo import reading
from tieout.integrations.sap_b1_to_peakflo.plan import plan_run
from tieout.ledger import EntityOutcome, HeldDraft, Ledger
from tieout.odata.manifest import ExtractManifest

DAY = datetime(2026, 3, 5, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as ledger:
        yield ledger


def run(**changes: Any) -> Run:
    fields: dict[str, Any] = {
        "integration": "sap_b1_to_peakflo",
        "instance": "default",
        "run_id": "run",
        "mode": "incremental",
        "interval_start": DAY,
        "interval_end": DAY.replace(day=6),
        "stamp": DAY,
    }
    return Run(**{**fields, **changes})


def leave(ledger: Ledger, entity: str, watermark: dict[str, Any] | None, held: list[str] | None = None) -> None:
    """What an earlier run left behind."""
    key = run(run_id="earlier").key(entity)
    from tieout.ledger import Tally

    ledger.begin_run(key, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.record_extracted(key, Tally())
    nothing = Tally()
    ledger.record_prepared(key, to_send=nothing, held=nothing, duplicate=nothing, excluded=nothing, mapping_version="1")
    drafts = [HeldDraft(each, "MISSING_VALUE", "No name.", "Give one.", "finance", b"{}") for each in held or []]
    with ledger.acquire(key.scope, "test") as lease:
        ledger.commit_entity(
            key,
            token=lease.token,
            base_version=ledger.entity_version(key.scope),
            outcome=EntityOutcome(held=drafts, watermark=watermark),
        )


CASES: list[Any] = [
    pytest.param("invoices", None, [], {}, EntityPlan("invoices", "all"), id="first run"),
    pytest.param(
        "invoices",
        {"changed": "2026-03-04"},
        [],
        {},
        EntityPlan("invoices", "window", since="2026-03-01"),
        id="from the watermark, minus the lookback",
    ),
    pytest.param("invoices", {"read_by": "x"}, [], {}, EntityPlan("invoices", "all"), id="nothing was ever seen"),
    pytest.param(
        "payments",
        {"changed": "2026-03-04", "key": 77},
        [],
        {},
        EntityPlan("payments", "window", since="2025-12-04", after_key=77),
        id="payments: new keys and a window of posting dates",
    ),
    pytest.param("taxes", None, [], {}, EntityPlan("taxes", "all"), id="once, never sent"),
    pytest.param("taxes", {"read_by": "x"}, [], {}, None, id="once, sent"),
    pytest.param(
        "taxes",
        {"read_by": "x"},
        ["A1"],
        {},
        EntityPlan("taxes", "held", moves_watermark=False),
        id="once, sent, but something is held",
    ),
    pytest.param(
        "taxes",
        {"read_by": "x"},
        [],
        {"full_refresh": ("taxes",)},
        EntityPlan("taxes", "all", resend=True),
        id="full refresh",
    ),
    pytest.param(
        "invoices",
        {"changed": "2026-03-04"},
        [],
        {"mode": "backfill"},
        EntityPlan(
            "invoices", "window", since="2026-03-05", until="2026-03-06", with_held=False, moves_watermark=False
        ),
        id="backfill: the interval, whatever the watermark",
    ),
    pytest.param("taxes", None, [], {"mode": "backfill"}, None, id="backfill leaves one-time entities out"),
    pytest.param("invoices", None, [], {"mode": "held_only"}, None, id="held only, nothing held"),
    pytest.param(
        "invoices",
        None,
        ["9"],
        {"mode": "held_only"},
        EntityPlan("invoices", "held", moves_watermark=False),
        id="held only",
    ),
]


@pytest.mark.parametrize(("entity", "watermark", "held", "options", "expected"), CASES)
def test_plans(
    ledger: Ledger,
    entity: str,
    watermark: dict[str, Any] | None,
    held: list[str],
    options: dict[str, Any],
    expected: EntityPlan | None,
) -> None:
    if watermark is not None or held:
        leave(ledger, entity, watermark, held)

    plans = plan_run(run(entities=(entity,), **options), default_config(), ledger)

    assert plans == ([expected] if expected else [])


def test_held_records_are_chosen_by_id(ledger: Ledger) -> None:
    leave(ledger, "invoices", None, ["8", "9"])
    from tieout.ledger import Filters

    chosen = next(row for row in ledger.held(Filters()) if row.source_key == "9")
    plans = plan_run(run(mode="held_only", held_ids=(chosen.id,)), default_config(), ledger)

    assert [(plan.entity, plan.held_keys) for plan in plans] == [("invoices", ("9",))]
    with pytest.raises(ConfigurationInvalid, match=r"conf\.held_ids names 4711"):
        plan_run(run(mode="held_only", held_ids=(4711,)), default_config(), ledger)


def manifest(**values: Any) -> ExtractManifest:
    fields: dict[str, Any] = {"entity": "Invoices", "records": 1, "source_rows": 1, "parts": ()}
    return ExtractManifest(**{**fields, **values})


@pytest.mark.parametrize(
    ("seen", "server", "before", "after"),
    [
        pytest.param("2026-03-04", "2026-03-05", None, "2026-03-04", id="the latest change"),
        pytest.param("2099-12-31", "2026-03-05", None, "2026-03-05", id="never past the server's own date"),
        pytest.param("2026-03-01", "2026-03-05", "2026-03-04", "2026-03-04", id="never back"),
        pytest.param(None, "2026-03-05", "2026-03-04", "2026-03-04", id="nothing read"),
    ],
)
def test_where_the_next_run_starts(seen: str | None, server: str, before: str | None, after: str) -> None:
    found = manifest(max_values={"UpdateDate": seen} if seen else {}, server_time=f"{server}T10:00:00+00:00")
    mark = reading.next_watermark(EntityPlan("invoices", "all"), run(), found, {"changed": before} if before else None)

    assert mark is not None
    assert mark["changed"] == after


def test_a_backfill_moves_no_watermark() -> None:
    plan = EntityPlan("invoices", "window", moves_watermark=False)

    assert reading.next_watermark(plan, run(), manifest(max_values={"UpdateDate": "2026-03-04"}), None) is None


def test_payments_remember_the_last_key() -> None:
    found = manifest(max_key="91", max_values={"DocDate": "2026-03-04"}, server_time="2026-03-05T00:00:00+00:00")
    mark = reading.next_watermark(EntityPlan("payments", "all"), run(), found, {"key": 95})

    assert mark == {"changed": "2026-03-04", "key": 95, "read_by": "run"}
