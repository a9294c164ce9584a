"""The proof: each record that was extracted ended in exactly one place, and the money agrees at every hop.

Rule 1 of the house, by count and by money per currency::

    extracted = delivered + posted + held + duplicate + excluded
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.errors import DoesNotTieOut
from tieout.integrations.run import Run
from tieout.ledger import Ledger, RunRow, RunVerdict, Tally

PLACES = ("delivered", "posted", "held", "duplicate", "excluded")


@dataclass(frozen=True)
class Verdict:
    """What the proof says of one entity; `problem` is empty when it ties out."""

    entity: str
    row: RunRow | None
    problem: str

    @property
    def ties_out(self) -> bool:
        """Whether nothing is left to explain."""
        return not self.problem


def tie_out(run: Run, entities: Sequence[str], ledger: Ledger, found: Mapping[str, str] | None = None) -> list[Verdict]:
    """Judge every entity of the run and close its row in the ledger.

    Args:
        run: The run.
        entities: Its entities.
        ledger: The book of record.
        found: Entity → what another proof found wrong, such as a look into the target's own books.
    """
    verdicts = []
    for entity in entities:
        verdict = judge(run, entity, ledger)
        if verdict.ties_out and found and found.get(entity):
            verdict = Verdict(entity, verdict.row, found[entity])
        verdicts.append(verdict)
    # A run that found nothing was closed before.
    ledger.finish_runs(
        {
            run.key(verdict.entity): RunVerdict(verdict.ties_out, verdict.problem)
            for verdict in verdicts
            if verdict.row is not None and not (verdict.ties_out and verdict.row.ties_out)
        }
    )
    return [
        verdict
        if verdict.row is None
        else Verdict(verdict.entity, ledger.get_run(run.key(verdict.entity)), verdict.problem)
        for verdict in verdicts
    ]


def judge(run: Run, entity: str, ledger: Ledger) -> Verdict:
    """Compare what was extracted with the places where it ended, and the ledger with its own files."""
    row = ledger.get_run(run.key(entity))
    if row is None:
        return Verdict(entity, None, "nothing was read: the run stopped before")
    if row.status == "failed":
        return Verdict(entity, row, row.message or "failed without a message; see the task's log")
    if row.status not in ("delivered", "success") and not (run.dry_run and row.status in ("prepared", "dry_run")):
        return Verdict(entity, row, f"stopped after the step '{row.status}'; see the first red task")
    return Verdict(entity, row, _imbalance(row) or _files_disagree(run, row, ledger))


def _imbalance(row: RunRow) -> str:
    """Why the counts or the money of a row do not add up; empty when they do."""
    placed = row.previewed + sum(getattr(row, place) for place in PLACES)
    if row.extracted != placed:
        return f"{row.extracted} records were extracted but {placed} have a place"
    previewed = row.to_send_totals if row.dry_run else {}
    ends = add_totals(row.target_totals, previewed, row.held_totals, row.duplicate_totals, row.excluded_totals)
    for currency in sorted({*row.source_totals, *ends}):
        extracted, ended = row.source_totals.get(currency, Decimal(0)), ends.get(currency, Decimal(0))
        if extracted != ended:
            return f"{currency} {extracted} was extracted but {currency} {ended} has a place"
    return ""


def _files_disagree(run: Run, row: RunRow, ledger: Ledger) -> str:
    """Whether the delivered files, whose totals were read back from their own bytes, hold what the row claims."""
    if run.dry_run or (row.posted and not row.delivered):
        return ""  # what is posted is in the target's books, not in files of ours
    files = [
        file
        for file in ledger.files_of_run(run.key(row.entity))
        # A run that was cleared and run again answers for what it sent this time.
        if file.state == "delivered" and file.created_at >= row.started_at
    ]
    # Where many files are listed in a manifest, the manifest is what says how many records they are.
    data = [file for file in files if file.kind == "manifest"] or [file for file in files if file.kind == "data"]
    records = sum(file.records for file in data)
    if records != row.delivered:
        return f"the ledger says {row.delivered} records were delivered, its files hold {records}"
    totals = add_totals(*(money_of_file(file.control_totals) for file in data))
    if not Tally(totals=totals).agrees_with(Tally(totals=dict(row.target_totals))):
        return f"the files' control totals {_money(totals)} differ from the delivered {_money(row.target_totals)}"
    return ""


def money_of_file(control_totals: Mapping[str, Any]) -> dict[str, Decimal]:
    """Money per currency by a file's control totals: of G/L postings their debits, else what the file says.

    Args:
        control_totals: `{currency: amount}`; or `{"amount": {currency: amount}}`; or of postings `debit`, `credit` and
            `currency`.
    """
    if "debit" in control_totals:
        return {str(control_totals["currency"]): Decimal(control_totals["debit"])}
    return {currency: Decimal(amount) for currency, amount in control_totals.get("amount", control_totals).items()}


def add_totals(*parts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The exact sum per currency."""
    return sum((Tally(totals=dict(part)) for part in parts), start=Tally()).totals


def _money(totals: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{currency} {amount}" for currency, amount in sorted(totals.items())) or "nothing"


def report(verdicts: Sequence[Verdict]) -> str:
    """The conservation table of a run, for the task log and the run's note."""
    head = ("entity", "extracted", "delivered", "held", "duplicate", "excluded", "money delivered", "ties out")
    rows = [head, *(_line(verdict) for verdict in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += _problems(verdicts)
    return "\n".join(lines)


def _line(verdict: Verdict) -> tuple[str, ...]:
    row = verdict.row
    if row is None:
        return (verdict.entity, "-", "-", "-", "-", "-", "-", "NO")
    delivered = f"({row.previewed})" if row.previewed else str(row.delivered + row.posted)
    return (
        verdict.entity,
        str(row.extracted),
        delivered,
        str(row.held),
        str(row.duplicate),
        str(row.excluded),
        _money(row.target_totals) if row.target_totals else "-",
        "yes" if verdict.ties_out else "NO",
    )


def raise_unless_all_tie_out(verdicts: Sequence[Verdict]) -> None:
    """Make the run red when one entity does not tie out.

    Raises:
        DoesNotTieOut: names each such entity and why.
    """
    problems = _problems(verdicts)
    if problems:
        raise DoesNotTieOut("The run does not tie out. " + " | ".join(problems))


def _problems(verdicts: Sequence[Verdict]) -> list[str]:
    """Each problem once, with the entities that have it."""
    entities: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.problem:
            entities.setdefault(verdict.problem, []).append(verdict.entity)
    return [f"{', '.join(names)}: {problem}" for problem, names in entities.items()]
