"""Memory does not grow with the number of movements, nor with how many of them are wrong."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.formats.coda.records import Book, Move, file_of, to_bytes
from tieout.formats.coda import check_file


def peak(data: bytes) -> int:
    check_file(data)  # what is kept for good is not counted
    tracemalloc.start()
    try:
        check_file(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("broken", [False, True])
def test_memory_is_flat(broken: bool) -> None:
    def movements(count: int) -> bytes:
        data = to_bytes(file_of(Book(moves=tuple(Move(1, continued="X") for _ in range(count)))))
        return data.replace(b"050126", b"059926") if broken else data

    small, large = movements(500), movements(10_000)
    assert len(large) > 10 * len(small)
    assert peak(large) < peak(small) + 64 * 1024
