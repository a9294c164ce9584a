"""Fields that are reported when they cannot be read."""

from __future__ import annotations

from tieout.formats.coda.fields import NO_DATE, iso_date, signed, text
from tieout.formats.coda.reports import Findings
from tieout.formats.findings import Severity


def amount(findings: Findings, number: int, field: bytes, name: str) -> int | None:
    """Thousandths from a sign and fifteen digits, or None and a finding."""
    thousandths = signed(field)
    if thousandths is None:
        findings.fatal(
            "CODA-AMOUNT", number, f"The {name} is {text(field)!r}; expected are a sign, 0 or 1, and 15 digits."
        )
    return thousandths


def date(findings: Findings, number: int, field: bytes, name: str, *, zeros: Severity | None) -> str | None:
    """`YYYY-MM-DD`, or None.

    Args:
        findings: Where to report a date that is none.
        number: The line.
        field: `DDMMYY`.
        name: What the date is of, and where it stands.
        zeros: How bad `000000`, which says that there is no date, is in this place; None where it is meant.
    """
    day = iso_date(field)
    if day is None and field == NO_DATE and zeros != "fatal":
        if zeros == "warning":
            findings.warn("CODA-DATE", number, f"The {name} is 000000: there is none.")
    elif day is None:
        findings.fatal("CODA-DATE", number, f"The {name} is {text(field)!r}, which is no date as DDMMYY.")
    return day
