"""Clocks and secrets: how far apart, how old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from tieout.health.model import CLOCK, SECRET, Check, Status

# SAP keeps change dates, not times, and runs read with a lookback: a few minutes do no harm, but somebody should know.
SKEW_WARNING = timedelta(seconds=60)
SKEW_FAILURE = timedelta(minutes=5)
ROTATE_AFTER_DAYS = 365
ROTATION_NOTICE = timedelta(days=14)


def check_skew(skew: timedelta) -> Check:
    """Judge the difference between another system's clock and ours; positive when the other one is ahead."""
    seconds = round(skew.total_seconds())
    if abs(skew) <= SKEW_WARNING:
        return Check(CLOCK, Status.OK)
    status = Status.FAILED if abs(skew) > SKEW_FAILURE else Status.WARNING
    side = "ahead of" if seconds > 0 else "behind"
    return Check(CLOCK, status, f"Its clock is {abs(seconds)} s {side} ours; synchronise both with a time server.")


def check_secret(extra: Mapping[str, Any], today: date) -> Check:
    """Judge a secret's age, where the connection says when it was last changed.

    Args:
        extra: The connection's extras: `rotated_on` (ISO date), `rotate_after_days` (by default a year).
        today: The day to judge by.
    """
    noted = extra.get("rotated_on")
    if not noted:
        return Check(SECRET, Status.UNKNOWN)
    try:
        rotated = date.fromisoformat(str(noted))
        due = rotated + timedelta(days=int(extra.get("rotate_after_days") or ROTATE_AFTER_DAYS))
    except (ValueError, OverflowError):
        return Check(
            SECRET,
            Status.FAILED,
            "The extras rotated_on and rotate_after_days must be an ISO date and a number of days.",
        )
    age = f"The secret is {(today - rotated).days} days old"
    if today >= due:
        return Check(SECRET, Status.FAILED, f"{age}; its rotation was due on {due}.")
    if today >= due - ROTATION_NOTICE:
        return Check(SECRET, Status.WARNING, f"{age}; its rotation is due on {due}.")
    return Check(SECRET, Status.OK, f"{age}; its rotation is due on {due}.")
