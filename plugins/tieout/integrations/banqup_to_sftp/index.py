"""Great Expectations on a run's documents as a whole: repetitions, gaps in statements, dates, totals.

Two indexes, a row per invoice and a row per statement, each with a suite of its own. An expectation of severity
`critical` holds the documents that do not meet it; a `warning` is told and goes.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tieout.config import include_folder
from tieout.formats.coda import Statement, statement_chain
from tieout.integrations.banqup_to_sftp.documents import (
    Document,
    Judged,
    read_documents,
    read_judged,
    statement_from_json,
    statement_rank,
    statement_to_json,
    statements_of,
)
from tieout.integrations.banqup_to_sftp.plan import ClientPlan
from tieout.integrations.run import Run
from tieout.ledger import Ledger
from tieout.staging import Folder, write_bytes_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from tieout.quality import QualityReport

INVOICES = (
    "key", "client", "kind", "document_id", "number", "type", "issue_date", "due_date", "status_date", "currency",
    "total", "seller", "buyer",
)  # fmt: skip
STATEMENTS = (
    "key", "client", "document_id", "account", "currency", "year", "sequence", "date", "follows", "balance_follows",
)  # fmt: skip
UNFIT = "unfit.json"
SUITES = {"invoices": INVOICES, "statements": STATEMENTS}

log = logging.getLogger(__name__)


def suite_path(run: Run, name: str) -> Path:
    """The suite of an index."""
    return include_folder() / "quality" / run.integration / f"{name}.yaml"


def check_index(run: Run, plans: Sequence[ClientPlan], ledger: Ledger, staging: Folder) -> dict[str, Any]:
    """Judge the indexes; returns figures, and leaves in each client's folder which documents are not fit to go.

    Raises:
        ConfigurationInvalid: A suite is wrong; says file, line and key.
    """
    from tieout.quality import load_suite, validate_file

    unfit: dict[str, dict[str, str]] = {plan.client: {} for plan in plans}
    told: dict[str, Any] = {}
    for name, columns in SUITES.items():
        path = staging / f"index_{name}.csv"
        rows = _write(path, columns, _rows(name, plans, staging))
        if not rows:
            continue
        report = validate_file(load_suite(suite_path(run, name)), path)
        log.info("Quality of the %s\n%s", name, report.text())
        write_bytes_atomically(staging / report_name(name), [report.to_json().encode()])
        if not run.dry_run:
            ledger.event(
                integration=run.integration,
                instance=run.instance,
                entity="",
                run_id=run.run_id,
                what="quality",
                detail=json.loads(report.to_json()),
            )
        _hold(report, unfit)
        told[name] = {"rows": rows, "warnings": [each.sentence() for each in report.warnings]}
    for client, reasons in unfit.items():
        if (staging / client).exists():
            write_bytes_atomically(staging / client / UNFIT, [json.dumps(reasons).encode()])
    return {**told, "held": sum(len(reasons) for reasons in unfit.values())}


def report_name(name: str) -> str:
    """The file, in the run's folder, that says what was found in an index."""
    return f"quality_{name}.json"


def read_unfit(folder: Folder) -> dict[str, str]:
    """Document → why it is not fit to go."""
    path = folder / UNFIT
    if not path.exists():
        return {}
    with path.open("rb") as file:
        found: dict[str, str] = json.loads(file.read())
    return found


def _hold(report: QualityReport, unfit: dict[str, dict[str, str]]) -> None:
    """Every document that a critical expectation finds wanting; all of the index where it cannot name them."""
    from tieout.errors import QualityFailed

    for failure in report.critical_failures:
        if failure.records is None:
            raise QualityFailed(f"Nothing of this run is delivered: {failure.sentence()}")
        for key in failure.records:
            client, _, document_id = key.partition("|")
            said = unfit[client].get(document_id)
            unfit[client][document_id] = f"{said} {failure.meaning}" if said else failure.meaning


def _write(path: Any, columns: Sequence[str], rows: Iterator[Mapping[str, str]]) -> int:
    count = 0

    def lines() -> Iterator[bytes]:
        nonlocal count
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\r\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
        yield text.getvalue().encode()

    write_bytes_atomically(path, lines())
    return count


def _rows(name: str, plans: Sequence[ClientPlan], staging: Folder) -> Iterator[dict[str, str]]:
    for plan in plans:
        folder = staging / plan.client
        judged = read_judged(folder)
        # What breaks a rule or could not be checked is told of by its own verdict.
        fit = {key for key, verdict in judged.items() if not verdict.invalid and not verdict.failed}
        documents = [document for document in read_documents(folder) if document.key in fit]
        if name == "invoices":
            for document in documents:
                if document.kind != "statements":
                    yield _invoice(plan.client, document, judged[document.key])
        else:
            yield from _statements(plan, documents, judged)


def _invoice(client: str, document: Document, judged: Judged) -> dict[str, str]:
    facts = {name: judged.facts[name] for name in INVOICES if name in judged.facts}
    return {
        **facts,
        "key": f"{client}|{document.key}",
        "client": client,
        "kind": document.kind,
        "document_id": document.key,
        "status_date": (document.status_at or "")[:10],
    }


def _statements(
    plan: ClientPlan, documents: Sequence[Document], judged: Mapping[str, Judged]
) -> Iterator[dict[str, str]]:
    """The statements by account and sequence, each compared with the one before it, which may be an earlier run's."""
    found = [
        (document, statement)
        for document in documents
        if document.kind == "statements"
        for statement in statements_of(judged[document.key])
    ]
    last = {book: statement_from_json(row) for book, row in plan.watermark.get("statements", {}).items()}
    for document, statement in sorted(found, key=lambda each: statement_rank(each[1])):
        before = last.get(_book(statement))
        findings = {finding.rule for finding in statement_chain(before, statement)} if before else set()
        follows = "repeated" if "CODA-REPEAT" in findings else "gap" if "CODA-GAP" in findings else "yes"
        yield {
            "key": f"{plan.client}|{document.key}",
            "client": plan.client,
            "document_id": document.key,
            "account": statement.account,
            "currency": statement.currency,
            "year": statement_rank(statement)[2],
            "sequence": str(statement.coda_sequence),
            "date": statement.new_date or statement.creation_date,
            "follows": follows if before else "first",
            "balance_follows": _balance(follows, findings) if before else "first",
        }
        if follows != "repeated":
            last[_book(statement)] = statement


def last_statements(documents: Sequence[Document], judged: Mapping[str, Judged]) -> dict[str, dict[str, Any]]:
    """The newest statement of each account among valid documents, for the watermark."""
    found: dict[str, Statement] = {}
    for document in documents:
        if document.kind == "statements" and document.key in judged and not judged[document.key].invalid:
            for statement in statements_of(judged[document.key]):
                known = found.get(_book(statement))
                if known is None or statement_rank(statement) > statement_rank(known):
                    found[_book(statement)] = statement
    return {book: statement_to_json(statement) for book, statement in found.items()}


def _balance(follows: str, findings: set[str]) -> str:
    """Whether the balance begins where that of the statement before ended; of others nobody can tell."""
    if follows != "yes":
        return "unknown"
    return "no" if "CODA-CHAIN" in findings else "yes"


def newest(
    known: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Of each account the later statement: one that comes late does not turn the sequence back."""
    both = dict(known)
    for book, row in found.items():
        before = both.get(book)
        if before is None or statement_rank(statement_from_json(row)) > statement_rank(statement_from_json(before)):
            both[book] = row
    return both


def _book(statement: Statement) -> str:
    """What is numbered by itself: an account, and each kind of partial file of it."""
    return f"{statement.account}|{statement.currency}|{statement.separate_application}"
