"""Where each posting of a period goes: to the file, to the duplicates, to the held, to the excluded ones.

All of a period's keys and amounts are in memory as numbers, some forty bytes for a posting; texts are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tieout.config import SysproSource
from tieout.currencies import minor_units
from tieout.errors import ContractBroken
from tieout.integrations.sorting import Place
from tieout.integrations.syspro_to_legacy_erp.gl.reading import JOURNALS, PeriodRead
from tieout.integrations.syspro_to_legacy_erp.gl.rules import GlRules
from tieout.mapping.held import HeldReason
from tieout.odata.layout import DECIMALS, MONEY
from tieout.staging import Folder, read_parts

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

NUMBER_COLUMNS = ("Journal", "EntryNumber", "GlCode", "EntryValue", "EntryPosted")
ENTRIES = 1_000_000
"""Entries of one journal that can be told apart in a key of one number."""
LARGEST = Decimal(9 * 10**12)
"""Amounts up to this are told in millionths of 64 bits; SYSPRO's own end below 10**12."""
MOSTLY_WRONG = 1_000
"""More held postings than that, and more than are sent, speak of a mistake that is not theirs."""

_IN_SYSPRO = "In SYSPRO, look at the journal and correct it by a new one; it is read again with the next run."


@dataclass(frozen=True)
class KnownPostings:
    """What the receiver has of a period: `keys` sorted, and what each was sent as."""

    keys: Numbers
    contents: pa.StringArray


NOTHING_KNOWN = KnownPostings(np.empty(0, np.int64), pa.array([], pa.string()))


class Reasons:
    """Why postings are held: a number per posting, since a mistake of the setup may concern a million of them."""

    def __init__(self, postings: int) -> None:
        self.which: npt.NDArray[np.int32] = np.full(postings, -1, np.int32)
        self.list: list[HeldReason] = []

    def add(self, reason: HeldReason) -> int:
        """A further reason; returns its number."""
        self.list.append(reason)
        return len(self.list) - 1

    def give(self, numbers: npt.NDArray[np.int32], going: Mask) -> None:
        """Give postings that are to go, and have no reason yet, the reason of this number; -1 is none."""
        new = going & (self.which < 0) & (numbers >= 0)
        self.which[new] = numbers[new]

    def of(self, position: int) -> HeldReason:
        """Why one posting is held."""
        return self.list[int(self.which[position])]


@dataclass
class Judged:
    """The postings of a period, in the order in which they were read.

    Attributes:
        places: Where each goes.
        codes: Per posting, the position of its G/L code in `gl_codes`.
        gl_codes: The G/L codes that occur.
        reasons: Why those that are held are.
        keys: Journal and entry as one number.
        values: Amounts in millionths, with SYSPRO's sign.
        debit_is: The sign of a debit.
        missing: Postings that were sent and are not in SYSPRO any more, or not posted.
    """

    places: npt.NDArray[np.int8]
    codes: npt.NDArray[np.int32]
    gl_codes: list[str]
    reasons: Reasons
    keys: Numbers
    values: Numbers
    debit_is: str
    missing: int = 0

    def count(self, place: Place) -> int:
        """How many go there."""
        return int((self.places == place).sum())

    def sides(self, place: Place) -> tuple[Decimal, Decimal]:
        """Debits and credits of a place, credits not negative."""
        values = self.values[self.places == place]
        sides = _exact(values[values > 0]), _exact(-values[values < 0])
        return sides if self.debit_is == "positive" else sides[::-1]

    def entry(self, position: int) -> tuple[int, int]:
        """Journal and entry number of a posting."""
        journal, entry = divmod(int(self.keys[position]), ENTRIES)
        return journal, entry


@dataclass
class _Postings:
    """A period's postings as numbers. Amounts are in millionths."""

    keys: Numbers
    values: Numbers
    present: Mask
    codes: npt.NDArray[np.int32]
    gl_codes: list[str]
    posted: Mask
    known: Mask
    changed: dict[int, str]


def content_of(codes: pa.Array, values: pa.Array) -> pa.Array:
    """What a posting is to the receiver's books: G/L code and amount. Texts may be corrected afterwards."""
    return pc.binary_join_element_wise(pc.fill_null(codes, ""), pc.fill_null(values.cast(pa.string()), ""), "|")


def single_keys(journals: pa.Array, entries: pa.Array) -> Numbers:
    """A posting's key within its period as one number."""
    keys: Numbers = journals.to_numpy(zero_copy_only=False).astype(np.int64) * ENTRIES
    return keys + entries.to_numpy(zero_copy_only=False).astype(np.int64)


def known_postings(batches: Iterable[pa.RecordBatch]) -> KnownPostings:
    """What the receiver has, from the ledger's packed records of the period, the newest last."""
    keys: list[Numbers] = []
    contents: list[pa.Array] = []
    for batch in batches:
        parts = pc.split_pattern(batch.column("source_key"), "|")
        journal = pc.list_element(parts, 2).cast(pa.int64())
        entry = pc.list_element(parts, 3).cast(pa.int64())
        keys.append(single_keys(journal, entry))
        contents.append(batch.column("fingerprint"))
    if not keys:
        return NOTHING_KNOWN
    together = np.concatenate(keys)
    # The last of equal keys counts: a file that replaced an earlier one says what the receiver has.
    newest = len(together) - 1 - np.unique(together[::-1], return_index=True)[1]
    return KnownPostings(together[newest], pa.concat_arrays(contents).take(pa.array(newest)))


def judge_period(
    folder: Folder,
    period: PeriodRead,
    rules: GlRules,
    source: SysproSource,
    known: KnownPostings,
    *,
    resend: bool = False,
    unfit: Mapping[int, HeldReason] | None = None,
) -> Judged:
    """Judge every posting of a period.

    Args:
        folder: The period's staging folder.
        period: What was read into it.
        rules: How codes become cost centres and accounts.
        source: What SYSPRO's codes mean.
        known: What the receiver has.
        resend: Send also what it has.
        unfit: Position → why a posting cannot be written in the partner's format.

    Raises:
        ContractBroken: Most postings would be held, so that it is not they that are wrong.
    """
    postings = _numbers(folder, period, source, known)
    headers = _Headers(folder, period, source)
    journals, of_journal = _journals(postings.keys // ENTRIES)
    posted = postings.posted & headers.posted(journals)[of_journal]
    places = np.full(len(postings.keys), Place.SEND, np.int8)
    if not resend:
        places[postings.known] = Place.DUPLICATE
    places[~posted] = Place.EXCLUDED
    reasons = Reasons(len(places))
    if not resend:
        _hold_changed(reasons, postings, places, source)
    going = places == Place.SEND
    reasons.give(_row_faults(reasons, postings, rules, source), going)
    _hold_unfit(reasons, unfit or {}, going)
    balance, debits = _per_journal(len(journals), of_journal, np.where(posted, postings.values, 0))
    read = np.bincount(of_journal, minlength=len(journals))
    faults = _journal_faults(reasons, journals, balance, debits, read, headers)
    reasons.give(faults[of_journal], going)
    _refuse_mostly_wrong(reasons, period)
    if rules.file.hold_whole_journals:
        _hold_whole_journals(reasons, journals, of_journal, going, faults)
    places[reasons.which >= 0] = Place.HELD
    missing = len(known.keys) - int(np.isin(known.keys, postings.keys[posted]).sum()) if len(known.keys) else 0
    return Judged(
        places, postings.codes, postings.gl_codes, reasons, postings.keys, postings.values, source.debit_is, missing
    )


def _exact(millionths: Numbers) -> Decimal:
    """The sum as an amount; beyond what 64 bits hold it is added up in Python's own integers."""
    high, low = int((millionths // 10**DECIMALS).sum()), int((millionths % 10**DECIMALS).sum())
    return Decimal(high) + Decimal(low).scaleb(-DECIMALS)


def _numbers(folder: Folder, period: PeriodRead, source: SysproSource, known: KnownPostings) -> _Postings:
    size = period.postings
    keys, values = np.empty(size, np.int64), np.zeros(size, np.int64)
    codes, present = np.empty(size, np.int32), np.ones(size, bool)
    posted, is_known = np.ones(size, bool), np.zeros(size, bool)
    told = False
    changed: dict[int, str] = {}
    numbers: dict[str | None, int] = {}
    at = 0
    for batch in read_parts(folder, names=period.parts, columns=list(NUMBER_COLUMNS), batch_rows=50_000):
        end = at + batch.num_rows
        rows = slice(at, end)
        amounts = batch.column("EntryValue")
        keys[rows] = single_keys(batch.column("Journal"), batch.column("EntryNumber"))
        values[rows] = pc.fill_null(_millionths(amounts, batch.column("Journal")), 0).to_numpy(zero_copy_only=False)
        present[rows] = pc.is_valid(amounts).to_numpy(zero_copy_only=False)
        codes[rows] = _code_numbers(batch.column("GlCode"), numbers)
        status = batch.column("EntryPosted")
        told = told or status.null_count < batch.num_rows
        posted[rows] = pc.is_in(status, pa.array(source.posted_entries, pa.string())).to_numpy(zero_copy_only=False)
        if len(known.keys):
            content = content_of(batch.column("GlCode"), amounts)
            is_known[rows], differs = _compare(keys[rows], content, known)
            changed.update((at + int(row), known.contents[int(where)].as_py()) for row, where in differs)
        at = end
    if not told:
        posted[:] = True  # a site without the column tells by the headers alone
    gl_codes = [code or "" for code in numbers]
    return _Postings(keys, values, present, codes, gl_codes, posted, is_known, changed)


def _millionths(amounts: pa.Array, journals: pa.Array) -> pa.Array:
    """Amounts of six decimals as whole millionths; `journals` are the numbers of the journals that have them."""
    wide = pc.multiply(amounts.cast(pa.decimal128(30, DECIMALS)), pa.scalar(Decimal(10**DECIMALS), pa.decimal128(7, 0)))
    try:
        return wide.cast(pa.decimal128(38, DECIMALS)).cast(pa.int64())
    except pa.ArrowInvalid:
        at = pc.index(pc.greater(pc.abs(amounts), pa.scalar(LARGEST, amounts.type)), True).as_py()
        raise ContractBroken(
            f"SYSPRO gives an amount of {amounts[at].as_py().normalize():f} in journal {journals[at]}; its own amounts "
            "have twelve digits before the point. Look at the journal in SYSPRO; nothing was sent."
        ) from None


def _code_numbers(column: pa.Array, numbers: dict[str | None, int]) -> npt.NDArray[np.int32]:
    """G/L codes as positions in the order of their first appearance."""
    encoded = column.dictionary_encode(null_encoding="encode")
    local = np.array([numbers.setdefault(code, len(numbers)) for code in encoded.dictionary.to_pylist()], np.int32)
    positions = encoded.indices.to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int32] = local[positions] if len(local) else np.empty(0, np.int32)
    return found


def _compare(keys: Numbers, content: pa.Array, known: KnownPostings) -> tuple[Mask, Iterator[tuple[int, int]]]:
    """Which postings the receiver has, and of these: row and place among the known of those that say something else."""
    where = np.minimum(np.searchsorted(known.keys, keys), len(known.keys) - 1)
    has = known.keys[where] == keys
    same = pc.equal(known.contents.take(pa.array(where)), content).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(has & ~same)
    return has, zip(rows.tolist(), where[rows].tolist(), strict=True)


class _Headers:
    """The period's journal headers."""

    def __init__(self, folder: Folder, period: PeriodRead, source: SysproSource) -> None:
        with (folder / JOURNALS).open("rb") as file:
            table = pq.read_table(file, columns=["GlJournal", "JnlStatus", "DebitAmount", "NumOfEntries"])
        order = pc.sort_indices(table, sort_keys=[("GlJournal", "ascending")])
        table = table.take(order).combine_chunks()
        self.known = period.headers
        self.journals: Numbers = table["GlJournal"].to_numpy().astype(np.int64)
        status = table["JnlStatus"]
        told = status.null_count < len(status)
        is_posted = pc.is_in(status, pa.array(source.posted_journals, pa.string())).to_numpy(zero_copy_only=False)
        self._posted: Mask = is_posted if told else np.ones(len(status), bool)
        debits = pc.fill_null(table["DebitAmount"], Decimal(0)).cast(MONEY)
        self.debits: Numbers = _millionths(debits, table["GlJournal"]).to_numpy()
        self.entries: Numbers = pc.fill_null(table["NumOfEntries"], 0).to_numpy().astype(np.int64)

    def where(self, journals: Numbers) -> tuple[Mask, Numbers]:
        """Whether each journal has a header, and where it is."""
        if not len(self.journals):
            return np.zeros(len(journals), bool), np.zeros(len(journals), np.int64)
        at = np.minimum(np.searchsorted(self.journals, journals), len(self.journals) - 1)
        return self.journals[at] == journals, at

    def posted(self, journals: Numbers) -> Mask:
        """Whether each journal is posted; one without a header is not told to be open, so it is judged later."""
        has, at = self.where(journals)
        if not len(self.journals):
            return np.ones(len(journals), bool)
        found: Mask = ~has | self._posted[at]
        return found


def _journals(journals: Numbers) -> tuple[Numbers, npt.NDArray[np.int32]]:
    """The journals, ascending, and for each posting which of them it is of."""
    begins = np.ones(len(journals), bool)
    np.not_equal(journals[1:], journals[:-1], out=begins[1:])
    first = journals[begins]
    if (first[1:] > first[:-1]).all():  # in the order of the key, as they are asked for
        return first, (np.cumsum(begins, dtype=np.int32) - 1).astype(np.int32)
    unique, inverse = np.unique(journals, return_inverse=True)
    return unique, inverse.astype(np.int32)


def _hold_changed(reasons: Reasons, postings: _Postings, places: npt.NDArray[np.int8], source: SysproSource) -> None:
    """Postings that the receiver has with another amount or account."""
    for at, before in postings.changed.items():
        if places[at] == Place.DUPLICATE:
            reasons.which[at] = reasons.add(_changed(before, source))


def _changed(before: str, source: SysproSource) -> HeldReason:
    code, _, amount = before.partition("|")
    return HeldReason(
        "CHANGED_AFTER_SENDING",
        f"This posting was sent as {source.currency} {_shown(Decimal(amount or 0))} to {code} and now says something "
        "else; a posted journal does not change, so it is not sent again.",
        "Find out what changed it in SYSPRO. Correct the books by a new journal, then discard this record.",
    )


def _row_faults(reasons: Reasons, postings: _Postings, rules: GlRules, source: SysproSource) -> npt.NDArray[np.int32]:
    """Postings without amount, with more decimals than the currency has, or with a code that leads nowhere."""
    of_code = np.full(len(postings.gl_codes), -1, np.int32)
    for number, code in enumerate(postings.gl_codes):
        problem = rules.code(code).problem
        if problem is not None:
            of_code[number] = reasons.add(HeldReason(*problem))
    found: npt.NDArray[np.int32] = of_code[postings.codes] if len(of_code) else np.empty(0, np.int32)
    decimals = minor_units(source.currency)
    fractions = postings.values % 10 ** (DECIMALS - decimals) != 0
    if fractions.any():
        found[fractions] = reasons.add(
            HeldReason(
                "AMOUNT_PRECISION",
                f"The amount has more than the {decimals} decimals of {source.currency}; rounding it could make the "
                "journal unbalanced.",
                _IN_SYSPRO,
            )
        )
    if not postings.present.all():
        found[~postings.present] = reasons.add(HeldReason("MISSING_VALUE", "The posting has no amount.", _IN_SYSPRO))
    return found


def _hold_unfit(reasons: Reasons, unfit: Mapping[int, HeldReason], going: Mask) -> None:
    numbers = np.full(len(going), -1, np.int32)
    known: dict[HeldReason, int] = {}
    for at, reason in unfit.items():
        if reason not in known:
            known[reason] = reasons.add(reason)
        numbers[at] = known[reason]
    if unfit:
        reasons.give(numbers, going)


def _per_journal(journals: int, of_journal: npt.NDArray[np.int32], values: Numbers) -> tuple[Numbers, Numbers]:
    """Per journal the sum of its postings, and the sum of the positive ones."""
    balance, positive = np.zeros(journals, np.int64), np.zeros(journals, np.int64)
    np.add.at(balance, of_journal, values)
    np.add.at(positive, of_journal, np.maximum(values, 0))
    return balance, positive


def _journal_faults(
    reasons: Reasons, journals: Numbers, balance: Numbers, debits: Numbers, read: Numbers, headers: _Headers
) -> npt.NDArray[np.int32]:
    """Journals that do not balance, are not complete, or have no header."""
    found = np.full(len(journals), -1, np.int32)
    if headers.known:
        has, at = headers.where(journals)
        entries = headers.entries[at] if len(headers.entries) else np.zeros(len(journals), np.int64)
        for position in np.flatnonzero(has & (read < entries)):
            found[position] = reasons.add(
                HeldReason(
                    "INCOMPLETE_JOURNAL",
                    f"Journal {journals[position]} should have {entries[position]} entries by its header, but only "
                    f"{read[position]} were there to be read.",
                    _IN_SYSPRO,
                )
            )
        claimed = headers.debits[at] if len(headers.debits) else np.zeros(len(journals), np.int64)
        for position in np.flatnonzero(has & (claimed != 0) & (claimed != debits)):
            found[position] = reasons.add(
                HeldReason(
                    "INCOMPLETE_JOURNAL",
                    f"Journal {journals[position]} should have debits of {_amount(claimed[position])} by its header, "
                    f"but its postings have {_amount(debits[position])}: postings are missing, or there are too many.",
                    _IN_SYSPRO,
                )
            )
        for position in np.flatnonzero(~has):
            found[position] = reasons.add(
                HeldReason(
                    "JOURNAL_WITHOUT_HEADER",
                    f"Journal {journals[position]} has postings but no header, so nobody knows whether it is posted.",
                    "In SYSPRO, find out what became of the journal (GenJournalCtl); it is read again.",
                )
            )
    for position in np.flatnonzero(balance):
        found[position] = reasons.add(
            HeldReason(
                "UNBALANCED_JOURNAL",
                f"Journal {journals[position]} does not balance: its postings add up to "
                f"{_amount(balance[position])} instead of zero.",
                _IN_SYSPRO,
            )
        )
    return found


def _amount(millionths: np.int64) -> str:
    return _shown(Decimal(int(millionths)).scaleb(-DECIMALS))


def _shown(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.01')) if amount == round(amount, 2) else amount.normalize():f}"


def _refuse_mostly_wrong(reasons: Reasons, period: PeriodRead) -> None:
    """A rule that fits no code, or a wrong sign, must not fill the list of held records."""
    held = int((reasons.which >= 0).sum())
    if held <= MOSTLY_WRONG or held * 2 <= len(reasons.which):
        return
    numbers, counts = np.unique(reasons.which[reasons.which >= 0], return_counts=True)
    most = reasons.list[int(numbers[counts.argmax()])]
    raise ContractBroken(
        f"Period {period.code}: {held} of {len(reasons.which)} postings would be held, so it is not they that are "
        f"wrong. Nothing was held or sent. The most frequent reason: {most.message} {most.fix_hint}"
    )


def _hold_whole_journals(
    reasons: Reasons,
    journals: Numbers,
    of_journal: npt.NDArray[np.int32],
    going: Mask,
    faults: npt.NDArray[np.int32],
) -> None:
    """The other postings of a journal with a held one are held as well; `faults` are the journals' own."""
    held = np.flatnonzero(reasons.which >= 0)
    if not len(held):
        return
    first = np.unique(of_journal[held], return_index=True)
    whole = np.full(len(journals), -1, np.int32)
    for journal, at in zip(*first, strict=True):
        if reasons.which[held[at]] == faults[journal]:
            continue  # it concerns all of them, who have it already
        why = reasons.of(int(held[at]))
        whole[journal] = reasons.add(
            HeldReason(
                why.reason_code,
                f"Journal {journals[journal]} goes whole or not at all, and another posting of it is held: "
                f"{why.message}",
                why.fix_hint,
                why.owner,
            )
        )
    reasons.give(whole[of_journal], going)
