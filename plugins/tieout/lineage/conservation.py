"""The run facet `tieout_conservation`: the proof that every record has ended in exactly one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tieout.ledger import RunRow, totals_text
from tieout.lineage.facets import Facet

NAME = "tieout_conservation"
MOST_ENTITIES = 100
"""An integration may have hundreds of clients; an event need not list all that had nothing to do."""

_PLACES = ("extracted", "delivered", "posted", "held", "duplicate", "excluded")


def conservation_facet(rows: Sequence[RunRow]) -> Facet:
    """Counts of each entity, and the money read and delivered; amounts are decimal texts, never floats.

    Args:
        rows: The ledger's, of one run.

    Returns:
        Totals over all entities; of the entities, those first that do not tie out, then those with records.
    """
    listed = sorted(rows, key=lambda row: (bool(row.ties_out), row.extracted == 0))[:MOST_ENTITIES]
    return {
        "tiesOut": bool(rows) and all(row.ties_out for row in rows),
        **{place: sum(getattr(row, place) for row in rows) for place in _PLACES},
        "entities": [_entity(row) for row in listed],
        "entitiesLeftOut": len(rows) - len(listed),
    }


def _entity(row: RunRow) -> dict[str, Any]:
    return {
        "entity": row.entity,
        **{place: getattr(row, place) for place in _PLACES},
        "sourceTotals": totals_text(row.source_totals),
        "targetTotals": totals_text(row.target_totals),
        "tiesOut": bool(row.ties_out),
    }
