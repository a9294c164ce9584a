"""Repeated values, found through digests on disk, against counting in memory."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.quality import uniqueness
from tieout.quality.uniqueness import RepeatFinder

_VALUES = st.lists(st.sampled_from(["", "a", "b", "A", "é", "0", "00", "a ", "long" * 9]), max_size=40)


@pytest.fixture(autouse=True, scope="module")
def _small_ranges() -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr(uniqueness, "ROWS_PER_RANGE", 4)
    patch.setattr(uniqueness, "ROWS_PER_READ", 3)
    patch.setattr(uniqueness, "ROWS_PER_PART", 5)
    yield
    patch.undo()


def _frames(values: list[tuple[str, str]], size: int) -> list[pd.DataFrame]:
    rows = [{"k": k or None, "n": n or None} for k, n in values]
    starts = range(0, len(rows), size)
    return [pd.DataFrame(rows[start : start + size], columns=["k", "n"], dtype="str") for start in starts]


def _found(columns: list[str], frames: list[pd.DataFrame]) -> tuple[Counter[tuple[str | None, ...]], int, list[int]]:
    """Repeated values with their counts, rows judged, and rows per part."""
    with RepeatFinder(columns) as finder:
        for frame in frames:
            finder.add(frame)
        repeated = finder.repeated()
        parts = [finder.candidates(frames, repeated, part) for part in range(repeated.parts)]
    rows = [
        tuple(None if pd.isna(value) else str(value) for value in row)
        for part in parts
        for row in part[columns].itertuples(index=False)
    ]
    return Counter(rows), finder.evaluated, [len(part) for part in parts]


@settings(max_examples=60, deadline=None)
@given(keys=_VALUES, size=st.integers(1, 9))
def test_single_column(keys: list[str], size: int) -> None:
    found, evaluated, _ = _found(["k"], _frames([(key, "") for key in keys], size))
    present = [key for key in keys if key]
    assert found == Counter({(key,): count for key, count in Counter(present).items() if count > 1})
    assert evaluated == len(present)


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["", "a", "b"])), max_size=40))
def test_several_columns(pairs: list[tuple[str, str]]) -> None:
    found, evaluated, _ = _found(["k", "n"], _frames(pairs, 4))
    present = [(k or None, n or None) for k, n in pairs if k or n]
    assert found == Counter({pair: count for pair, count in Counter(present).items() if count > 1})
    assert evaluated == len(present)


def test_many_repetitions_are_judged_in_parts() -> None:
    values = [(f"v{number % 20}", "") for number in range(60)]
    _, _, parts = _found(["k"], _frames(values, 7))
    assert sum(parts) == 60
    assert max(parts) < 30
