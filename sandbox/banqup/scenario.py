"""A partner's clients with their documents, and what must become of each."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.banqup import coda, ubl
from sandbox.banqup.clients import ACTIVATED_AT, BanqupClient, instance_yaml, make_clients
from sandbox.banqup.documents import (
    BANK,
    CREDIT_NOTE,
    INVOICE,
    PURCHASES,
    SALES,
    STATEMENT,
    Document,
    DocumentStore,
)  # fmt: skip
from sandbox.clock import SandboxClock

WINDOW = timedelta(days=30)
"""How far back from the clock's moment documents were approved or sent."""
_KINDS = {INVOICE: "invoice", CREDIT_NOTE: "credit_note", STATEMENT: "statement"}
_PLACES = ((PURCHASES, INVOICE), (PURCHASES, CREDIT_NOTE), (SALES, INVOICE), (SALES, CREDIT_NOTE), (BANK, STATEMENT))
_WEIGHTS = (50, 8, 24, 5, 13)
_INELIGIBLE = ("before", "before_and_paid_since", "awaiting", "refused", "draft", "failed")
_STATUS = {"awaiting": "AWAITING_VALIDATION", "refused": "REFUSED", "draft": "DRAFT", "failed": "ERROR"}
_NUMBERS = (
    "{n:06d}", "2026/{n:04d}", "2026 {n:04d}", "№{n} – é", "../../{n}", "INV{n}" + "0" * 90, "A&B:{n}*?", "{n}",
)  # fmt: skip
"""How suppliers number their documents; different suppliers may use the same number."""


@dataclass(frozen=True)
class Expected:
    """A document that must reach its client, or be held.

    Attributes:
        kind: `invoice`, `credit_note` or `statement`.
        rule: The rule, or the reason code, for which it must be held; None: it must be delivered.
        status_at: When it was approved, or sent: the order in which documents are delivered.
    """

    document_id: str
    kind: str
    folder: str
    number: str
    issue_date: str
    data: bytes = field(repr=False)
    sha256: str
    rule: str | None
    status_at: datetime


@dataclass(frozen=True)
class Mixture:
    """How much of what a scenario holds.

    Attributes:
        clients: Clients, each with its space.
        documents: All documents together, those that nobody wants included.
        ineligible: Share of documents that nobody wants: approved or sent before the activation, or not at all.
        defects: How many bad ones there are, one kind after the other.
        troubles: One file that is missing, one that was never uploaded, one of another size than announced.
        same_moment: So many purchases of the first client were updated at the very same moment.
        max_lines: Most lines of an invoice.
    """

    clients: int = 8
    documents: int = 200
    ineligible: float = 0.15
    defects: int = 0
    troubles: bool = False
    same_moment: int = 0
    max_lines: int = 8


DEFECTS = tuple([("ubl", name) for name in ubl.DEFECTS] + [("coda", name) for name in coda.DEFECTS])
"""Every kind of bad file."""


@dataclass
class Scenario:
    """What Banqup holds for the clients."""

    store: DocumentStore
    clients: list[BanqupClient]
    accounts: dict[str, coda.Account] = field(default_factory=dict, repr=False)
    """Space id → the account of its statements."""

    def truth(self) -> dict[str, list[Expected]]:
        """Client → what must reach it or be held as things are now, in the order of approval or sending."""
        return {client.external_id: expected_of(self.store, client) for client in self.clients}

    def client(self, external_id: str) -> BanqupClient:
        """One client. Raises KeyError."""
        return {client.external_id: client for client in self.clients}[external_id]

    def instance_yaml(self) -> str:
        """An instance file for all clients."""
        return instance_yaml(self.clients)

    def second_day(self) -> dict[str, list[str]]:
        """A little more happens at every client, now.

        Returns:
            Ids by what happened: `approved`, `sent` and `statements` are to be delivered, `paid` and `refused` change
            nothing.
        """
        happened: dict[str, list[str]] = defaultdict(list)
        changes = {"approved": self.store.approve, "refused": self.store.refuse, "paid": self.store.pay}
        for client in self.clients:
            documents = self.store.documents(client.space_id)
            # Never before what is there already, also where the clock stands before the activation.
            now = max([self.store.clock.now(), *(document.updated_at for document in documents)])
            for what, document in _pick(documents):
                happened[what].append(changes[what](document.id, at=now).id)
            author = _Author(self.store, client, self.accounts[client.space_id], seed=f"later {client.external_id}")
            happened["approved"].append(author.add(PURCHASES, INVOICE, now).id)
            happened["sent"].append(author.add(SALES, INVOICE, now).id)
            happened["statements"].append(author.add(BANK, STATEMENT, now).id)
        return dict(happened)


def _pick(documents: list[Document]) -> list[tuple[str, Document]]:
    """Two that wait, to be approved and refused, and one that was handed on, to be paid."""
    waiting = [document for document in documents if document.status == "AWAITING_VALIDATION"]
    unpaid = [document for document in documents if document.folder == PURCHASES and document.is_final]
    picked = list(zip(("approved", "refused"), waiting, strict=False))
    return picked + [("paid", document) for document in unpaid[:1] if document.pay == "UNPAID"]


def expected_of(store: DocumentStore, client: BanqupClient) -> list[Expected]:
    """What must reach a client or be held as things are now, in the order of approval or sending."""
    found = []
    for document in store.documents(client.space_id):
        if document.is_final and document.status_at is not None and document.status_at > client.activated_at:
            stored = store.files[document.file_id]
            rule = stored.trouble or document.rule or None
            found.append(
                Expected(
                    document.id, _KINDS[document.category], document.folder, document.number, document.issue_date,
                    stored.data, hashlib.sha256(stored.data).hexdigest(), rule, document.status_at,
                )
            )  # fmt: skip
    return sorted(found, key=lambda entry: (entry.status_at, entry.document_id))


def generate(
    mixture: Mixture | None = None,
    *,
    seed: int = 1,
    clock: SandboxClock | None = None,
    activated_at: datetime = ACTIVATED_AT,
) -> Scenario:
    """Clients with their documents; the same seed, clock and mixture give the same bytes.

    Documents were approved and sent in the last thirty days before the clock's moment, or from the activation on where
    that is later. Those from before the activation lie in the month before it.
    """
    mixture, clock = mixture or Mixture(), clock or SandboxClock()
    store = DocumentStore(clock)
    clients = make_clients(mixture.clients, activated_at)
    scenario = Scenario(store, clients)
    start = max(activated_at, clock.now() - WINDOW)
    span = max(clock.now(), start + timedelta(days=1)) - start
    plans = _plans(random.Random(f"plans {seed}"), mixture)
    for index, client in enumerate(clients):
        store.add_space(client.space_id, client.name, client.uen_number)
        rng = random.Random(f"{client.external_id} {seed}")
        first = activated_at - WINDOW
        account = coda.account(
            f"{client.external_id} {seed}", holder=client.name, enterprise_number=client.uen_number,
            last_day=(first - timedelta(days=1)).date(),
        )  # fmt: skip
        scenario.accounts[client.space_id] = account
        author = _Author(store, client, account, seed=f"{client.external_id} {seed}", max_lines=mixture.max_lines)
        timed = [(plan.moment(rng, activated_at, start, span), plan) for plan in plans[index :: len(clients)]]
        for moment, plan in sorted(_some_together(rng, timed), key=lambda entry: entry[0]):
            author.carry_out(plan, moment, rng, start + span)
    if mixture.same_moment:
        author = _Author(store, clients[0], scenario.accounts[clients[0].space_id], seed=f"same moment {seed}")
        for _ in range(mixture.same_moment):
            author.add(PURCHASES, INVOICE, start + span / 2)
    if mixture.troubles:
        _make_troubles(scenario)
    return scenario


@dataclass(frozen=True)
class _Plan:
    """One document to be: `fate` is empty for one that must be delivered, `defect` for a sound one."""

    folder: str
    category: str
    fate: str = ""
    defect: str = ""

    def moment(self, rng: random.Random, activated_at: datetime, start: datetime, span: timedelta) -> datetime:
        """When it got its status."""
        if self.fate.startswith("before"):
            return activated_at - timedelta(microseconds=rng.randrange(1, int(WINDOW.total_seconds()) * 10**6))
        return start + timedelta(microseconds=rng.randrange(1, span // timedelta(microseconds=1)))


def _plans(rng: random.Random, mixture: Mixture) -> list[_Plan]:
    plans = [_bad(DEFECTS[index % len(DEFECTS)], index) for index in range(mixture.defects)]
    while len(plans) < mixture.documents - mixture.same_moment:
        folder, category = rng.choices(_PLACES, _WEIGHTS)[0]
        fate = rng.choice(_INELIGIBLE) if rng.random() < mixture.ineligible else ""
        if fate in ("awaiting", "refused"):
            folder, category = PURCHASES, INVOICE
        if fate in ("draft", "failed"):
            folder, category = SALES, INVOICE
        plans.append(_Plan(folder, category, fate))
    rng.shuffle(plans)
    return plans


def _bad(defect: tuple[str, str], index: int) -> _Plan:
    family, name = defect
    if family == "coda":
        return _Plan(BANK, STATEMENT, defect=name)
    kind = ubl.DEFECTS[name].kind or ("invoice", "invoice", "credit_note")[index % 3]
    return _Plan((PURCHASES, SALES)[index % 2], INVOICE if kind == "invoice" else CREDIT_NOTE, defect=name)


def _some_together(rng: random.Random, timed: Sequence[tuple[datetime, _Plan]]) -> list[tuple[datetime, _Plan]]:
    """One in ten got its status at the very moment of another one, as when many are approved with one click."""
    together: list[tuple[datetime, _Plan]] = []
    for moment, plan in timed:
        others = [other for other, entry in together if not entry.fate and not plan.fate]
        together.append((others[-1] if others and rng.random() < 0.1 else moment, plan))
    return together


def _make_troubles(scenario: Scenario) -> None:
    store = scenario.store
    sound = [entry.document_id for entries in scenario.truth().values() for entry in entries if entry.rule is None]
    for document_id, trouble in zip(sound, (store.lose_file, store.await_upload, store.damage_file), strict=False):
        trouble(document_id)


class _Author:
    """Writes one client's documents, one after the other."""

    def __init__(
        self, store: DocumentStore, client: BanqupClient, account: coda.Account, *, seed: str, max_lines: int = 8
    ) -> None:
        self._store = store
        self._client = client
        self._account = account
        self._seed = seed
        self._max_lines = max_lines
        self._own = replace(ubl.belgian_party(client.external_id), name=client.name, number=client.uen_number,
                            vat=f"BE{client.uen_number}")  # fmt: skip

    def add(self, folder: str, category: str, moment: datetime, **details: Any) -> Document:
        """A sound document that is final since that moment."""
        return self._write(_Plan(folder, category), moment, **details)

    def carry_out(self, plan: _Plan, moment: datetime, rng: random.Random, end: datetime) -> None:
        """Writes a planned document; one in six is paid later, which changes nothing for whoever wants it."""
        created_at = moment - timedelta(days=rng.randrange(5), seconds=rng.randrange(1, 3600))
        document = self._write(plan, moment, created_at=created_at, status=_STATUS.get(plan.fate))
        is_paid = plan.fate == "before_and_paid_since" or (not plan.fate and rng.random() < 1 / 6)
        if is_paid and plan.folder != BANK:
            since = max(moment, self._client.activated_at)
            self._store.pay(document.id, at=since + (end - since) * rng.random())

    def _write(self, plan: _Plan, moment: datetime, **details: Any) -> Document:
        serial = len(self._store.documents(self._client.space_id))
        write = self._statement if plan.folder == BANK else self._invoice
        number, issue_date, other, sound, data, rule = write(plan, moment, serial)
        return self._store.add_document(
            self._client.space_id, plan.folder, plan.category, data, number=number, issue_date=issue_date,
            status_at=moment, counterparty=other, rule=rule, repaired=sound if rule else None, **details,
        )  # fmt: skip

    def _invoice(self, plan: _Plan, moment: datetime, serial: int) -> tuple[str, str, str, bytes, bytes, str]:
        rng = random.Random(f"{self._seed} {serial}")
        is_sale = plan.folder == SALES
        number = f"VF-{moment.year}-{serial:05d}" if is_sale else rng.choice(_NUMBERS).format(n=100 + serial // 3)
        other = ubl.belgian_party(rng.randrange(60))
        shape = "mixed_rates" if plan.defect else rng.choice(list(ubl.SHAPES) if is_sale else ubl.DOMESTIC)
        document = ubl.ubl_document(
            f"{self._seed} {serial}", kind=_KINDS[plan.category], number=number, shape=shape,
            issue_date=(moment - timedelta(days=rng.randrange(20))).date(), max_lines=self._max_lines,
            seller=self._own if is_sale else other, buyer=other if is_sale else self._own,
        )  # fmt: skip
        sound = ubl.render(document)
        data, rule = (ubl.spoil(document, plan.defect), ubl.DEFECTS[plan.defect].rule) if plan.defect else (sound, "")
        name = document.buyer.name if is_sale else document.seller.name
        return number, document.issue_date.isoformat(), name, sound, data, rule

    def _statement(self, plan: _Plan, moment: datetime, serial: int) -> tuple[str, str, str, bytes, bytes, str]:
        """The account's next statement, sometimes with that of a quiet day before it."""
        rng, day, account = random.Random(f"{self._seed} {serial}"), moment.date(), self._account
        if plan.defect:
            statements = [account.statement(day, coda.movements(f"{self._seed} {serial}", day, 4))]
        else:
            statements = account.quiet_days(1) if account.last_day < day and rng.random() < 0.2 else []
            statements.append(coda.statement(f"{self._seed} {serial}", account, day))
        sound = coda.render(statements)
        data, rule = (coda.spoil(sound, plan.defect), coda.DEFECTS[plan.defect].rule) if plan.defect else (sound, "")
        number = f"{account.iban} {day.year}-{statements[-1].number:03d}"
        return number, day.isoformat(), "", sound, data, rule
