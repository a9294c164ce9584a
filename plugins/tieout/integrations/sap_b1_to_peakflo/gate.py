"""Great Expectations on what is about to be sent: single records are held, a mostly wrong batch is kept back."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tieout.config import include_folder
from tieout.integrations.run import EntityPlan, Run
from tieout.integrations.sap_b1_to_peakflo.prepared import Prepared
from tieout.integrations.sorting import Place
from tieout.ledger import Ledger
from tieout.staging import Folder, write_bytes_atomically

if TYPE_CHECKING:
    from tieout.quality import QualityReport

# In a batch larger than this, more wrong records than right ones speak of a mistake that is not theirs.
MOSTLY_WRONG = 20

log = logging.getLogger(__name__)


def suite_path(run: Run, entity: str) -> Path:
    """The Great Expectations suite of an entity."""
    return include_folder() / "quality" / run.integration / f"{entity}.yaml"


def check_quality(run: Run, plans: Sequence[EntityPlan], ledger: Ledger, staging: Folder) -> dict[str, Any]:
    """Great Expectations on every file about to go; entity → whether it may go and what failed.

    Single records that do not meet an expectation are held and the rest goes. A batch most of which is wrong, or whose
    wrong records cannot be told, is not sent at all.
    """
    verdicts: dict[str, Any] = {}
    for plan in plans:
        prepared = Prepared.load(staging, plan.entity)
        if prepared is None or not prepared.sorted.bytes:
            continue
        from tieout.quality import load_suite, validate_file

        folder = staging / plan.entity / "prepared"
        report = validate_file(load_suite(suite_path(run, plan.entity)), folder / "data.csv")
        log.info("Quality of %s\n%s", plan.entity, report.text())
        key = run.key(plan.entity)
        if not run.dry_run:
            ledger.event(
                integration=key.integration,
                instance=key.instance,
                entity=key.entity,
                run_id=key.run_id,
                what="quality",
                detail=json.loads(report.to_json()),
            )
        unfit = unfit_records(report, prepared.sorted.tallies[Place.SEND].count)
        failures = [failure.sentence() for failure in report.critical_failures] if unfit is None else []
        write_bytes_atomically(folder / "unfit.json", [json.dumps(unfit or {}).encode()])
        verdicts[plan.entity] = {"may_go": not failures, "failures": failures, "held": len(unfit or {})}
        if failures:
            ledger.fail_run(key, f"The batch of {plan.entity} was not sent: " + " ".join(failures))
    return verdicts


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


def unfit(staging: Folder, entity: str) -> dict[str, str]:
    """Key → why, of the records that the quality gate found wanting."""
    path = staging / entity / "prepared" / "unfit.json"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        found: dict[str, str] = json.loads(file.read())
    return found
