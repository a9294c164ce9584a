"""What a source record becomes: an entry or a partner to post, a reason to hold it, or a rule that leaves it out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from tieout.mapping.held import HeldReason

_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")
_in_order = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class EntryDraft:
    """A journal entry for an invoice or a payment.

    Attributes:
        entity: `invoices` or `payments`.
        source_key: Stampli's id.
        label: The number by which people know it.
        partner: The `CardCode` that must exist when the entry is posted.
        number: Invoice number, or payment id.
        identity: The same for whatever is the same invoice: `partner|number|INVOICE`, or `payment|<id>`.
        fingerprint: SHA-256 of what would be posted; see `entry_fingerprint`.
        currency: ISO 4217.
        amount: The record's total as the file says it.
        void: What was posted for it is to be taken back.
        body: The JournalEntry for `to_json`, all but `Reference3`; None when nothing is to be posted for it.
        record_only: Counted and kept, but not posted.
        approved: False: nothing may be posted. It is a duplicate if it was posted before, else it waits for approval.
    """

    entity: str
    source_key: str
    label: str
    partner: str
    number: str
    identity: str
    fingerprint: str
    currency: str
    amount: Decimal
    void: bool
    body: dict[str, Any] | None = field(repr=False)
    record_only: bool = False
    approved: bool = True


@dataclass(frozen=True)
class PartnerDraft:
    """A business partner of the type supplier.

    Attributes:
        source_key: Stampli's vendor id.
        label: The vendor's name.
        card_code: Its code in SAP.
        fingerprint: SHA-256 of what would be written.
        owned: The properties that Stampli decides on, with the values that SAP shall have.
        create: The whole body for a new partner.
    """

    source_key: str
    label: str
    card_code: str
    fingerprint: str
    owned: dict[str, Any] = field(repr=False)
    create: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Hold:
    """The record cannot be posted as it is; every reason that was found."""

    reasons: tuple[HeldReason, ...]


@dataclass(frozen=True)
class Exclude:
    """The record is not to be posted, by a rule; `why` is counted and shown."""

    why: str


def to_json(body: Mapping[str, Any]) -> bytes:
    """A body as SAP takes it: amounts are numbers with exactly the digits of their decimals, keys keep their order."""
    return _in_order.encode(body)


def digest(content: Any) -> str:
    """SHA-256 of content in a canonical form, in which the order of keys does not matter."""
    return hashlib.sha256(_encoder.encode(content)).hexdigest()


def entry_fingerprint(body: Mapping[str, Any] | None, *, void: bool, total: tuple[str, Decimal]) -> str:
    """What tells a changed invoice from the same one sent again.

    Amounts in local currency beside amounts in foreign currency follow from SAP's exchange rate and not from the
    invoice, so they do not count: a corrected rate must not make an invoice look changed.

    Args:
        body: The journal entry, or None where there is none to be made.
        void: Whether the record takes back what was posted.
        total: Currency and amount.
    """
    if body is None:
        return digest({"void": void, "currency": total[0], "amount": _digits(total[1])})
    lines = [_without_rate(line) for line in body["JournalEntryLines"]]
    return digest({"void": void, "body": {**body, "JournalEntryLines": lines}})


def _without_rate(line: Mapping[str, Any]) -> dict[str, Any]:
    follows = ("Debit", "Credit", "BaseSum") if "FCCurrency" in line else ()
    return {name: value for name, value in line.items() if name not in follows}


def _digits(amount: Decimal) -> str:
    """`10.50` and `10.5` are the same amount."""
    return f"{amount.normalize():f}"
