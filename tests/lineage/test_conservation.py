"""The proof as a run facet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from tieout.ledger import RunRow
from tieout.lineage.conservation import MOST_ENTITIES, conservation_facet

NOW = datetime(2026, 1, 31, tzinfo=UTC)
ROW = RunRow(
    id=1, integration="a", instance="default", entity="invoices", run_id="r", attempt=1, mode="incremental",
    dry_run=False, status="success", stage="delivered", interval_start=None, interval_end=None, window={},
    mapping_version="", extracted=5, source_totals={"EUR": Decimal("10.10")}, to_send=0, to_send_totals={}, delivered=3,
    posted=0, target_totals={"EUR": Decimal("7.00")}, held=1, held_totals={}, duplicate=1, duplicate_totals={},
    excluded=0, excluded_totals={}, ties_out=True, message="", started_at=NOW, ended_at=NOW,
)  # fmt: skip


def test_counts_and_money_of_all_and_of_each() -> None:
    facet = conservation_facet([ROW, replace(ROW, entity="payments", extracted=2, delivered=0)])
    assert (facet["tiesOut"], facet["extracted"], facet["delivered"], facet["held"]) == (True, 7, 3, 2)
    first = facet["entities"][0]
    assert (first["entity"], first["sourceTotals"]) == ("invoices", {"EUR": "10.10"})
    assert first["targetTotals"] == {"EUR": "7.00"}
    assert facet["entitiesLeftOut"] == 0


def test_one_that_does_not_tie_out_is_always_listed() -> None:
    idle = [replace(ROW, entity=f"C{number}", extracted=0) for number in range(MOST_ENTITIES + 20)]
    facet = conservation_facet(
        [*idle, replace(ROW, entity="busy"), replace(ROW, entity="wrong", extracted=0, ties_out=False)]
    )
    assert [each["entity"] for each in facet["entities"][:2]] == ["wrong", "busy"]
    assert facet["tiesOut"] is False
    assert (len(facet["entities"]), facet["entitiesLeftOut"]) == (MOST_ENTITIES, 22)


def test_a_run_without_entities_proves_nothing() -> None:
    assert conservation_facet([])["tiesOut"] is False
