"""Date formats a mapping may ask for: digits of `YYYY-MM-DD` in another order. Light imports only."""

from __future__ import annotations

import re

ISO_DATE = "%Y-%m-%d"
DATE_PARTS = {"%Y": (0, 4), "%y": (2, 4), "%m": (5, 7), "%d": (8, 10)}
"""Where each part stands in `YYYY-MM-DD`."""


def date_format_problem(pattern: str) -> str | None:
    """What is wrong with a date format, or None."""
    unknown = [part for part in re.findall(r"%.?", pattern) if part not in DATE_PARTS]
    if unknown:
        return f"the date format {pattern!r} has {unknown[0]!r}; only %Y, %m, %d and %y are possible."
    if "%" not in pattern:
        return f"the date format {pattern!r} has none of %Y, %m, %d and %y; write one such as {ISO_DATE}."
    return None
