"""The sandbox's own time: real time until a test or a rehearsal moves or stops it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class SandboxClock:
    """A clock every simulator reads, so that sessions can expire and days can pass without waiting.

    Args:
        frozen_at: Aware moment at which the clock stands still; it then moves by `advance` only.
    """

    def __init__(self, frozen_at: datetime | None = None) -> None:
        if frozen_at is not None and frozen_at.tzinfo is None:
            raise ValueError(
                "frozen_at has no time zone; pass an aware datetime, e.g. datetime(2026, 1, 5, tzinfo=UTC)"
            )
        self._lock = threading.Lock()
        self._frozen_at = frozen_at
        self._offset = timedelta()

    def now(self) -> datetime:
        """The sandbox's present moment, aware, in UTC."""
        with self._lock:
            return (self._frozen_at or datetime.now(UTC)) + self._offset

    def advance(self, delta: timedelta | float) -> datetime:
        """Moves the clock by a timedelta, or by a number of seconds, and returns the new moment."""
        with self._lock:
            self._offset += delta if isinstance(delta, timedelta) else timedelta(seconds=delta)
        return self.now()
