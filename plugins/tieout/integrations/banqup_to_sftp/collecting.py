"""Listing the clients' documents in Banqup and fetching the files of those that are new.

Clients are read side by side. What goes wrong with one of them, such as a space that the business has not opened to the
application, is that client's trouble and no other's.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tieout.errors import BadRecord, ContractBroken, CredentialsRejected, SourceUnavailable, TieoutError
from tieout.integrations.banqup_to_sftp.config import BanqupClientConfig, BanqupToSftp, DocumentKind
from tieout.integrations.banqup_to_sftp.documents import (
    DOCUMENTS,
    FILES,
    VERDICTS,
    Document,
    Reason,
    State,
    fingerprint_parts,
    with_minor_units,
    write_lines,
)
from tieout.integrations.banqup_to_sftp.placing import PREPARED
from tieout.integrations.banqup_to_sftp.plan import QUERIES, ClientPlan, Query
from tieout.integrations.outcome import sentence
from tieout.integrations.run import Run
from tieout.ledger import HeldRow, Ledger, RunKey, Tally
from tieout.ledger.database import chunks
from tieout.staging import Folder, write_bytes_atomically
from tieout.systems.banqup import NOT_WHITELISTED, BanqupClient, DocumentQuery, SpaceForbidden
from tieout.systems.banqup import Document as Listed

COLLECTED = "collected.json"
STATUS_DATE_MISSING = "STATUS_DATE_MISSING"
FILE_UNAVAILABLE_HINT = (
    "It is tried again by itself. If that goes on, open the document in Banqup; if its file cannot be downloaded there "
    "either, ask Banqup's support."
)
MOST_TROUBLES = 5
"""Files of one client that may be refused for no reason of their own; more of them are an outage."""
CHUNK = 50
"""Documents that are looked at together: a page of Banqup's."""

log = logging.getLogger(__name__)


@dataclass
class Collected:
    """What there is of one client.

    Attributes:
        documents: How many were listed, each counted once.
        fetched: How many files were fetched.
        known: How many were delivered before.
        excluded: How many are not to be delivered.
        quiet: There is nothing to do: all are known or excluded, and none of them is held.
        money: What the fetched ones are worth, by the first reading.
        watermark: Where the next run goes on; None leaves it where it is.
        more: Documents that did not fit into this run wait for the next one.
    """

    documents: int = 0
    fetched: int = 0
    known: int = 0
    excluded: int = 0
    quiet: bool = True
    money: dict[str, Decimal] = field(default_factory=dict)
    watermark: dict[str, Any] | None = None
    more: bool = False

    def save(self, folder: Folder) -> None:
        """Write it beside the documents."""
        told = {**vars(self), "money": {currency: str(amount) for currency, amount in self.money.items()}}
        write_bytes_atomically(folder / COLLECTED, [json.dumps(told).encode()])

    @classmethod
    def load(cls, folder: Folder) -> Collected | None:
        """Read it; None where the client was not collected."""
        path = folder / COLLECTED
        if not path.exists():
            return None
        with path.open("rb") as file:
            told = json.loads(file.read())
        return cls(**{**told, "money": {currency: Decimal(amount) for currency, amount in told["money"].items()}})

    @property
    def tally(self) -> Tally:
        """Count and money, for the ledger."""
        return Tally(self.documents, dict(self.money))


def collect(
    run: Run,
    config: BanqupToSftp,
    plans: Sequence[ClientPlan],
    ledger: Ledger,
    staging: Folder,
    client: BanqupClient,
) -> dict[str, Collected]:
    """Read every client whose turn it is; returns what there is of each that could be read.

    Clients that could not be read have a failed row in the ledger that says why.

    Raises:
        CredentialsRejected: Banqup refused the application, or no business has whitelisted it.
        SourceUnavailable: Banqup does not answer for any client; Airflow tries again.
    """
    clients = config.enabled_clients()
    waiting = [plan for plan in plans if plan.waits]
    begin(run, waiting, ledger)
    for plan in waiting:
        ledger.fail_run(run.key(plan.client), f"Its documents wait. {plan.waits}")
    plans = [plan for plan in plans if not plan.waits]
    if not plans:
        return {}
    spaces = {space.id.casefold() for space in client.spaces()}
    if not spaces:
        raise CredentialsRejected(NOT_WHITELISTED)

    def one(plan: ClientPlan) -> Collected | TieoutError:
        settings = clients[plan.client]
        try:
            if settings.space_id.casefold() not in spaces:
                raise CredentialsRejected(f"Banqup does not show the space {settings.space_id}. {NOT_WHITELISTED}")
            folder = staging / plan.client
            return collect_client(run, config, settings, plan, ledger, folder, client, fetchers)
        except TieoutError as error:
            return error

    done: dict[str, Collected] = {}
    failures: dict[str, TieoutError] = {}
    with (
        ThreadPoolExecutor(config.source.parallel, thread_name_prefix="banqup-file") as fetchers,
        ThreadPoolExecutor(config.source.parallel, thread_name_prefix="banqup") as pool,
    ):
        for plan, outcome in zip(plans, pool.map(one, plans), strict=True):
            if isinstance(outcome, Collected):
                done[plan.client] = outcome
            else:
                failures[plan.client] = outcome
    if failures and not done and all(isinstance(error, SourceUnavailable) for error in failures.values()):
        raise next(iter(failures.values()))
    begin(run, [plan for plan in plans if plan.client in failures or not done[plan.client].quiet], ledger)
    ledger.record_extracted_many(
        {run.key(name): collected.tally for name, collected in done.items() if not collected.quiet}
    )
    for name, error in failures.items():
        ledger.fail_run(run.key(name), sentence(error))
        log.error("%s: %s", clients[name].title, error)
    return done


def begin(run: Run, plans: Sequence[ClientPlan], ledger: Ledger) -> None:
    """Open the clients' rows in the ledger."""
    by_mode: dict[str, dict[RunKey, dict[str, Any]]] = {}
    for plan in plans:
        mode = {"backfill": "backfill", "interval": "backfill", "held": "held_only"}.get(plan.read, "incremental")
        by_mode.setdefault("full_refresh" if plan.resend else mode, {})[run.key(plan.client)] = plan.window()
    for mode, windows in by_mode.items():
        ledger.begin_runs(
            windows,
            mode=mode,
            dry_run=run.dry_run,
            interval_start=run.interval_start,
            interval_end=run.interval_end,
        )


def collect_client(
    run: Run,
    config: BanqupToSftp,
    settings: BanqupClientConfig,
    plan: ClientPlan,
    ledger: Ledger,
    folder: Folder,
    client: BanqupClient,
    fetchers: Executor,
) -> Collected:
    """Read one client into its folder of staging; writes nothing else.

    Raises:
        TieoutError: As Banqup's client says.
    """
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    for name in (COLLECTED, DOCUMENTS, VERDICTS, PREPARED):
        with suppress(FileNotFoundError):
            (folder / name).unlink()
    result = Collected()
    held = {row.source_key: row for row in ledger.open_held(run.scope(plan.client))}
    listing = _Listing(settings.space_id, plan, client, config.source.max_documents, held)
    troubles: list[TieoutError] = []

    def rows() -> Iterator[dict[str, Any]]:
        for some in chunks(listing, CHUNK):
            for document in _settled(run, config, settings, plan, ledger, folder, client, fetchers, some, troubles):
                result.documents += 1
                result.fetched += document.state == "fetched"
                result.known += document.state == "known"
                result.excluded += document.state == "excluded"
                result.quiet &= document.state in ("known", "excluded") and document.key not in held
                for currency, amount in document.money.items():
                    result.money[currency] = result.money.get(currency, Decimal(0)) + amount
                yield document.to_json()

    write_lines(folder / DOCUMENTS, rows())
    if len(troubles) > result.fetched:
        raise troubles[0]  # that is Banqup's trouble, not the documents'
    result.watermark, result.more = listing.watermark(), listing.more
    result.save(folder)
    if result.documents:
        log.info("%s: %s documents listed, %s fetched.", settings.title, result.documents, result.fetched)
    if result.more:
        most = config.source.max_documents
        log.warning("%s has more than %s new documents; the next run goes on from there.", settings.title, most)
    return result


def _settled(
    run: Run,
    config: BanqupToSftp,
    settings: BanqupClientConfig,
    plan: ClientPlan,
    ledger: Ledger,
    folder: Folder,
    client: BanqupClient,
    fetchers: Executor,
    some: Sequence[Document],
    troubles: list[TieoutError],
) -> Iterator[Document]:
    """The documents with their state settled: those not delivered before with their bytes in staging.

    A file for which Banqup has nothing but errors is held, as long as most others come; the errors go to `troubles`.
    """
    keys = [document.key for document in some]
    known = {} if plan.resend else ledger.fingerprints(run.scope(plan.client), keys)

    def settle(document: Document) -> Document:
        if document.state != "fetched":
            return document
        if document.key in known and fingerprint_parts(known[document.key])[0] == document.file_id:
            return replace(document, state="known")
        try:
            return _fetch(config, settings, document, folder, client)
        except (SourceUnavailable, ContractBroken, SpaceForbidden) as error:
            troubles.append(error)
            if len(troubles) > MOST_TROUBLES:
                raise
            reason = Reason("FILE_UNAVAILABLE", sentence(error), FILE_UNAVAILABLE_HINT)
            return replace(document, state="unfetchable", reason=reason)

    yield from fetchers.map(settle, some)


def _fetch(
    config: BanqupToSftp, settings: BanqupClientConfig, document: Document, folder: Folder, client: BanqupClient
) -> Document:
    """The document with its bytes in staging, or with the reason why they cannot be had."""
    try:
        found = client.download(settings.space_id, document.file_id, max_bytes=config.source.max_file_bytes)
    except BadRecord as error:
        return replace(document, state="unfetchable", reason=Reason(error.reason_code, str(error), error.fix_hint))
    write_bytes_atomically(folder / FILES / document.staged_name, [found.data])
    sha256 = hashlib.sha256(found.data).hexdigest()
    return replace(document, bytes=len(found.data), sha256=sha256, money=first_reading(document.kind, found.data))


def first_reading(kind: DocumentKind, data: bytes) -> dict[str, Decimal]:
    """What a document is worth, per currency, by the reader that nothing else uses; nothing where it cannot be told.

    Of an invoice or credit note: its total with VAT (BT-112). Of a statement: its movements, debit and credit added up.
    """
    if kind == "statements":
        from tieout.formats.coda import trailer_turnover

        try:
            return with_minor_units(trailer_turnover(data))
        except BadRecord:
            return {}  # the checks say what is wrong with it
    from tieout.formats.ubl import money_of

    found = money_of(data)
    return {found[0]: found[1]} if found else {}


class _Listing:
    """A client's documents as Banqup lists them, each once; afterwards, how far they were read.

    Attributes:
        new: How many of them changed since the run before; others are listed again because of the lookback.
        more: Whether it ended before Banqup's lists did.
    """

    def __init__(
        self, space_id: str, plan: ClientPlan, client: BanqupClient, most: int, held: Mapping[str, HeldRow]
    ) -> None:
        self.new = 0
        self.more = False
        self._space = space_id
        self._plan = plan
        self._client = client
        # Only where the next run goes on from here.
        self._most = most if plan.moves_watermark and not plan.resend else None
        self._held = held
        self._last: dict[str, datetime] = {}

    def __iter__(self) -> Iterator[Document]:
        seen: set[str] = set()
        for query in QUERIES if self._plan.read != "held" else ():
            for listed in self._client.documents(self._space, self._asked(query)):
                # Those of the same moment belong together: the next run goes on after it.
                is_full = self._most is not None and self.new >= self._most
                if is_full and listed.updated_at != self._last.get(query.name):
                    self.more = True
                    break
                self._last[query.name] = listed.updated_at
                self.new += self._is_new(listed, query)
                if listed.id not in seen and self._inside(listed):
                    seen.add(listed.id)
                    yield self._look(listed, query)
        for key in self._plan.held_keys:
            if key not in seen:
                yield self._asked_by_id(key)

    def _is_new(self, listed: Listed, query: Query) -> bool:
        before = self._plan.watermark.get("seen", {}).get(query.name)
        return before is None or listed.updated_at > datetime.fromisoformat(before)

    def _look(self, listed: Listed, query: Query) -> Document:
        """Whether a document is to be delivered, as far as its row tells.

        What is held counts as long as it has the status that made it ours: it may come from a back-fill. But where it
        is held because nobody knows since when it has its status, that is asked again.
        """
        held = self._held.get(listed.id)
        if held is None or held.reason_code == STATUS_DATE_MISSING:
            return _first_look(listed, query, self._plan)
        wrong = _wrong_list(listed, query)
        return _document(listed, query, "excluded", why=wrong) if wrong else _with_file(listed, query)

    def _asked_by_id(self, key: str) -> Document:
        """A held document that no list has."""
        found = self._client.document(self._space, key)
        if found is None:
            return _gone(key, self._held[key].label if key in self._held else "")
        for query in QUERIES:
            if (found.folder, found.category) == (query.folder, query.category):
                return self._look(found, query)
        return _document(found, QUERIES[0], "excluded", why=f"it is {found.category} in {found.folder} now")

    def _asked(self, query: Query) -> DocumentQuery:
        until = self._plan.until
        return DocumentQuery(
            query.folder,
            query.category,
            query.status,
            datetime.fromisoformat(self._plan.since[query.name]),
            datetime.fromisoformat(until) if until else None,
        )

    def _inside(self, listed: Listed) -> bool:
        """Of a back-fill, only what was asked for counts; what merely changed since is not part of it."""
        plan = self._plan
        if plan.read != "backfill":
            return True
        before = datetime.fromisoformat(plan.before) if plan.before else None
        if listed.status_at is None:
            # It got its status after it was made.
            return before is None or listed.created_at is None or listed.created_at < before
        return datetime.fromisoformat(plan.after) < listed.status_at and (before is None or listed.status_at < before)

    def watermark(self) -> dict[str, Any] | None:
        """Where the next run goes on: after the last one seen of each list, never past this run's own beginning.

        The beginning is Banqup's: a document that changes while the lists are walked is listed again.
        """
        if not self._plan.moves_watermark:
            return None
        begun = self._client.server_time or datetime.now(UTC)
        before: Mapping[str, str] = self._plan.watermark.get("seen", {})
        seen = dict(before)
        for name, moment in self._last.items():
            latest = min(moment, begun)
            if name not in before or latest > datetime.fromisoformat(before[name]):
                seen[name] = latest.astimezone(UTC).isoformat()
        return {**self._plan.watermark, "seen": seen} if seen != before else None


def _first_look(listed: Listed, query: Query, plan: ClientPlan) -> Document:
    """Whether a listed document is to be delivered, as far as its row tells."""
    wrong = _wrong_list(listed, query)
    if wrong:
        return _document(listed, query, "excluded", why=wrong)
    after, moment = datetime.fromisoformat(plan.after), listed.status_at
    if moment is None:
        if listed.updated_at <= after:
            return _document(listed, query, "excluded", why="it did not change after the activation")
        if listed.created_at is None or listed.created_at <= after:
            return _document(listed, query, "unfetchable", reason=_undated(query))
    elif moment <= after:
        return _document(listed, query, "excluded", why=f"it was {query.status.lower()} before the activation")
    elif plan.before and moment >= datetime.fromisoformat(plan.before):
        return _document(listed, query, "excluded", why="it is later than the back-fill")
    return _with_file(listed, query)


def _wrong_list(listed: Listed, query: Query) -> str:
    """Why a document is not of this list; empty when it is, or where its row does not say."""
    if (listed.folder or query.folder, listed.category or query.category) != (query.folder, query.category):
        return f"it is {listed.category or 'a document'} in {listed.folder or query.folder}"
    return "" if (listed.status or query.status) == query.status else f"its status is {listed.status}"


def _with_file(listed: Listed, query: Query) -> Document:
    if listed.file_id:
        return _document(listed, query, "fetched")
    reason = Reason("FILE_MISSING", "Banqup has no file for this document.", "Open it in Banqup, or ask its support.")
    return _document(listed, query, "unfetchable", reason=reason)


def _undated(query: Query) -> Reason:
    done = "approved" if query.kind != "sales" else "sent"
    return Reason(
        STATUS_DATE_MISSING,
        f"Banqup does not say when this document was {done}, so nobody can tell whether that was after the activation.",
        "Deliver it by hand, or by a back-fill (conf.backfill_from and backfill_to) of its time; or discard it here.",
    )


def _gone(key: str, number: str) -> Document:
    """A held document that Banqup does not have any more."""
    reason = Reason(
        "DOCUMENT_GONE",
        "Banqup has no document of this id any more.",
        "Look in Banqup what became of it; then discard it here (bin/tieout held discard).",
    )
    return Document(key, "purchases", "", number, None, None, "", "", "unfetchable", reason=reason)


def _document(listed: Listed, query: Query, state: State, *, why: str = "", reason: Reason | None = None) -> Document:
    return Document(
        key=listed.id,
        kind=query.kind,
        category=listed.category,
        number=listed.number,
        issue_date=listed.issue_date,
        status_at=listed.status_at.astimezone(UTC).isoformat() if listed.status_at else None,
        updated_at=listed.updated_at.astimezone(UTC).isoformat(),
        file_id=listed.file_id or "",
        state=state,
        why=why,
        reason=reason,
    )
