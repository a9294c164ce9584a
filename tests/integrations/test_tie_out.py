"""The proof must fail for every way in which a run can lose or invent something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tieout.errors import DoesNotTieOut
from tieout.integrations.run import Run
from tieout.integrations.tie_out import raise_unless_all_tie_out, report, tie_out
from tieout.ledger import DeliveredFile, EntityOutcome, FileRecord, Ledger, Tally

RUN = Run("sap_b1_to_peakflo", "default", "run", "incremental", None, None, datetime(2026, 3, 1, tzinfo=UTC))
KEY = RUN.key("invoices")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as ledger:
        yield ledger


def eur(count: int, amount: str = "0") -> Tally:
    return Tally(count, {"EUR": Decimal(amount)} if Decimal(amount) else {})


GOOD: dict[str, Any] = {
    "extracted": eur(10, "100.00"),
    "delivered": eur(6, "60.00"),
    "held": eur(1, "5.00"),
    "duplicate": eur(2, "30.00"),
    "excluded": eur(1, "5.00"),
    "file_records": 6,
    "file_money": "60.00",
}


def make_run(ledger: Ledger, **changes: Any) -> None:
    """A committed run with these figures."""
    figures = {**GOOD, **changes}
    ledger.begin_run(KEY, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.record_extracted(KEY, figures["extracted"])
    ledger.record_prepared(
        KEY,
        to_send=figures["delivered"],
        held=figures["held"],
        duplicate=figures["duplicate"],
        excluded=figures["excluded"],
        mapping_version="1",
    )
    with ledger.acquire(KEY.scope, "test") as lease:
        file = ledger.prepare_file(
            KEY,
            file_name="invoices.csv",
            remote_path="/inbound/invoices/invoices.csv",
            local_uri="data.csv",
            bytes=10,
            sha256="0" * 64,
            records=figures["file_records"],
            control_totals={"EUR": Decimal(figures["file_money"])},
            records_iter=[FileRecord(str(n), "f", "", n, n + 1) for n in range(figures["file_records"])],
        )
        ledger.file_states([file.id], "sending", temp_path_by_id={file.id: "/inbound/invoices/.x"})
        ledger.file_states([file.id], "verified", verification="read_back")
        ledger.commit_entity(
            KEY,
            token=lease.token,
            base_version=ledger.entity_version(KEY.scope),
            outcome=EntityOutcome(
                delivered=[DeliveredFile(file.id, "read_back", datetime.now(UTC))], tally=figures["delivered"]
            ),
        )


def test_a_run_whose_records_and_money_all_have_a_place_ties_out(ledger: Ledger) -> None:
    make_run(ledger)
    verdicts = tie_out(RUN, ["invoices"], ledger)

    assert [verdict.problem for verdict in verdicts] == [""]
    assert verdicts[0].row is not None and verdicts[0].row.ties_out is True and verdicts[0].row.status == "success"
    raise_unless_all_tie_out(verdicts)
    assert "EUR 60.00" in report(verdicts)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"extracted": eur(11, "100.00")}, "11 records were extracted but 10 have a place", id="one lost"),
        pytest.param(
            {"extracted": eur(9, "100.00")}, "9 records were extracted but 10 have a place", id="one invented"
        ),
        pytest.param({"extracted": eur(10, "100.01")}, "EUR 100.01 was extracted but EUR 100.00", id="a cent lost"),
        pytest.param({"held": Tally(1, {"USD": Decimal("5.00")})}, "EUR 100.00 was extracted", id="another currency"),
        pytest.param({"file_records": 5}, "its files hold 5", id="a record missing in the file"),
        pytest.param({"file_money": "59.99"}, "control totals EUR 59.99 differ", id="the file's money"),
    ],
)
def test_whatever_does_not_agree_is_red(ledger: Ledger, changes: dict[str, Any], problem: str) -> None:
    make_run(ledger, **changes)
    verdicts = tie_out(RUN, ["invoices"], ledger)

    assert problem in verdicts[0].problem
    assert verdicts[0].row is not None and verdicts[0].row.ties_out is False and verdicts[0].row.status == "failed"
    with pytest.raises(DoesNotTieOut, match="invoices: "):
        raise_unless_all_tie_out(verdicts)


def test_a_run_that_stopped_half_way_is_red(ledger: Ledger) -> None:
    ledger.begin_run(KEY, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.record_extracted(KEY, eur(3))

    assert "stopped after the step 'extracted'" in tie_out(RUN, ["invoices"], ledger)[0].problem
    assert "nothing was read" in tie_out(RUN, ["contacts"], ledger)[0].problem


def test_a_failure_keeps_its_own_sentence(ledger: Ledger) -> None:
    ledger.begin_run(KEY, mode="incremental", dry_run=False, interval_start=None, interval_end=None, window={})
    ledger.fail_run(KEY, "SAP is gone.")

    assert tie_out(RUN, ["invoices"], ledger)[0].problem == "SAP is gone."
