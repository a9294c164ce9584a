"""Posting periods of the simulated company: which days may be posted to."""

from __future__ import annotations

import re
from datetime import date

from sandbox.sap_b1.errors import refused


class PostingPeriods:
    """Monthly periods.

    Attributes:
        first: First day that has a period.
        last: Last day that has one; None: the end of the year after the company's present one.
    """

    def __init__(self) -> None:
        self.first = date(2020, 1, 1)
        self.last: date | None = None
        self._locked: set[str] = set()

    def lock(self, period: str) -> None:
        """Locks a month, `YYYY-MM`."""
        self._locked.add(_month(period))

    def unlock(self, period: str) -> None:
        """Opens a month again; harmless when it is open."""
        self._locked.discard(_month(period))

    @property
    def locked(self) -> list[str]:
        """Months that are locked, `YYYY-MM`."""
        return sorted(self._locked)

    def check(self, day: str, today: date) -> None:
        """Refuses a posting date that has no period, or a locked one.

        The codes are a guess: public sources have the texts only.

        Raises:
            ServiceLayerError: 400 with code -10 or -5002.
        """
        last = self.last or date(today.year + 1, 12, 31)
        if not self.first <= date.fromisoformat(day) <= last:
            raise refused(-10, f"Date deviates from permissible range  [OOPR.PredDate] , '{day}'")
        if day[:7] in self._locked:
            raise refused(-5002, f"Posting period locked; specify an alternative date  [OJDT.RefDate] , '{day}'")


def _month(period: str) -> str:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        raise ValueError(f"{period!r} is no month; write it like 2026-01.")
    return period
