"""One period: judge its postings, write the file that would go, and the records that are held."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from tieout.config import SysproSource
from tieout.errors import BadRecord, ConfigurationInvalid
from tieout.integrations.sorting import Place, in_currency
from tieout.integrations.syspro_to_legacy_erp.gl.files import GROUPS, GlFile, MakeWriter, PeriodFile, check_totals
from tieout.integrations.syspro_to_legacy_erp.gl.judging import Judged, KnownPostings, judge_period
from tieout.integrations.syspro_to_legacy_erp.gl.reading import PeriodRead
from tieout.integrations.syspro_to_legacy_erp.gl.rules import GlRules
from tieout.ledger import Tally
from tieout.mapping.held import HeldReason
from tieout.staging import Folder, read_parts

HELD = "held.jsonl"
_ROUNDS = 4

Discarded = Callable[[Sequence[str]], dict[str, str]]
"""Source keys → SHA-256 of the payloads that were last discarded."""


@dataclass(frozen=True)
class PreparedPeriod:
    """What became of a period.

    Attributes:
        tallies: Count and debits of each place.
        file: The file to send; None when nothing is to be sent.
        settled: Keys of postings with an open held record that are not held any more and not sent either.
        missing: Postings that were sent and are not in SYSPRO any more.
    """

    tallies: dict[Place, Tally]
    file: GlFile | None
    settled: list[str]
    missing: int


def prepare_period(
    staged: Folder,
    folder: Folder,
    period: PeriodRead,
    rules: GlRules,
    source: SysproSource,
    known: KnownPostings,
    make: MakeWriter,
    *,
    resend: bool,
    open_keys: Sequence[str],
    discarded: Discarded,
) -> PreparedPeriod:
    """Judge, group and write one period; see `tieout.integrations.syspro_to_legacy_erp.gl.files` for what is written.

    Args:
        staged: The period as it was read.
        folder: Where the file and the held postings go.
        period: What was read.
        rules: What codes become.
        source: What SYSPRO's codes mean.
        known: What the receiver has.
        make: Makes the format's writer.
        resend: Send also what the receiver has.
        open_keys: Source keys of postings that are held now.
        discarded: Which held postings were discarded.

    Raises:
        DoesNotTieOut: The file does not hold what was to be written.
        ContractBroken: Most postings would be held.
    """
    judged, file = _judged_and_written(staged, folder, period, rules, source, known, make, resend, discarded)
    if file is not None:
        check_totals(judged, period, file)
        file.write_groups(period.code, folder / GROUPS)
    _write_held(folder, staged, period, judged, source)
    tallies = {
        place: Tally(judged.count(place), {source.currency: _money(source, judged.sides(place)[0])}) for place in Place
    }
    return PreparedPeriod(tallies, file, _settled(judged, period, open_keys), judged.missing)


def _money(source: SysproSource, amount: Decimal) -> Decimal:
    """With the currency's decimals, where the amount has no more of them."""
    try:
        return in_currency(source.currency, amount)
    except ArithmeticError:
        return amount  # a held posting may have more


def _judged_and_written(
    staged: Folder,
    folder: Folder,
    period: PeriodRead,
    rules: GlRules,
    source: SysproSource,
    known: KnownPostings,
    make: MakeWriter,
    resend: bool,
    discarded: Discarded,
) -> tuple[Judged, GlFile | None]:
    """Judge and write, again with what does not fit held, until everything that is to go fits."""
    unfit: dict[int, HeldReason] = {}
    for _ in range(_ROUNDS):
        judged = judge_period(staged, period, rules, source, known, resend=resend, unfit=unfit)
        _exclude_discarded(judged, staged, period, discarded)
        if not judged.count(Place.SEND):
            return judged, None
        # What reading needed goes back to the system before writing needs as much again.
        pa.default_memory_pool().release_unused()
        with PeriodFile(staged, period, judged, rules, source) as grouped:
            try:
                return judged, grouped.write(make, folder)
            except BadRecord:
                found = grouped.misfits(make)
        if found.keys() <= unfit.keys():
            break
        unfit |= found
    raise ConfigurationInvalid(
        f"Period {period.code}: postings do not fit the partner's format although those that do not are left out; "
        "please report this with the staged files."
    )


def _key(period: PeriodRead, judged: Judged, position: int) -> str:
    journal, entry = judged.entry(position)
    return f"{int(period.code[:4])}|{int(period.code[4:])}|{journal}|{entry}"


def _exclude_discarded(judged: Judged, staged: Folder, period: PeriodRead, discarded: Discarded) -> None:
    """Postings that somebody has discarded, and that say the same as then."""
    held = np.flatnonzero(judged.places == Place.HELD)
    if not len(held):
        return
    keys = {_key(period, judged, int(position)): int(position) for position in held}
    decided = discarded(list(keys))
    wanted = np.array(sorted(keys[key] for key in decided), np.int64)
    for position, payload, _ in _originals(staged, period, wanted):
        if hashlib.sha256(payload).hexdigest() == decided[_key(period, judged, position)]:
            judged.places[position] = Place.EXCLUDED


def _originals(
    staged: Folder, period: PeriodRead, positions: np.ndarray
) -> Iterator[tuple[int, bytes, Decimal | None]]:
    """Position, original bytes and amount of some postings."""
    if not len(positions):
        return
    at = 0
    for batch in read_parts(staged, names=period.parts, columns=["_raw", "EntryValue"]):
        first, last = np.searchsorted(positions, [at, at + batch.num_rows])
        chosen = positions[first:last]
        if len(chosen):
            rows = batch.take(pa.array(chosen - at))
            yield from zip(
                chosen.tolist(), rows.column("_raw").to_pylist(), rows.column("EntryValue").to_pylist(), strict=True
            )
        at += batch.num_rows


def _write_held(folder: Folder, staged: Folder, period: PeriodRead, judged: Judged, source: SysproSource) -> None:
    held = np.flatnonzero(judged.places == Place.HELD)
    with (folder / HELD).open("wb") as lines:
        for position, payload, amount in _originals(staged, period, held):
            reason = judged.reasons.of(position)
            journal, _ = judged.entry(position)
            draft = {
                "source_key": _key(period, judged, position),
                "label": f"{period.code}-{journal:010d}",
                "reason_code": reason.reason_code,
                "message": reason.message,
                "fix_hint": reason.fix_hint,
                "owner": reason.owner,
                "payload": base64.b64encode(payload or b"").decode(),
                "currency": source.currency,
                "amount": None if amount is None else str(amount),
            }
            lines.write(json.dumps(draft).encode() + b"\n")


def _settled(judged: Judged, period: PeriodRead, open_keys: Sequence[str]) -> list[str]:
    """Held records of postings that are duplicates or excluded by now."""
    wanted = set(open_keys)
    if not wanted:
        return []
    done = np.flatnonzero((judged.places == Place.DUPLICATE) | (judged.places == Place.EXCLUDED))
    keys = (_key(period, judged, int(position)) for position in done)
    return [key for key in keys if key in wanted]
