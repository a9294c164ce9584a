"""The ledger's database."""

from __future__ import annotations

from tieout.errors import ConfigurationInvalid
from tieout.health.model import (
    AUTHENTICATED,
    CLOCK,
    HOST_KEY,
    REACHABLE,
    READABLE,
    WRITABLE,
    Check,
    Status,
    not_applicable,
    unknown,
)


def check_ledger(url: str) -> list[Check]:
    """Whether the ledger's database answers and has the tables of this version."""
    from sqlalchemy.exc import SQLAlchemyError

    from tieout.ledger import Filters, Ledger

    rest = [*not_applicable(HOST_KEY), *unknown(CLOCK)]
    try:
        with Ledger.open(url) as ledger:
            ledger.count_runs(Filters())
    except SQLAlchemyError as error:
        sentence = f"The ledger's database does not answer ({type(error).__name__}); start it or correct its address."
        return [Check(REACHABLE, Status.FAILED, sentence), *unknown(AUTHENTICATED, READABLE, WRITABLE), *rest]
    except ConfigurationInvalid as error:
        return [Check(REACHABLE, Status.FAILED, str(error)), *unknown(AUTHENTICATED, READABLE, WRITABLE), *rest]
    good = [Check(name, Status.OK) for name in (REACHABLE, AUTHENTICATED, READABLE)]
    return [*good, *unknown(WRITABLE), *rest]
