"""Every document goes to exactly one place: to the client, to the held ones, the duplicates, the excluded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tieout.delivery import safe_name
from tieout.formats.findings import Finding
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig
from tieout.integrations.banqup_to_sftp.documents import (
    Document,
    Judged,
    Reason,
    bytes_of,
    fingerprint_parts,
    read_documents,
    read_judged,
    statement_rank,
    statements_of,
)
from tieout.integrations.run import Run
from tieout.integrations.sorting import Place
from tieout.ledger import HeldDraft, HeldRow, Ledger, Places, Tally
from tieout.staging import Folder, write_bytes_atomically

PREPARED = "prepared.json"
MOST_FINDINGS = 5
"""Findings that a held document's message spells out; the audit trail has all."""

NO_BYTES = "application/json"
"""What is held of a document whose bytes cannot be had: what Banqup says of it."""

_NUMBER_LENGTH = 80


@dataclass(frozen=True)
class Outgoing:
    """A document on its way to the client.

    Attributes:
        path: Where it goes.
        staged_name: Its bytes in staging.
        warnings: Rules that it does not keep and that are no reason to hold it, as sentences.
    """

    key: str
    number: str
    path: str
    staged_name: str
    bytes: int
    sha256: str
    fingerprint: str
    money: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass
class Prepared:
    """Where the documents of one client go.

    Attributes:
        base_version: The client's version in the ledger when its delivered documents were looked up.
        outgoing: In the order of delivery.
        held: Document → why.
        settled: Documents with an open held record that are not held any more.
        watermark: Where the next run goes on; None leaves it where it is.
    """

    client: str
    base_version: int
    outgoing: list[Outgoing] = field(default_factory=list)
    held: dict[str, Reason] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    tallies: dict[Place, Tally] = field(default_factory=lambda: {place: Tally() for place in Place})
    watermark: dict[str, Any] | None = None

    @property
    def places(self) -> Places:
        """Counts and money, for the ledger."""
        to_send, duplicate, held, excluded = (
            self.tallies[place] for place in (Place.SEND, Place.DUPLICATE, Place.HELD, Place.EXCLUDED)
        )
        return Places(to_send=to_send, held=held, duplicate=duplicate, excluded=excluded)

    def save(self, folder: Folder) -> None:
        """Write it beside the documents."""
        told = {
            "client": self.client,
            "base_version": self.base_version,
            "outgoing": [vars(each) for each in self.outgoing],
            "held": {key: vars(reason) for key, reason in self.held.items()},
            "settled": self.settled,
            "tallies": {place.name: [tally.count, _texts(tally.totals)] for place, tally in self.tallies.items()},
            "watermark": self.watermark,
        }
        write_bytes_atomically(folder / PREPARED, [json.dumps(told).encode()])

    @classmethod
    def load(cls, folder: Folder) -> Prepared | None:
        """Read it; None where the client was not prepared."""
        path = folder / PREPARED
        if not path.exists():
            return None
        with path.open("rb") as file:
            told = json.loads(file.read())
        return cls(
            told["client"],
            told["base_version"],
            [Outgoing(**{**each, "warnings": tuple(each["warnings"])}) for each in told["outgoing"]],
            {key: Reason(**reason) for key, reason in told["held"].items()},
            told["settled"],
            {
                Place[name]: Tally(count, {currency: Decimal(amount) for currency, amount in totals.items()})
                for name, (count, totals) in told["tallies"].items()
            },
            told["watermark"],
        )


def place_documents(
    run: Run,
    client: BanqupClientConfig,
    folder: Folder,
    ledger: Ledger,
    *,
    day: str,
    year: str,
    resend: bool,
    unfit: Mapping[str, str],
    refused: Mapping[str, Reason] | None = None,
    watermark: dict[str, Any] | None = None,
    begun: datetime | None = None,
) -> Prepared:
    """Decide where each document of a client goes.

    Args:
        run: The run.
        client: The client.
        folder: Its staging folder.
        ledger: Knows what was delivered, held and discarded before.
        day: What file names begin with, `YYYYMMDD`.
        year: What `[year]` stands for.
        resend: Deliver also what was delivered before, to where it lay.
        unfit: Document → why the batch's expectations hold it.
        refused: Document → why the client's server does not take it.
        watermark: Where the next run goes on.
        begun: Aware; when this run was begun. What it has delivered since is its own, and no duplicate.
    """
    scope = run.scope(client.external_id)
    prepared = Prepared(client.external_id, ledger.entity_version(scope), watermark=watermark)
    documents = list(read_documents(folder))
    judged = read_judged(folder)
    keys = [document.key for document in documents]
    files = ledger.delivered_files(scope, keys)
    ours = {key for key, file in files.items() if file.run_id == run.run_id and begun and file.created_at >= begun}
    delivered = {key: known for key, known in ledger.fingerprints(scope, keys).items() if key not in ours}
    paths = {key: file.remote_path for key, file in files.items() if resend or key in ours}
    discarded = ledger.discarded_payloads(scope, keys)
    open_keys = set(ledger.open_held_keys(scope))
    for document in documents:
        verdict = judged.get(document.key, Judged(document.key))
        reason: Reason | None = None
        place = _at_once(document, None if resend else delivered.get(document.key))
        if place is None and _is_discarded(document, discarded):
            place = Place.EXCLUDED
        if place is None:
            before = delivered.get(document.key, "")
            reason = _reason(document, verdict, client, before, unfit, refused or {})
            place = Place.SEND if reason is None else Place.HELD
        # What is sent is worth what the second reading says; it must come to what the first one said.
        readable = place == Place.SEND and not verdict.invalid
        money = verdict.money if readable else document.money
        tally = prepared.tallies[place]
        tally.count += 1
        for currency, amount in money.items():
            tally.add(currency, amount)
        if reason is not None:
            prepared.held[document.key] = reason
        elif document.key in open_keys:
            prepared.settled.append(document.key)
        if place == Place.SEND:
            remote_folder = client.folder(document.kind, year).rstrip("/")
            name = paths.get(document.key) or f"{remote_folder}/{_name(document, client, day)}"
            prepared.outgoing.append(_outgoing(document, verdict, name, money))
    prepared.outgoing = _in_order(prepared.outgoing, documents, judged)
    return prepared


def _at_once(document: Document, delivered: str | None) -> Place | None:
    """The place of a document about which its bytes have nothing to say."""
    if document.state == "excluded":
        return Place.EXCLUDED
    if document.state == "known":
        return Place.DUPLICATE
    if document.state == "fetched" and delivered is not None and fingerprint_parts(delivered)[1] == document.sha256:
        return Place.DUPLICATE
    return None


def _reason(
    document: Document,
    verdict: Judged,
    client: BanqupClientConfig,
    delivered: str,
    unfit: Mapping[str, str],
    refused: Mapping[str, Reason],
) -> Reason | None:
    """Why a document is held; None when it is to go."""
    if document.reason is not None:
        return document.reason
    if delivered and fingerprint_parts(delivered)[1] != document.sha256:
        return Reason(
            "CHANGED_AFTER_DELIVERY",
            f"{_title(document)} was delivered before, and Banqup now has other bytes for it. What the client has was "
            "not touched.",
            "Find out in Banqup what changed; bring the client's copy up to date by hand, then discard it here.",
        )
    if verdict.failed:
        return Reason(
            "VALIDATOR_FAILED",
            verdict.failed,
            "It is checked again by the next runs. If that goes on, look at the log of the task validate.",
            "data engineer",
        )
    if verdict.invalid and client.invalid == "hold":
        return _invalid(document, verdict.findings)
    if document.key in refused:
        return refused[document.key]
    if document.key in unfit:
        return Reason(
            "EXPECTATION_NOT_MET",
            f"{_title(document)}: {unfit[document.key]}",
            "Correct it in Banqup; or set the expectation's severity to warning in include/quality/banqup_to_sftp.",
        )
    return None


def _invalid(document: Document, findings: Sequence[Finding]) -> Reason:
    fatal = [finding for finding in findings if finding.fatal]
    shown = [finding.sentence() for finding in fatal[:MOST_FINDINGS]]
    if len(fatal) > MOST_FINDINGS:
        shown.append("Further rules: " + ", ".join(dict.fromkeys(each.rule for each in fatal[MOST_FINDINGS:])) + ".")
    made_by = (
        "The bank's file is damaged or was changed: ask for it again."
        if document.kind == "statements"
        else (
            "Ask the sender for a corrected document (a credit note and a new invoice)."
            if document.kind == "purchases"
            else "Correct it in the program that wrote it, and send it anew in Banqup."
        )
    )
    return Reason(
        fatal[0].rule,
        f"{_title(document)} breaks {'a rule' if len(fatal) == 1 else f'{len(fatal)} rules'}. " + " | ".join(shown),
        f"{made_by} A client that takes such documents all the same has `invalid: deliver` in the instance's YAML.",
    )


def _title(document: Document) -> str:
    what = {"purchases": "Purchase", "sales": "Sales"}.get(document.kind)
    name = "Statement" if what is None else f"{what} {document.category.lower().replace('_', ' ')}"
    return f"{name} {document.number or document.key}"


def _name(document: Document, client: BanqupClientConfig, day: str) -> str:
    """`<YYYYMMDD>_<number>_<document id>.xml`, of characters that every file system takes."""
    ending = client.file_types["statements"] if document.kind == "statements" else "xml"
    number = safe_name(document.number, max_length=_NUMBER_LENGTH)
    key = safe_name(document.key)
    if key != document.key:
        # Two ids must not become one name.
        key = f"{key[:80]}_{hashlib.sha256(document.key.encode()).hexdigest()[:12]}"
    return f"{day}_{number}_{key}.{ending}"


def _outgoing(document: Document, verdict: Judged, path: str, money: Mapping[str, Decimal]) -> Outgoing:
    return Outgoing(
        document.key,
        document.number,
        path,
        document.staged_name,
        document.bytes,
        document.sha256,
        document.fingerprint,
        _texts(money),
        tuple(finding.sentence() for finding in verdict.findings[:MOST_FINDINGS]),
    )


def _in_order(
    outgoing: Iterable[Outgoing], documents: Sequence[Document], judged: Mapping[str, Judged]
) -> list[Outgoing]:
    """By the moment they were approved or sent; statements take the places of statements, by account and sequence."""
    by_key = {document.key: document for document in documents}

    def moment(each: Outgoing) -> tuple[str, str]:
        document = by_key[each.key]
        return document.status_at or document.updated_at, each.key

    def rank(each: Outgoing) -> tuple[Any, ...]:
        first = next(iter(statements_of(judged.get(each.key))), None)
        return (statement_rank(first) if first else (), *moment(each))

    ordered = sorted(outgoing, key=moment)
    statements = iter(sorted((each for each in ordered if by_key[each.key].kind == "statements"), key=rank))
    return [next(statements) if by_key[each.key].kind == "statements" else each for each in ordered]


def held_drafts(
    prepared: Prepared, folder: Folder, earlier: Mapping[str, tuple[HeldRow, bytes]]
) -> Iterator[HeldDraft]:
    """The held documents with their bytes, one at a time.

    Args:
        prepared: Where the client's documents go.
        folder: Its staging folder.
        earlier: Document → how it is held already, with its bytes: they are kept where it has none now.
    """
    for document in read_documents(folder):
        reason = prepared.held.get(document.key)
        if reason is None:
            continue
        currency, amount = next(iter(sorted(document.money.items())), (None, None))
        if document.sha256:
            data = bytes_of(folder, document)
            kind = "application/xml" if document.kind != "statements" else "text/plain; charset=windows-1252"
        elif document.key in earlier:
            row, data = earlier[document.key]
            kind, currency, amount = row.content_type, row.currency, row.amount
        else:
            data, kind = _row(document), NO_BYTES
        yield HeldDraft(
            source_key=document.key,
            reason_code=reason.code,
            message=reason.message,
            fix_hint=reason.fix_hint,
            owner=reason.owner,
            payload=data,
            content_type=kind,
            currency=currency,
            amount=amount,
            label=document.number,
        )


def _row(document: Document) -> bytes:
    """What is kept of a document whose bytes cannot be had: what Banqup says of it."""
    return json.dumps(document.to_json(), sort_keys=True).encode()


def _is_discarded(document: Document, discarded: Mapping[str, str]) -> bool:
    """Whether somebody decided that it is never to go, and its bytes are not known to be others since."""
    digest = discarded.get(document.key)
    return digest is not None and document.sha256 in ("", digest)


def _texts(totals: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: str(amount) for currency, amount in totals.items()}
