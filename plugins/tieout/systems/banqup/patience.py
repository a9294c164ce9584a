"""Patience with a service that cannot serve now, or that says when to come back."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tieout.errors import SourceUnavailable
from tieout.systems.banqup.settings import BanqupSettings
from tieout.systems.common.backoff import NOTHING_READ, Backoff
from tieout.systems.common.transport import Clock, Reply

_SECONDS = re.compile(r"\d{1,9}")
_COME_BACK_LATER = frozenset({408, 425, 429})


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Timing:
    """How time passes; tests have a clock of their own.

    Attributes:
        clock: Seconds of a clock that never goes back.
        sleep: Waits for so many seconds.
        jitter: A random number in [0, 1).
        now: The present moment, aware UTC.
    """

    clock: Clock = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    now: Callable[[], datetime] = utc_now


def transient(status: int) -> bool:
    """Whether the same read may well succeed a little later."""
    return (status >= 500 and status != 501) or status in _COME_BACK_LATER


class Patience:
    """Pauses between the attempts of one request: within `retry_seconds` by our own measure, and within
    `max_retry_after` where the service says how long.

    Args:
        what: The request, for the message: no address that is secret.
        settings: The server and the limits.
        timing: How time passes.
    """

    def __init__(self, what: str, settings: BanqupSettings, timing: Timing) -> None:
        self._what = what
        self._settings = settings
        self._timing = timing
        self._asked_for = 0.0
        self._backoff = Backoff(
            what,
            settings.server,
            budget=settings.retry_seconds,
            clock=self._unasked_clock,
            sleep=timing.sleep,
            jitter=timing.jitter,
        )

    def _unasked_clock(self) -> float:
        """Without the time that the service asked us to wait."""
        return self._timing.clock() - self._asked_for

    def after_failure(self, reason: str) -> None:
        """Waits before the next attempt.

        Raises:
            SourceUnavailable: There is no time left for one.
        """
        self._backoff.pause(reason)

    def after_answer(self, reply: Reply, reason: str) -> None:
        """Waits before the next attempt, at least as long as the answer says.

        Raises:
            SourceUnavailable: There is no time left for one; the message says when the service asks to come back.
        """
        wait = retry_after(reply, self._timing.now())
        if not wait:
            self._backoff.pause(reason)
            return
        if self._asked_for + wait > self._settings.max_retry_after:
            when = self._timing.now() + timedelta(seconds=wait)
            raise SourceUnavailable(
                f"{self._settings.server} asks to come back at {when:%Y-%m-%d %H:%M:%S} UTC, in {math.ceil(wait)} "
                f"seconds ({self._what}: {reason}). {NOTHING_READ} max_retry_after of the connection's extra says how "
                f"long one request may wait (now {self._settings.max_retry_after:g} seconds)."
            )
        wait += self._timing.jitter() / 4
        self._asked_for += wait
        self._timing.sleep(wait)


def retry_after(reply: Reply, now: datetime) -> float:
    """Seconds that an answer asks to wait, by number or by date; 0 where it does not say."""
    text = (reply.headers.get("Retry-After") or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    moment = http_date(text)
    if moment is None:
        return 0.0
    # By the server's own clock where it shows it: ours may differ.
    return max(0.0, (moment - (http_date(reply.headers.get("Date") or "") or now)).total_seconds())


def http_date(text: str) -> datetime | None:
    """A moment in HTTP's own form, aware UTC; None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
