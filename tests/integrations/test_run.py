from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.integrations.run import EntityPlan, Run, wanted


def run(**changes: object) -> Run:
    fields: dict[str, object] = {
        "integration": "sap_b1_to_peakflo",
        "instance": "default",
        "run_id": "manual__2026-03-01T10:00:00+00:00",
        "mode": "backfill",
        "interval_start": None,
        "interval_end": None,
        "stamp": datetime(2026, 3, 1, 10, 5, 7, tzinfo=UTC),
    }
    return Run(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        pytest.param("2026-03-01T00:00", "2026-03-02T00:00", "UTC", ("2026-03-01", "2026-03-02"), id="a day"),
        pytest.param("2026-03-01T09:00", "2026-03-01T10:00", "UTC", ("2026-03-01", "2026-03-02"), id="an hour"),
        pytest.param("2026-03-01T02:00", "2026-03-02T02:00", "UTC", ("2026-03-01", "2026-03-02"), id="from two to two"),
        pytest.param("2026-03-02T00:00", "2026-03-09T00:00", "UTC", ("2026-03-02", "2026-03-09"), id="a week"),
        pytest.param(
            "2026-02-28T23:00", "2026-03-01T23:00", "Europe/Brussels", ("2026-03-01", "2026-03-02"), id="Brussels' day"
        ),
        pytest.param(
            "2026-03-28T23:00", "2026-03-29T22:00", "Europe/Brussels", ("2026-03-29", "2026-03-30"), id="23 hours"
        ),
    ],
)
def test_an_interval_stands_for_days(start: str, end: str, zone: str, expected: tuple[str, str]) -> None:
    interval = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end)]
    days = run(interval_start=interval[0], interval_end=interval[1]).days(zone)

    assert days == tuple(date.fromisoformat(text) for text in expected)


def test_a_backfill_without_an_interval_is_refused() -> None:
    with pytest.raises(ConfigurationInvalid, match="no data interval"):
        run().days("UTC")


def test_names_are_the_same_on_every_retry() -> None:
    assert run().timestamp == "20260301T100507Z"
    assert run().folder_name == "manual__2026-03-01T10_00_00_00_00"


def test_a_plan_survives_xcom() -> None:
    plan = EntityPlan("invoices", "window", since="2026-01-01", held_keys=("1", "2"), resend=True)

    assert EntityPlan.from_json(plan.to_json()) == plan
    assert plan.window() == {"read": "window", "since": "2026-01-01"}


def test_entities_keep_the_configured_order() -> None:
    assert wanted(run(entities=("b", "a")), ["a", "b", "c"]) == ["a", "b"]
    assert wanted(run(), ["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize("option", ["entities", "full_refresh"])
def test_an_unknown_entity_is_named(option: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=rf"conf\.{option} names 'bills'.*it has invoices"):
        wanted(run(**{option: ("bills",)}), ["invoices"])
