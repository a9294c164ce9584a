"""G/L postings as they arrived, in columns: a million lines take some eighty megabytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from sandbox.legacy_erp.findings import Findings
from sandbox.legacy_erp.money import amount, exact_sum, sums_by

NUMBERS = ("year", "period", "journal", "entry", "date", "amount")
"""Whole numbers; `entry` 0 and `date` 0 stand for none, `date` is YYYYMMDD, `amount` millionths, debit positive."""
TEXTS = ("cost_centre", "account", "source_gl_code", "source", "reference", "description")
TOTALLED = ("amount", "cost_centre", "account")
_NOTHING = np.zeros(0, dtype=np.int64)


class Texts:
    """Every text once, with a number for it; the empty text is 0."""

    def __init__(self) -> None:
        self._codes = {"": 0}
        self._texts = [""]

    def code(self, text: str) -> int:
        """The text's number; a new one gets the next."""
        found = self._codes.get(text)
        if found is None:
            found = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return found

    def __getitem__(self, code: int) -> str:
        return self._texts[code]

    def __len__(self) -> int:
        return len(self._texts)


@dataclass(frozen=True)
class Posting:
    """One G/L line.

    Attributes:
        entry: None where the format does not say it.
        date: YYYY-MM-DD as written, or None.
        amount: Debit positive.
    """

    file: str
    cost_centre: str
    account: str
    source_gl_code: str
    year: int
    period: int
    journal: int
    entry: int | None
    date: str | None
    source: str
    reference: str
    description: str
    amount: Decimal


@dataclass(frozen=True)
class PostingTotals:
    """Control figures of a number of lines; credits are positive."""

    lines: int
    debit: Decimal
    credit: Decimal
    by_cost_centre: dict[str, tuple[Decimal, Decimal]]
    by_account: dict[str, Decimal]

    def as_dict(self) -> dict[str, Any]:
        """With amounts as decimal text."""
        return {
            "lines": self.lines, "debit": str(self.debit), "credit": str(self.credit),
            "by_cost_centre": {
                name: {"debit": str(debit), "credit": str(credit)}
                for name, (debit, credit) in self.by_cost_centre.items()
            },
            "by_account": {name: str(balance) for name, balance in self.by_account.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class PostingBlock:
    """The lines of one file, in its order.

    Attributes:
        columns: Name → array, for all of `NUMBERS` and `TEXTS`.
    """

    file: str
    company: str
    columns: dict[str, np.ndarray]
    texts: Texts = field(repr=False)

    def __len__(self) -> int:
        return len(self.columns["amount"])

    @property
    def has_entries(self) -> bool:
        """Whether the lines say which entry of a journal they are."""
        return bool(self.columns["entry"].any())

    def posting(self, row: int) -> Posting:
        """One line."""
        numbers = {name: int(self.columns[name][row]) for name in NUMBERS}
        texts = {name: self.texts[int(self.columns[name][row])] for name in TEXTS}
        day = f"{numbers['date']:08d}"
        return Posting(
            file=self.file, year=numbers["year"], period=numbers["period"], journal=numbers["journal"],
            entry=numbers["entry"] or None, amount=amount(numbers["amount"]),
            date=f"{day[:4]}-{day[4:6]}-{day[6:]}" if numbers["date"] else None, **texts,
        )  # fmt: skip

    def periods(self) -> list[str]:
        """The periods of the lines, YYYYPP."""
        return [str(period) for period in np.unique(self.columns["year"] * 100 + self.columns["period"])]

    def check_grouping(self, findings: Findings) -> None:
        """Each cost centre's lines must follow one another, and cost centres ascend."""
        codes = self.columns["cost_centre"]
        starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist()] if len(codes) else []
        seen: set[str] = set()
        previous = ""
        for row in starts:
            name = self.texts[int(codes[row])]
            if not name:
                findings.add(f"Line {row + 1} has no cost centre.")
            elif name in seen:
                findings.add(f"Line {row + 1}: the lines of cost centre {name!r} do not follow one another.")
            elif name < previous:
                findings.add(f"Line {row + 1}: cost centre {name!r} comes after {previous!r}; they must ascend.")
            seen.add(name)
            previous = name


class LineBuilder:
    """Takes lines one by one and makes a block of them."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self._numbers = {name: array("q") for name in NUMBERS}
        self._codes = {name: array("i") for name in TEXTS}

    def __len__(self) -> int:
        return len(self._numbers["amount"])

    def add(self, numbers: tuple[int, ...], texts: tuple[str, ...]) -> None:
        """Adds a line: the values of `NUMBERS` and of `TEXTS`, in that order."""
        for column, number in zip(self._numbers.values(), numbers, strict=True):
            column.append(number)
        code = self.texts.code
        for column, text in zip(self._codes.values(), texts, strict=True):
            column.append(code(text))

    def block(self, file: str, company: str) -> PostingBlock:
        """All lines so far."""
        columns = {name: np.frombuffer(column, dtype=np.int64) for name, column in self._numbers.items()}
        columns |= {name: np.frombuffer(column, dtype=np.int32) for name, column in self._codes.items()}
        return PostingBlock(file, company, columns, self.texts)


class Postings:
    """All lines that arrived, file after file."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.blocks: list[PostingBlock] = []

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks)

    def __iter__(self) -> Iterator[Posting]:
        for block in self.blocks:
            for row in range(len(block)):
                yield block.posting(row)

    def of(self, file: str) -> list[Posting]:
        """The lines of one file. Raises KeyError when no file of the name brought lines."""
        found = [block for block in self.blocks if block.file == file]
        if not found:
            raise KeyError(file)
        return [block.posting(row) for block in found for row in range(len(block))]

    def totals(self, year: int | None = None, period: int | None = None) -> PostingTotals:
        """Control figures of all lines, or of those of a year, a period."""
        picked = [{name: block.columns[name][_mask(block, year, period)] for name in TOTALLED} for block in self.blocks]
        columns = {name: np.concatenate([_NOTHING, *(one[name] for one in picked)]) for name in TOTALLED}
        return posting_totals(columns, self.texts)

    def add(self, block: PostingBlock, findings: Findings) -> None:
        """Takes a file's lines; those that say which entry they are may come only once."""
        self.blocks.append(block)
        if block.has_entries:
            self._check_entries(block, findings)

    def _check_entries(self, block: PostingBlock, findings: Findings) -> None:
        known = [one for one in self.blocks if one.has_entries and one.company == block.company]
        journals, entries, rows = [], [], []
        for one in known:
            columns = one.columns
            journals.append((columns["year"] * 100 + columns["period"]) * 10**10 + columns["journal"])
            entries.append(columns["entry"])
            rows.append(np.arange(len(one)) if one is block else np.full(len(one), -1))
        journal, entry, row = np.concatenate(journals), np.concatenate(entries), np.concatenate(rows)
        order = np.lexsort((row, entry, journal))
        same = (np.diff(journal[order]) == 0) & (np.diff(entry[order]) == 0)
        repeated = row[order][1:][same]
        repeated = np.sort(repeated[repeated >= 0])
        if len(repeated):
            first = block.posting(int(repeated[0]))
            findings.add_all(
                f"Line {int(repeated[0]) + 1}: the posting of period {first.year}{first.period:02d}, journal"
                f" {first.journal}, entry {first.entry} came before.",
                len(repeated),
            )

    def repeated(self) -> int:
        """How many lines stand, whole and alike, in more than one file; two alike in one file are no repetition."""
        if len(self.blocks) < 2:
            return 0
        columns = [np.concatenate([block.columns[name] for block in self.blocks]) for name in (*NUMBERS, *TEXTS)]
        file = np.repeat(np.arange(len(self.blocks)), [len(block) for block in self.blocks])
        order = np.lexsort((file, *columns))
        same = np.logical_and.reduce([np.diff(column[order]) == 0 for column in columns])
        return int((same & (np.diff(file[order]) != 0)).sum())


def _mask(block: PostingBlock, year: int | None, period: int | None) -> np.ndarray:
    mask = np.ones(len(block), dtype=bool)
    if year is not None:
        mask &= block.columns["year"] == year
    if period is not None:
        mask &= block.columns["period"] == period
    return mask


def posting_totals(columns: dict[str, np.ndarray], texts: Texts) -> PostingTotals:
    """Control figures of lines, of which the columns of `TOTALLED` are looked at."""
    amounts = columns["amount"]
    debit, credit = np.maximum(amounts, 0), np.maximum(-amounts, 0)
    debits, credits = _by(columns["cost_centre"], debit, texts), _by(columns["cost_centre"], credit, texts)
    return PostingTotals(
        len(amounts), amount(exact_sum(debit)), amount(exact_sum(credit)),
        {name: (debits[name], credits[name]) for name in sorted(debits)},
        dict(sorted(_by(columns["account"], amounts, texts).items())),
    )  # fmt: skip


def _by(codes: np.ndarray, amounts: np.ndarray, texts: Texts) -> dict[str, Decimal]:
    found, inverse = np.unique(codes, return_inverse=True)
    sums = sums_by(inverse, amounts, len(found))
    return {texts[code]: amount(total) for code, total in zip(found.tolist(), sums, strict=True)}
