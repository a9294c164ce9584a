"""Codes: what another system calls a record of the source, such as the supplier that a vendor is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from tieout.ledger.database import Database, chunks
from tieout.ledger.filters import by_scope
from tieout.ledger.models import codes, scopes
from tieout.ledger.rows import Scope
from tieout.ledger.scopes import ScopeStore

_PER_STATEMENT = 300


class CodeStore(ScopeStore, Database):
    """The codes in the ledger."""

    def remember_codes(self, scope: Scope, found: Mapping[str, str]) -> None:
        """Note codes by source key; the last one learnt counts."""
        if not found:
            return
        with self._writing() as connection:
            scope_id = self._scope_id(connection, scope)
            for some in chunks(sorted(found.items()), _PER_STATEMENT):
                rows = [{"scope_id": scope_id, "source_key": key, "code": code} for key, code in some]
                statement = self._insert(codes).values(rows)
                new: Any = statement.excluded
                connection.execute(
                    statement.on_conflict_do_update(index_elements=["scope_id", "source_key"], set_={"code": new.code})
                )

    def codes(self, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
        """The codes that are known, by source key."""
        found: dict[str, str] = {}
        query = select(codes.c.source_key, codes.c.code).join(scopes, scopes.c.id == codes.c.scope_id)
        with self._reading() as connection:
            for some in chunks(keys, _PER_STATEMENT):
                rows = connection.execute(query.where(*by_scope(scopes, scope), codes.c.source_key.in_(some)))
                found.update((row.source_key, row.code) for row in rows)
        return found
