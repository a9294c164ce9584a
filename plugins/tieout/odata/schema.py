"""The shape of the records that an integration wants from a source.

Light on purpose (standard library only): a DAG file may import it through the mapping model. The Arrow types that
follow from it are in `tieout.odata.layout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

HEADER = "header"
"""Name of a record's own level in a mapping `level -> custom field names`; line levels bear their collection's name."""


class FieldType(StrEnum):
    """How a source property is staged.

    TEXT: string, as sent. NUMBER: decimal128(28, 6), rounded half away from zero. INTEGER: int64.
    DATE: text, cut to `YYYY-MM-DD`; a company-local date, never shifted between time zones.
    """

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    DATE = "date"


@dataclass(frozen=True)
class RecordSchema:
    """The wanted properties of one kind of record.

    Attributes:
        fields: Properties of the record itself.
        collections: Embedded collections by name, e.g. `{"DocumentLines": {"LineNum": FieldType.INTEGER}}`.
        custom_fields: Whether custom fields (`U_*`) of the record itself are discovered and staged as text.
        custom_line_fields: Collections in which custom fields are discovered too.
        parent_fields: Only for records that are elements of a parent's collection: properties of the parent, staged
            as columns named `parent.<property>`.
    """

    fields: Mapping[str, FieldType]
    collections: Mapping[str, Mapping[str, FieldType]] = field(default_factory=dict)
    custom_fields: bool = False
    custom_line_fields: tuple[str, ...] = ()
    parent_fields: Mapping[str, FieldType] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses a schema that contradicts itself.

        Raises:
            ValueError: A collection is named twice, or custom fields are wanted in a collection that is not read.
        """
        unknown = sorted(set(self.custom_line_fields) - set(self.collections))
        if unknown:
            raise ValueError(f"Custom fields are wanted in {', '.join(unknown)}, which is not among the collections.")
        doubled = sorted(set(self.fields) & set(self.collections))
        if doubled:
            raise ValueError(f"{', '.join(doubled)} is named both as a field and as a collection.")

    def custom_levels(self) -> tuple[str, ...]:
        """The levels on which custom fields are discovered: `header` and names of collections."""
        return ((HEADER,) if self.custom_fields else ()) + self.custom_line_fields
