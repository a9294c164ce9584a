"""Findings of one file, without letting a wholly wrong file fill the memory with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tieout.formats.findings import Finding, Severity

SHOWN_PER_RULE = 20


class Findings:
    """Collects what is wrong; of each rule the first few in full, and then how many more."""

    def __init__(self) -> None:
        self._shown: list[Finding] = []
        self._seen: Counter[tuple[str, Severity]] = Counter()

    def fatal(self, rule: str, line: int, message: str) -> None:
        """The file cannot be used as it is."""
        self._add(rule, "fatal", line, message)

    def warn(self, rule: str, line: int, message: str) -> None:
        """Odd, but banks do it and receivers take it."""
        self._add(rule, "warning", line, message)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Findings that were made elsewhere."""
        for finding in findings:
            self._add(finding.rule, finding.severity, finding.line, finding.message)

    def first_fatal(self) -> Finding | None:
        """The first that makes the file unusable, if any."""
        return next((finding for finding in self._shown if finding.fatal), None)

    def all(self) -> tuple[Finding, ...]:
        """In the file's order; what was left out is counted at the end."""
        shown = sorted(self._shown, key=lambda finding: finding.line or 0)
        return (*shown, *self._more())

    def _add(self, rule: str, severity: Severity, line: int | None, message: str) -> None:
        self._seen[rule, severity] += 1
        if self._seen[rule, severity] <= SHOWN_PER_RULE:
            self._shown.append(Finding(rule, "CODA", severity, message, line=line))

    def _more(self) -> list[Finding]:
        return [
            Finding(rule, "CODA", severity, f"{count - SHOWN_PER_RULE} more findings by this rule are not listed.")
            for (rule, severity), count in self._seen.items()
            if count > SHOWN_PER_RULE
        ]
