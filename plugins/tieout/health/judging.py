"""Clocks and sessions: how far apart, how long."""

from __future__ import annotations

from datetime import timedelta

from tieout.health.model import CLOCK, SESSION, Check, Status

# SAP keeps change dates, not times, and runs read with a lookback: a few minutes do no harm, but somebody should know.
SKEW_WARNING = timedelta(seconds=60)
SKEW_FAILURE = timedelta(minutes=5)
# A run's longest pause between two requests is that for checks and expectations, some minutes for the largest batches.
SHORT_IDLE_TIME = timedelta(minutes=10)
# A token is renewed half a minute before its end; below this most requests would need one of their own.
SHORT_TOKEN = timedelta(minutes=2)


def check_skew(skew: timedelta) -> Check:
    """Judge the difference between another system's clock and ours; positive when the other one is ahead."""
    seconds = round(skew.total_seconds())
    if abs(skew) <= SKEW_WARNING:
        return Check(CLOCK, Status.OK)
    status = Status.FAILED if abs(skew) > SKEW_FAILURE else Status.WARNING
    side = "ahead of" if seconds > 0 else "behind"
    return Check(CLOCK, status, f"Its clock is {abs(seconds)} s {side} ours; synchronise both with a time server.")


def check_idle_time(allowed: timedelta | None) -> Check:
    """Judge how long a server lets a session be idle; a run logs in again where its session has ended.

    Args:
        allowed: What the server said at the log-in; None where it did not.
    """
    if allowed is None:
        return Check(SESSION, Status.UNKNOWN)
    minutes = f"A session ends after {allowed.total_seconds() / 60:g} minutes without a request"
    if allowed < SHORT_IDLE_TIME:
        often = "runs log in anew after every pause, which costs seconds each. Have SessionTimeout raised."
        return Check(SESSION, Status.WARNING, f"{minutes}: {often}")
    return Check(SESSION, Status.OK, f"{minutes}; a run whose session has ended logs in again.")


def check_token_life(life: timedelta | None) -> Check:
    """Judge how long an access token lasts; it is renewed before its end.

    Args:
        life: What the service said; None where only a refusal will tell.
    """
    if life is None:
        return Check(SESSION, Status.OK, "The service does not say how long a token lasts; it is renewed when refused.")
    seconds = f"A token lasts {life.total_seconds():g} seconds"
    if life < SHORT_TOKEN:
        often = "most requests need one of their own, which is slow and may be limited. Ask the service."
        return Check(SESSION, Status.WARNING, f"{seconds}: {often}")
    return Check(SESSION, Status.OK, f"{seconds} and is renewed before its end.")
