"""Patience with a server that cannot serve now: growing pauses with jitter, within a total budget."""

from __future__ import annotations

from collections.abc import Callable

from tieout.errors import SourceUnavailable

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0

NOTHING_READ = "Nothing of this read is used; the next run catches up."
NOTHING_SENT = "Nothing of this write was carried out; it can safely be sent again."


class Backoff:
    """Pauses between the attempts of one request.

    Args:
        what: The request, for the message.
        host: The server, for the message.
        budget: Seconds from the first failure after which no further attempt begins.
        clock: Seconds of a clock that never goes back.
        sleep: Waits for so many seconds.
        jitter: A random number in [0, 1).
        given_up: What giving up means for the caller's work, for the message.
    """

    def __init__(
        self,
        what: str,
        host: str,
        *,
        budget: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
        given_up: str = NOTHING_READ,
    ) -> None:
        self._what = what
        self._host = host
        self._budget = budget
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._given_up = given_up
        self._first_failure: float | None = None
        self._failures = 0

    def pause(self, reason: str) -> None:
        """Waits before the next attempt.

        Raises:
            SourceUnavailable: The budget is used up; the message holds the last reason.
        """
        now = self._clock()
        if self._first_failure is None:
            self._first_failure = now
        self._failures += 1
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
        pause = longest * (0.5 + self._jitter() / 2)
        if now + pause - self._first_failure > self._budget:
            raise self.unavailable(reason)
        self._sleep(pause)

    def unavailable(self, reason: str) -> SourceUnavailable:
        """The error for giving up."""
        attempts = f"{self._failures} attempts" if self._failures > 1 else "1 attempt"
        return SourceUnavailable(
            f"SAP Business One at {self._host} does not answer ({self._what}: {reason}; {attempts}). {self._given_up}"
        )
