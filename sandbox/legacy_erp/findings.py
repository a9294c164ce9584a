"""What is wrong with a file, in sentences; a file of a million bad lines does not make a million of them."""

from __future__ import annotations

from dataclasses import dataclass, field

LIMIT = 25


@dataclass
class Findings:
    """Collects sentences about one file.

    Attributes:
        problems: The first of them.
        unsaid: How many more there were.
        unchecked: What could not be compared, and why.
    """

    problems: list[str] = field(default_factory=list)
    unsaid: int = 0
    unchecked: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        """Notes a problem."""
        if len(self.problems) < LIMIT:
            self.problems.append(sentence)
        else:
            self.unsaid += 1

    def add_all(self, sentence: str, count: int) -> None:
        """Notes a sentence that stands for `count` problems of its kind, if there are any."""
        if count:
            self.add(sentence)
            self.unsaid += count - 1

    def sentences(self) -> list[str]:
        """All of them, and how many are left unsaid."""
        return [*self.problems, *([f"And {self.unsaid} more like these."] if self.unsaid else [])]
