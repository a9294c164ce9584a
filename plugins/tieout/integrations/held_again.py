"""Which held records a run may take up again: those above a limit only where a second person has agreed.

What the schedule does is no person's decision: its runs take up what is due, as they always do.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from tieout import approvals
from tieout.config import SecondPerson
from tieout.integrations.run import Run
from tieout.ledger import HeldRow, Ledger

_MOST_NAMED = 20

log = logging.getLogger(__name__)


def is_limited(run: Run, rule: SecondPerson | None) -> bool:
    """Whether there are held records that this run may perhaps not take up. A dry run has no effect, so it may."""
    return rule is not None and "replay" in rule.applies_to and not run.by_schedule and not run.dry_run


def allowed(run: Run, rule: SecondPerson | None, ledger: Ledger, rows: Sequence[HeldRow]) -> list[HeldRow]:
    """Those of the held records that the run may take up; of the others the log and their history say why not."""
    if rule is None or not is_limited(run, rule):
        return list(rows)
    above = [row for row in rows if rule.is_needed("replay", row.currency, row.amount)]
    if not above:
        return list(rows)
    agreed = approvals.agreed(ledger, run.run_id, above, rule, datetime.now(UTC))
    waiting = [row for row in above if row.id not in agreed]
    if not waiting:
        return list(rows)
    leave(run, ledger, waiting)
    left = {row.id for row in waiting}
    return [row for row in rows if row.id not in left]


def leave(run: Run, ledger: Ledger, rows: Sequence[HeldRow]) -> None:
    """Say of held records, once a run, that they wait for a second person."""
    named = ", ".join(str(row.id) for row in rows[:_MOST_NAMED]) + (", …" if len(rows) > _MOST_NAMED else "")
    log.warning(
        "%s held records stay held: their amounts need a second person, who has not agreed to this run. Ask with "
        "`bin/tieout replay --id …` or on the Tieout page. Ids: %s",
        len(rows),
        named,
    )
    told = ledger.held_events(approvals.NEEDED, run.run_id, [row.id for row in rows])
    ledger.note_held(approvals.NEEDED, [row for row in rows if row.id not in told], run.run_id, {})
