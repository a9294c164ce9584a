"""Why a record is held: a stable code for programs, sentences for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tieout.mapping.model import Owner

MISSING_VALUE = "MISSING_VALUE"
INVALID_DATE = "INVALID_DATE"
INVALID_CHARACTER = "INVALID_CHARACTER"
LINE_SUM_MISMATCH = "LINE_SUM_MISMATCH"
UNKNOWN_CURRENCY = "UNKNOWN_CURRENCY"
MAPPING_MISSING = "MAPPING_MISSING"
PAYMENT_OVER_APPLIED = "PAYMENT_OVER_APPLIED"
PAYMENT_AMOUNT_UNCLEAR = "PAYMENT_AMOUNT_UNCLEAR"
DRIFT = "DRIFT"


@dataclass(frozen=True)
class HeldReason:
    """One reason to hold a record.

    Attributes:
        reason_code: Stable upper-case name, such as `LINE_SUM_MISMATCH`.
        message: What is wrong, in a sentence for finance.
        fix_hint: Where and how to repair it.
        owner: Who does that: `finance` or `data engineer`.
    """

    reason_code: str
    message: str
    fix_hint: str
    owner: Owner = "finance"


class HeldBook:
    """The reasons to hold, by the record's position in its batch."""

    def __init__(self) -> None:
        self.reasons: dict[int, list[HeldReason]] = {}

    def add(self, record: int, reason: HeldReason) -> None:
        """Adds a reason once; several lines may share it."""
        reasons = self.reasons.setdefault(record, [])
        if reason not in reasons:
            reasons.append(reason)

    def add_all(self, reasons: Iterable[tuple[int, HeldReason]]) -> None:
        """Adds many."""
        for record, reason in reasons:
            self.add(record, reason)
