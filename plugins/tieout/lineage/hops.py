"""Column lineage step by step: source → staged records → prepared file → what the receiver has.

The mapping files know a target's sources over all steps (`ColumnLineage`). A step's event tells its own part of the
way, so that whoever draws the graph sees every column at every station.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tieout.lineage.datasets import Dataset, Locate
from tieout.lineage.facets import column_lineage_facet, schema_facet
from tieout.lineage.flow import Facets
from tieout.lineage.origins import ORIGINS
from tieout.mapping.lineage import NO_ORIGINS, ColumnLineage, Kind

_STAGED = "staged"
_AS_IT_IS = "rename"


def sources(rows: Iterable[ColumnLineage]) -> list[str]:
    """The entity sets, tables or files that rows read, each once."""
    return list(dict.fromkeys(row.source.partition(".")[0] for row in rows if row.kind.reads_source))


def into_staging(rows: Iterable[ColumnLineage], integration: str = "", entity: str = "") -> list[ColumnLineage]:
    """The way from the source to the staged columns.

    Args:
        rows: Of an entity's targets.
        integration: Whose; what its steps add to the records is known in `ORIGINS`.
        entity: Whose records.
    """
    origins = ORIGINS.get((integration, entity), NO_ORIGINS)
    found: dict[tuple[str, str], ColumnLineage] = {}
    for row in rows:
        if row.kind.reads_source and row.staged:
            origin = origins.get(row.staged)
            words, kind = (origin.transformation, origin.kind) if origin else (_AS_IT_IS, Kind.IDENTITY)
            found.setdefault((row.source, row.staged), ColumnLineage(row.source, "", row.staged, words, kind))
    return list(found.values())


def out_of_staging(rows: Iterable[ColumnLineage], staged: Dataset, source: Locate) -> Facets:
    """The facets of what is made of staged records: its columns, and from which staged ones each comes.

    What is not staged is read from the source itself.
    """
    hops = [
        replace(row, source=f"{_STAGED}.{row.staged}") if row.kind.reads_source and row.staged else row for row in rows
    ]
    return facets(hops, lambda first: staged if first == _STAGED else source(first))


def unchanged(columns: Sequence[str], before: Dataset) -> Facets:
    """The facets of what has the same columns as the dataset that it was made of."""
    rows = [ColumnLineage(f"{_STAGED}.{name}", "", name, _AS_IT_IS, Kind.IDENTITY) for name in columns]
    return facets(rows, lambda _: before)


def facets(rows: Sequence[ColumnLineage], locate: Locate) -> Facets:
    """`schema` and `columnLineage` of a dataset with these targets; none for one without."""
    if not rows:
        return {}
    return {
        "schema": schema_facet((name, "") for name in targets(rows)),
        "columnLineage": column_lineage_facet(rows, locate),
    }


def targets(rows: Iterable[ColumnLineage]) -> list[str]:
    """The targets of rows, each once, in their order."""
    return list(dict.fromkeys(row.target for row in rows))
