"""Numbers without gaps: file sequence numbers and interchange control numbers."""

from __future__ import annotations

from sqlalchemy import Integer, literal

from tieout.ledger.models import sequences
from tieout.ledger.rows import Scope
from tieout.ledger.scopes import ScopeStore


class SequenceStore(ScopeStore):
    """The counters in the ledger."""

    def next_sequence(self, scope: Scope, name: str) -> int:
        """The next number of a counter, starting at 1; every number is given once, in a transaction of its own."""
        with self._writing() as connection:
            first = {"scope_id": self._scope_id(connection, scope), "name": name, "last_number": 1}
            statement = self._insert(sequences).values(first)
            upsert = statement.on_conflict_do_update(
                index_elements=["scope_id", "name"],
                set_={"last_number": sequences.c.last_number + literal(1, Integer)},
            ).returning(sequences.c.last_number)
            number: int = connection.execute(upsert).scalar_one()
            return number
