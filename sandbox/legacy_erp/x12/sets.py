"""What the readers of the sets share: the set at hand, the segment at hand, and how they complain."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sandbox.legacy_erp.received import Reading
from sandbox.legacy_erp.x12.interchange import Interchange, TransactionSet


def element(parts: list[str], position: int) -> str:
    """An element by its position; empty where the segment ends before."""
    return parts[position] if position < len(parts) else ""


class SetReader(ABC):
    """Reads one set, segment by segment.

    Args:
        reading: Takes what the set brings.
        interchange: The separators.
        current: The set.
    """

    def __init__(self, reading: Reading, interchange: Interchange, current: TransactionSet) -> None:
        self.reading = reading
        self.interchange = interchange
        self.set = current

    def fast(self, raw: str) -> str | None:
        """Takes a segment of the kind that comes by the million, if it is without fault, and returns its id."""
        return None

    @abstractmethod
    def segment(self, parts: list[str]) -> None:
        """Takes any other segment whose elements are as they must be."""

    @abstractmethod
    def finish(self) -> None:
        """The set is over."""

    def complain(self, sentence: str) -> None:
        """Notes what is wrong with the contents, though the syntax is right."""
        self.reading.findings.add(f"Set {self.set.control}, segment {self.set.segments}: {sentence}")
