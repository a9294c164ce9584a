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
        what: The request without its query, for the message.
        server: The server, for the message: `SYSPRO at erp:30001`.
        budget: Seconds from the first failure after which no further attempt begins.
        clock: Seconds of a clock that never goes back.
        sleep: Waits for so many seconds.
        jitter: A random number in [0, 1).
        given_up: What giving up means for the caller's work, for the message.
    """

    def __init__(
        self,
        what: str,
        server: str,
        *,
        budget: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
        given_up: str = NOTHING_READ,
    ) -> None:
        self._what = what
        self._server = server
        self._budget = budget
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._given_up = given_up
        self._first_failure: float | None = None
        self._failures = 0

    def pause(self, reason: str, at_least: float = 0.0) -> None:
        """Waits before the next attempt.

        Args:
            reason: Why, for the message.
            at_least: Seconds that the server asked for (`Retry-After`).

        Raises:
            SourceUnavailable: The budget is used up; the message holds the last reason.
        """
        now = self._clock()
        if self._first_failure is None:
            self._first_failure = now
        self._failures += 1
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
        pause = max(at_least, longest * (0.5 + self._jitter() / 2))
        if now + pause - self._first_failure > self._budget:
            attempts = f"{self._failures} attempts" if self._failures > 1 else "1 attempt"
            raise SourceUnavailable(
                f"{self._server} does not answer ({self._what}: {reason}; {attempts}). {self._given_up}"
            )
        self._sleep(pause)
