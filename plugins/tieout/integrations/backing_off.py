"""How often what failed is tried again: every time at first, then ever more rarely."""

from __future__ import annotations

from datetime import datetime, timedelta

from tieout.config import HeldRetry
from tieout.ledger import HeldRow


def pause(attempts: int, *, eager: int, first_minutes: float, longest_minutes: float) -> timedelta:
    """How long to wait after so many failures in a row: not at all for the `eager` first ones, then twice as long each.

    Args:
        attempts: Failures in a row, the last one counted.
        eager: Failures after which nothing is waited for.
        first_minutes: The first pause.
        longest_minutes: The longest.
    """
    late = attempts - eager
    if late <= 0:
        return timedelta(0)
    return timedelta(minutes=min(first_minutes * 2.0 ** min(late - 1, 32), longest_minutes))


def due(row: HeldRow, retry: HeldRetry, now: datetime) -> bool:
    """Whether a scheduled run tries a held record again."""
    wait = pause(
        row.attempts,
        eager=retry.eager_attempts,
        first_minutes=retry.first_delay_minutes,
        longest_minutes=retry.max_delay_minutes,
    )
    return now - row.last_seen >= wait
