"""Column lineage: from which source properties, by which operation, each column comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tieout.mapping.catalog import Catalog
from tieout.mapping.model import LINE_PREFIX, EntityMapping

CONSTANT = "(constant)"
ALL_CUSTOM = "U_*"


@dataclass(frozen=True)
class Lineage:
    """One source property of one column.

    Attributes:
        source: Path of the property, such as `Invoices.DocumentLines.LineTotal`, or `(constant)`.
        column: Name of the file's column; `U_*` and `line.U_*` stand for the custom fields when these are not known.
        operation: What is done, such as `rename` or `derive document_amount, money`.
    """

    source: str
    column: str
    operation: str


def lineage(
    mapping: EntityMapping, custom_columns: Sequence[str] | None = None, *, with_alternative: bool = True
) -> list[Lineage]:
    """Every column of a mapping with every property it is made from; no column is left out.

    Args:
        mapping: The mapping.
        custom_columns: The custom columns of a compiled mapping, when they are known.
        with_alternative: Also the columns as made from the second source, where the mapping has one.
    """
    catalog = Catalog(mapping)
    source = mapping.source
    entity_set = f"{source.entity_set}.{source.record_path}" if source.record_path else source.entity_set
    found = []
    for column in mapping.columns:
        paths = [_full_path(path, source.entity_set, entity_set) for path in catalog.sources(column)]
        found += [Lineage(path, column.name, column.operation) for path in paths or [CONSTANT]]
    found += [_custom(name, entity_set, source.lines) for name in _custom_columns(mapping, custom_columns)]
    alternative = mapping.alternative()
    return found + (lineage(alternative, custom_columns) if alternative and with_alternative else [])


def _full_path(path: str, parent: str, entity_set: str) -> str:
    if path.startswith("parent."):
        return f"{parent}.{path.removeprefix('parent.')}"
    return path if path.startswith("${") else f"{entity_set}.{path}"


def _custom_columns(mapping: EntityMapping, known: Sequence[str] | None) -> list[str]:
    if known is not None:
        return list(known)
    wanted = mapping.custom_fields
    return [ALL_CUSTOM] * wanted.header + [LINE_PREFIX + ALL_CUSTOM] * wanted.lines


def _custom(column: str, entity_set: str, lines: str | None) -> Lineage:
    if column.startswith(LINE_PREFIX):
        return Lineage(f"{entity_set}.{lines}.{column.removeprefix(LINE_PREFIX)}", column, "pass through")
    return Lineage(f"{entity_set}.{column}", column, "pass through")
