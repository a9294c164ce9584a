"""Great Expectations on a batch about to go: single records are held, a mostly wrong batch is kept back."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tieout.config import include_folder
from tieout.integrations.run import Run
from tieout.ledger import Ledger
from tieout.staging import Folder, write_bytes_atomically

if TYPE_CHECKING:
    from tieout.quality import QualityReport

# In a batch larger than this, more wrong records than right ones speak of a mistake that is not theirs.
MOSTLY_WRONG = 20
REPORT = "quality.json"
"""Beside a batch: what was found, for lineage."""

log = logging.getLogger(__name__)


def suite_path(run: Run, entity: str) -> Path:
    """The Great Expectations suite of an entity."""
    return include_folder() / "quality" / run.integration / f"{entity}.yaml"


def judge_batch(run: Run, entity: str, folder: Folder, file_name: str, records: int, ledger: Ledger) -> dict[str, Any]:
    """Check one entity's batch and note the result; whether it may go, what fails, and how many records are to be held.

    Args:
        run: The run.
        entity: Whose batch.
        folder: Has the batch, and gets `unfit.json` and `quality.json`.
        file_name: The batch, CSV with a header row.
        records: How many records are about to go.
        ledger: The result goes to its audit trail, and to the run's row when the batch is kept back.

    Raises:
        ConfigurationInvalid: the suite is wrong; says file, line and key.
    """
    from tieout.quality import load_suite, validate_file

    report = validate_file(load_suite(suite_path(run, entity)), folder / file_name)
    log.info("Quality of %s\n%s", entity, report.text())
    write_bytes_atomically(folder / REPORT, [report.to_json().encode()])
    key = run.key(entity)
    if not run.dry_run:
        ledger.event(
            integration=key.integration,
            instance=key.instance,
            entity=key.entity,
            run_id=key.run_id,
            what="quality",
            detail=json.loads(report.to_json()),
        )
    found = unfit_records(report, records)
    failures = [failure.sentence() for failure in report.critical_failures] if found is None else []
    write_bytes_atomically(folder / "unfit.json", [json.dumps(found or {}).encode()])
    if failures:
        ledger.fail_run(key, f"The batch of {entity} was not sent: " + " ".join(failures))
    return {"may_go": not failures, "failures": failures, "held": len(found or {})}


def unfit_records(report: QualityReport, records: int) -> dict[str, str] | None:
    """Key → why, of the records to hold; None when the whole batch is to be kept back."""
    reasons: dict[str, list[str]] = {}
    for failure in report.critical_failures:
        if failure.records is None:
            return None
        for key in failure.records:
            reasons.setdefault(key, []).append(f"{', '.join(failure.columns)}: {failure.meaning}")
    if len(reasons) * 2 > records and records > MOSTLY_WRONG:
        return None
    return {key: " ".join(sentences) for key, sentences in sorted(reasons.items())}


def unfit(folder: Folder) -> dict[str, str]:
    """Key → why, of the records of a batch that were found wanting."""
    path = folder / "unfit.json"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        found: dict[str, str] = json.loads(file.read())
    return found


def found_in(folder: Folder) -> dict[str, Any] | None:
    """What was found in a batch (`QualityReport.to_json`); None where it was not judged."""
    path = folder / REPORT
    if not path.exists():
        return None
    with path.open("rb") as file:
        found: dict[str, Any] = json.loads(file.read())
    return found
