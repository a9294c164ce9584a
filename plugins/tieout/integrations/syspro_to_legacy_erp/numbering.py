"""Sequence and control numbers: looked at when a file is prepared, allocated when it is about to go.

A file is prepared with the numbers it will most likely get. They are allocated only once the receiver answers, so that
an outage uses up none; a file whose numbers turn out otherwise is written again.
"""

from __future__ import annotations

from collections.abc import Callable

from tieout.integrations.syspro_to_legacy_erp.gl.writers import Numbers
from tieout.integrations.syspro_to_legacy_erp.setup import HIGHEST_CONTROL_NUMBER, Setup
from tieout.ledger import Ledger

FILE, INTERCHANGE, GROUP = "file", "interchange", "group"

Number = Callable[[str], Numbers]
"""The numbers of an output, by its part; asked for in the order of delivery, for outputs that exist."""


def owner_of(setup: Setup, entity: str, part: str) -> str:
    """Who a number belongs to: the same for every attempt of a run at the same file."""
    return f"{setup.run.instance}/{entity}/{setup.run.run_id}/{part}"


def counters(setup: Setup, entity: str) -> dict[str, int | None]:
    """The counters that a file of an entity takes a number of, and the highest number of each."""
    if setup.entity(entity).format != "x12":
        return {FILE: None}
    return {FILE: None, INTERCHANGE: HIGHEST_CONTROL_NUMBER, GROUP: HIGHEST_CONTROL_NUMBER}


def expected(setup: Setup, entity: str, ledger: Ledger) -> Number:
    """The numbers that files would get now."""
    wanted = counters(setup, entity)
    given: dict[str, int] = {}

    def number(part: str) -> Numbers:
        place = given.setdefault(part, len(given))
        next_ones = {
            name: _later(ledger.peek_number(setup.partner, name, highest=highest), place, highest)
            for name, highest in wanted.items()
        }
        return _numbers(next_ones)

    return number


def _later(number: int, places: int, highest: int | None) -> int:
    return number + places if highest is None else (number + places - 1) % highest + 1


def allocated(setup: Setup, entity: str, ledger: Ledger) -> Number:
    """The numbers that files have got; the same again for a further attempt of the run."""
    wanted = counters(setup, entity)

    def number(part: str) -> Numbers:
        owner = owner_of(setup, entity, part)
        return _numbers(
            {
                name: ledger.allocate_number(setup.partner, name, owner, highest=highest)
                for name, highest in wanted.items()
            }
        )

    return number


def _numbers(given: dict[str, int]) -> Numbers:
    return Numbers(given[FILE], given.get(INTERCHANGE, 1), given.get(GROUP, 1))
