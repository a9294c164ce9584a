"""SAP's journal as proof: which entries carry a posting key, which of them were reversed, what waits as a draft.

An entry that Tieout posts carries its posting key in `Reference3`. A cancelled entry stays and has a mirror image,
which carries the same references in most builds; where it does not, its mirrored lines tell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tieout.errors import ContractBroken
from tieout.odata.query import both, key_filters
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError

_HEAD = "JdtNum,Number,Reference3"
# Many keys are looked up for every batch; SAP's own balancer takes URLs of 8,190 bytes.
_FILTER_LENGTH = 4_000
_NEXT_LINKS = ("@odata.nextLink", "odata.nextLink")
_DRAFTS_WITHOUT_DATE = "200"

Net = tuple[str, Decimal, str, Decimal]


@dataclass(frozen=True)
class BookedEntry:
    """A journal entry as SAP has it.

    Attributes:
        jdt_num: Its key.
        number: The number that people see.
        posting_key: `Reference3`.
        references: `Reference` and `Reference2`, where they were asked for.
        lines: Account or business partner, net amount (debit less credit) in local currency, foreign currency and net
            amount in it; sorted. Empty where lines were not asked for.
    """

    jdt_num: int
    number: str
    posting_key: str
    lines: tuple[Net, ...] = ()
    references: tuple[str, str] = ("", "")

    def mirrors(self, other: BookedEntry) -> bool:
        """Whether this entry takes the other one back."""
        turned = sorted((who, -net, currency, -foreign) for who, net, currency, foreign in other.lines)
        return bool(self.lines) and list(self.lines) == turned

    def net_of(self, who: str) -> dict[str, Decimal]:
        """Debit less credit on one account or business partner, by currency; local currency under the empty name."""
        sums: dict[str, Decimal] = {}
        for name, net, currency, foreign in self.lines:
            if name == who:
                sums[currency] = sums.get(currency, Decimal(0)) + (foreign if currency else net)
        return sums


@dataclass(frozen=True)
class Booked:
    """All that SAP has under one posting key.

    Attributes:
        entry: The entry itself.
        reversal: The entry that takes it back, if there is one.
        extra: Further entries with the same key: more than one posting, which must never be.
    """

    entry: BookedEntry
    reversal: BookedEntry | None = None
    extra: tuple[BookedEntry, ...] = ()


def find_numbers(client: SapB1Client, posting_keys: Sequence[str]) -> dict[str, BookedEntry]:
    """The first entry under each posting key, without its lines; keys that SAP does not have are missing.

    Raises:
        SourceUnavailable, ContractBroken: as the client says.
    """
    found: dict[str, BookedEntry] = {}
    for entry in _entries(client, posting_keys, _HEAD):
        found.setdefault(entry.posting_key, entry)
    return found


def find_booked(client: SapB1Client, posting_keys: Sequence[str]) -> dict[str, Booked]:
    """What SAP has under each posting key, with lines and reversals; keys that SAP does not have are missing."""
    by_key: dict[str, list[BookedEntry]] = {}
    for entry in _entries(client, posting_keys, f"{_HEAD},JournalEntryLines"):
        by_key.setdefault(entry.posting_key, []).append(entry)
    return {key: _told_apart(entries) for key, entries in by_key.items()}


def newest_entry(client: SapB1Client) -> int:
    """`JdtNum` of the newest journal entry; 0 in an empty journal."""
    body = client.get_page("JournalEntries", {"$select": "JdtNum", "$orderby": "JdtNum desc", "$top": "1"})
    rows = _page(body)[0]
    return int(rows[0]["JdtNum"]) if rows else 0


def find_reversal(client: SapB1Client, booked: Booked, newer_than: int) -> BookedEntry | None:
    """The entry that takes another one back, also where the reversal does not carry its references.

    Args:
        client: Reads.
        booked: What SAP has under the posting key.
        newer_than: `JdtNum` of the newest entry before the cancellation was asked for.
    """
    if booked.reversal is not None:
        return booked.reversal
    after = max(newer_than, booked.entry.jdt_num)
    for entry in _walk(client, f"{_HEAD},JournalEntryLines", "", after):
        if entry.posting_key in ("", booked.entry.posting_key) and entry.mirrors(booked.entry):
            return entry
    return None


def find_drafts(client: SapB1Client, wanted: Mapping[str, tuple[str, str]], since: date) -> dict[str, str]:
    """Posting key → `DocEntry` of the draft that an approval procedure made instead of the entry.

    Whether a draft carries the key, and in which property, differs between builds, so all texts are looked at; where
    none is the key, both other references together tell.

    Args:
        client: Reads.
        wanted: Posting key → the entry's `Reference` and `Reference2`.
        since: Drafts made on this day of the company's calendar or later.
    """
    by_references = {references: key for key, references in wanted.items()}
    try:
        rows = list(_draft_rows(client, {"$filter": f"CreationDate ge '{since.isoformat()}'", "$orderby": "DocEntry"}))
    except SapError:
        try:
            rows = list(_draft_rows(client, {"$orderby": "DocEntry desc", "$top": _DRAFTS_WITHOUT_DATE}))
        except SapError:
            return {}
    found: dict[str, str] = {}
    for row in rows:
        texts = set(_texts(row))
        keys = texts & wanted.keys() or {key for both_, key in by_references.items() if texts.issuperset(both_)}
        found.update(dict.fromkeys(keys, str(row.get("DocEntry", ""))))
    return found


def find_without_key(client: SapB1Client, wanted: Mapping[str, tuple[str, str]]) -> dict[str, BookedEntry]:
    """Posting key → the entry with its `Reference` and `Reference2` and no key of its own, with lines.

    Such is an entry that was made from a draft by a build that does not keep `Reference3` in drafts.
    """
    by_references = {references: key for key, references in wanted.items()}
    found: dict[str, BookedEntry] = {}
    for condition, _ in key_filters("Reference2", sorted({second for _, second in wanted.values()}), _FILTER_LENGTH):
        select = f"{_HEAD},Reference,Reference2,JournalEntryLines"
        for entry in _walk(client, select, condition, None):
            key = by_references.get(entry.references)
            if key is not None and not entry.posting_key:
                found.setdefault(key, entry)
    return found


def find_by_number(client: SapB1Client, jdt_nums: Iterable[int]) -> dict[int, BookedEntry]:
    """Entries with their lines, by `JdtNum`."""
    return {
        entry.jdt_num: entry
        for condition, _ in key_filters("JdtNum", sorted(jdt_nums), _FILTER_LENGTH)
        for entry in _walk(client, f"{_HEAD},JournalEntryLines", condition, None)
    }


def _draft_rows(client: SapB1Client, params: dict[str, str]) -> Iterator[dict[str, Any]]:
    condition, last = params.get("$filter"), None
    while True:
        more = params if last is None else {**params, "$filter": f"({condition}) and DocEntry gt {last}"}
        rows, goes_on = _page(client.get_page("Drafts", more))
        yield from rows
        if not rows or not goes_on or condition is None:
            return
        last = rows[-1]["DocEntry"]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _entries(client: SapB1Client, posting_keys: Sequence[str], select: str) -> Iterator[BookedEntry]:
    for condition, keys in key_filters("Reference3", posting_keys, _FILTER_LENGTH):
        for entry in _walk(client, select, condition, None):
            if entry.posting_key in keys:
                yield entry


def _walk(client: SapB1Client, select: str, condition: str, after: int | None) -> Iterator[BookedEntry]:
    while True:
        wanted = both(condition, None if after is None else f"JdtNum gt {after}") or "JdtNum gt 0"
        rows, goes_on = _page(
            client.get_page("JournalEntries", {"$select": select, "$filter": wanted, "$orderby": "JdtNum"})
        )
        entries = [_entry(row) for row in rows]
        yield from entries
        if not entries or not goes_on:
            return
        if after is not None and entries[-1].jdt_num <= after:
            raise ContractBroken(
                "SAP Business One gives JournalEntries out of order, so they cannot be walked through."
            )
        after = entries[-1].jdt_num


def _page(body: bytes) -> tuple[list[dict[str, Any]], bool]:
    try:
        page = json.loads(body, parse_float=Decimal)
        rows = page["value"]
        assert isinstance(rows, list)
    except (ValueError, KeyError, TypeError, AssertionError):
        raise ContractBroken("SAP Business One answers a question about its journal with no list.") from None
    return rows, any(page.get(name) for name in _NEXT_LINKS)


def _entry(row: dict[str, Any]) -> BookedEntry:
    lines = sorted(_net(line) for line in row.get("JournalEntryLines") or ())
    number = row.get("Number")
    return BookedEntry(
        jdt_num=int(row["JdtNum"]),
        number="" if number is None else str(number),
        posting_key=str(row.get("Reference3") or ""),
        lines=tuple(lines),
        references=(str(row.get("Reference") or ""), str(row.get("Reference2") or "")),
    )


def _net(line: dict[str, Any]) -> Net:
    currency = str(line.get("FCCurrency") or "")
    foreign = _amount(line.get("FCDebit")) - _amount(line.get("FCCredit"))
    return (
        str(line.get("ShortName") or line.get("AccountCode") or ""),
        _amount(line.get("Debit")) - _amount(line.get("Credit")),
        currency if foreign else "",
        foreign,
    )


def _amount(value: Any) -> Decimal:
    """SAP sends doubles; six decimals are more than any amount has."""
    return round(Decimal(str(value or 0)), 6)


def _told_apart(entries: Sequence[BookedEntry]) -> Booked:
    first, *others = sorted(entries, key=lambda entry: entry.jdt_num)
    reversal = next((entry for entry in others if entry.mirrors(first)), None)
    return Booked(first, reversal, tuple(entry for entry in others if entry is not reversal))
