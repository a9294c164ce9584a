"""How a failure becomes visible: the ledger's run rows carry the sentence that the task raised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tieout.errors import TieoutError
from tieout.integrations.run import Run
from tieout.ledger import Filters, Ledger


def sentence(error: BaseException) -> str:
    """What people read of an error: our own errors are sentences already, others get their class's name."""
    if isinstance(error, TieoutError):
        return str(error)
    return f"Unexpected {type(error).__name__}: {error}"


@contextmanager
def tell_entity(ledger: Ledger, run: Run, entities: Sequence[str]) -> Iterator[None]:
    """Write a failure inside the block to the run's rows of these entities, and let it rise."""
    try:
        yield
    except Exception as error:
        for entity in entities:
            ledger.fail_run(run.key(entity), sentence(error))
        raise


@contextmanager
def tell_every_entity(ledger: Ledger, run: Run) -> Iterator[None]:
    """The same for all entities that this run has begun."""
    try:
        yield
    except Exception as error:
        begun = Filters(integration=run.integration, instance=run.instance, run_id=run.run_id)
        for row in ledger.runs(begun):
            ledger.fail_run(run.key(row.entity), sentence(error))
        raise
