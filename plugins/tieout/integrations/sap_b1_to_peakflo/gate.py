"""Great Expectations on what is about to be sent to Peakflo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tieout.integrations.expectations import judge_batch
from tieout.integrations.run import EntityPlan, Run
from tieout.integrations.sap_b1_to_peakflo.prepared import Prepared
from tieout.integrations.sorting import Place
from tieout.ledger import Ledger
from tieout.staging import Folder


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
        folder, records = staging / plan.entity / "prepared", prepared.sorted.tallies[Place.SEND].count
        verdicts[plan.entity] = judge_batch(run, plan.entity, folder, "data.csv", records, ledger)
    return verdicts
