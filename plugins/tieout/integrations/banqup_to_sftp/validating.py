"""Checking every fetched document by its rules, before anything is decided about it.

Invoices go through the official rules (UBL's schema, EN 16931, Peppol BIS) in processes of their own; statements
through our own CODA checks. What a document says of itself is read a second time here, apart from the first reading.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from tieout.formats.belgian import enterprise_number, is_ogm
from tieout.formats.coda import CodaResult, check_file
from tieout.formats.findings import Finding
from tieout.formats.ubl import (
    Party,
    UblFacts,
    UblUnreadable,
    ValidatorFailed,
    ValidatorPool,
    Verdict,
    read_facts,
    rule_versions,
)
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig, BanqupToSftp
from tieout.integrations.banqup_to_sftp.documents import (
    DOCUMENTS,
    VERDICTS,
    Document,
    Judged,
    bytes_of,
    read_documents,
    statement_to_json,
    with_minor_units,
    write_lines,
)
from tieout.staging import Folder

log = logging.getLogger(__name__)


def rules() -> str:
    """Which rules are applied, in a line: every verdict in the audit trail carries it."""
    versions = rule_versions()
    told = ", ".join(f"{name} {version}" for name, version in versions.items() if name not in ("packages", "digest"))
    return f"{told} ({versions['digest']})"


def validate(config: BanqupToSftp, clients: Sequence[str], staging: Folder) -> dict[str, int]:
    """Check all fetched documents of these clients; returns how many there were, and how many are invalid.

    Raises:
        ValidatorFailed: The checking itself failed, which says nothing about the documents.
        ConfigurationInvalid: The packages with the rules are not installed.
    """
    settings = config.enabled_clients()
    counts = {"documents": 0, "invalid": 0}
    failed: list[str] = []
    checked = 0
    invoices = [client for client in clients if any(_is_invoice(each) for each in read_documents(staging / client))]
    with ExitStack() as stack:
        verdicts: Iterator[tuple[str, Verdict | ValidatorFailed]] = iter(())
        if invoices:
            pool = stack.enter_context(ValidatorPool(config.validation.workers))
            verdicts = pool.validate(_invoices(invoices, staging), config.validation.profile)
        for client in clients:
            if not (staging / client / DOCUMENTS).exists():
                continue  # it could not be read, or waits for its server
            fetched = [each for each in read_documents(staging / client) if each.state == "fetched"]
            judged = [_judge(each, staging / client, settings[client], verdicts) for each in fetched]
            write_lines(staging / client / VERDICTS, (each.to_json() for each in judged))
            counts["documents"] += len(judged)
            counts["invalid"] += sum(each.invalid for each in judged)
            failed += [each.failed for each in judged if each.failed]
            checked += sum(_is_invoice(each) for each in fetched)
    if len(failed) > 1 and len(failed) == checked:
        raise ValidatorFailed(f"Not one of {checked} invoices could be checked: {failed[0]}")
    log.info("%s documents checked, %s invalid.", counts["documents"], counts["invalid"])
    return counts


def _is_invoice(document: Document) -> bool:
    return document.state == "fetched" and document.kind != "statements"


def _invoices(clients: Sequence[str], staging: Folder) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The invoices of all clients, one after the other: the processes never wait at a client's end."""
    for client in clients:
        folder = staging / client
        for document in read_documents(folder):
            if _is_invoice(document):
                yield f"{document.key} of client {client}", partial(bytes_of, folder, document)


def _judge(
    document: Document,
    folder: Folder,
    client: BanqupClientConfig,
    verdicts: Iterator[tuple[str, Verdict | ValidatorFailed]],
) -> Judged:
    data = bytes_of(folder, document)
    if document.kind == "statements":
        return _judge_statements(document, check_file(data))
    _, verdict = next(verdicts)
    if isinstance(verdict, ValidatorFailed):
        log.error("%s", verdict)
        return Judged(document.key, failed=str(verdict))
    try:
        facts = read_facts(data)
    except UblUnreadable:
        # The verdict says why.
        return Judged(document.key, verdict.findings)
    money = {facts.currency: facts.tax_inclusive} if facts.currency and facts.tax_inclusive is not None else {}
    findings = (*verdict.findings, *_own_findings(facts, document, client))
    return Judged(document.key, findings, _invoice_facts(facts), money)


def _invoice_facts(facts: UblFacts) -> dict[str, str]:
    told = {
        "number": facts.number,
        "type": facts.kind,
        "issue_date": facts.issue_date,
        "due_date": facts.due_date,
        "currency": facts.currency,
        "total": facts.tax_inclusive,
        "seller": _identifier(facts.seller),
        "buyer": _identifier(facts.buyer),
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def _identifier(party: Party) -> str | None:
    """What tells a party from all others, as far as the document says it."""
    return party.endpoint_id or party.vat_id or party.company_id or party.name


def _enterprise_number(party: Party) -> str | None:
    """A Belgian party's enterprise number, from wherever it stands."""
    of_endpoint = party.endpoint_id if party.endpoint_scheme in ("0208", "9925") else None
    candidates = (of_endpoint, party.vat_id if (party.vat_id or "").upper().startswith("BE") else None)
    return next((number for text in candidates if text and (number := enterprise_number(text))), None)


def _own_findings(facts: UblFacts, document: Document, client: BanqupClientConfig) -> Iterator[Finding]:
    """What no official rule looks at, and an accountant wants to know; none of it makes a document invalid."""
    ours, role = (facts.buyer, "buyer") if document.kind == "purchases" else (facts.seller, "seller")
    number, expected = _enterprise_number(ours), enterprise_number(client.uen_number)
    if number and expected and number != expected:
        yield Finding(
            "TIEOUT-PARTY", "TIEOUT", "warning",
            f"the {role} has the enterprise number {number}, but the client's is {expected}: the document may belong "
            "to somebody else",
        )  # fmt: skip
    if facts.payment_reference and facts.payment_reference.startswith("+++") and not is_ogm(facts.payment_reference):
        yield Finding(
            "TIEOUT-OGM", "TIEOUT", "warning",
            f"the structured communication {facts.payment_reference} fails its check digits (mod 97)",
        )  # fmt: skip
    if document.number and facts.number and document.number != facts.number:
        yield Finding(
            "TIEOUT-NUMBER", "TIEOUT", "warning",
            f"Banqup lists the document as {document.number}, it calls itself {facts.number}",
        )  # fmt: skip


def _judge_statements(document: Document, result: CodaResult) -> Judged:
    statements = [statement_to_json(statement) for statement in result.statements]
    return Judged(
        document.key, tuple(result.findings), {"statements": json.dumps(statements)}, with_minor_units(result.turnover)
    )
