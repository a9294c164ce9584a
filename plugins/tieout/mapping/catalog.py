"""What the names in a mapping stand for: level and type of every property, value and column. Light imports only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tieout.mapping.model import PREPARED, EntityMapping, Expression, Named
from tieout.odata.schema import FieldType

PARENT = "parent."


class Kind(Enum):
    """What a name refers to."""

    FIELD = "field"
    LINE_FIELD = "line field"
    DERIVED = "value or column"


@dataclass(frozen=True)
class Resolved:
    """A name of the mapping, looked up."""

    kind: Kind
    name: str
    type: FieldType | None = None
    expression: Named | None = None


class Catalog:
    """All names of one mapping."""

    def __init__(self, mapping: EntityMapping) -> None:
        source = mapping.source
        prepared = PREPARED.get(source.prepare or "")
        self.mapping = mapping
        self.fields: dict[str, FieldType] = {
            **source.fields,
            **source.provided,
            **{PARENT + name: kind for name, kind in source.parent.items()},
            **(prepared.fields if prepared else {}),
        }
        self.collections: dict[str, dict[str, FieldType]] = {
            **source.collections,
            **(prepared.collections if prepared else {}),
        }
        self.lines = self.collections.get(source.lines or "", {})
        self.derived: dict[str, Named] = {item.name: item for item in (*mapping.columns, *mapping.values)}

    def resolve(self, name: str, *, within: str | None = None) -> Resolved | None:
        """What `name` means in the expression called `within`; None when it means nothing.

        A property of the source comes before a value or column of the same name.
        """
        if name in self.fields:
            return Resolved(Kind.FIELD, name, type=self.fields[name])
        collection, _, member = name.partition(".")
        if collection == self.mapping.source.lines and member in self.lines:
            return Resolved(Kind.LINE_FIELD, member, type=self.lines[member])
        if name in self.derived and name != within:
            return Resolved(Kind.DERIVED, name, expression=self.derived[name])
        return None

    def names(self) -> list[str]:
        """Every name that may be referred to."""
        lines = [f"{self.mapping.source.lines}.{member}" for member in self.lines]
        return [*self.fields, *lines, *self.derived]

    def type_of(self, name: str, within: str | None = None) -> FieldType:
        """The type of what a name stands for; text when it has none of its own."""
        found = self.resolve(name, within=within)
        if found is None:
            return FieldType.TEXT
        if found.expression is not None:
            return self.expression_type(found.expression)
        return found.type or FieldType.TEXT

    def expression_type(self, expression: Expression, within: str | None = None) -> FieldType:
        """The type of an expression's value, before it becomes text."""
        own = within or getattr(expression, "name", None)
        if expression.translation or expression.constant is not None or expression.setting:
            return FieldType.TEXT
        if expression.join or expression.cases or expression.equal:
            return FieldType.TEXT
        if expression.derive:
            return FieldType.NUMBER
        if expression.pick:
            members = self.collections.get(expression.pick.collection, {})
            return members.get(expression.pick.field, FieldType.TEXT)
        kinds = {self.type_of(name, own) for name in (*expression.first_of, *filter(None, [expression.from_]))}
        if len(kinds) == 1:
            return kinds.pop()
        if kinds == {FieldType.NUMBER, FieldType.INTEGER}:
            return FieldType.NUMBER
        return FieldType.TEXT

    def is_line_level(self, expression: Expression, own: str | None = None) -> bool:
        """Whether a value differs from line to line."""
        own = own or getattr(expression, "name", None)
        if expression.derive and expression.derive.function in ("collection_sum", "sum_of_lines"):
            return False
        # The currency of `money` is the record's, but a line's may be used as well: any reference decides.
        for name in expression.references():
            found = self.resolve(name, within=own)
            if found is None:
                continue
            if found.kind is Kind.LINE_FIELD:
                return True
            if found.expression is not None and self.is_line_level(found.expression):
                return True
        return False

    def sources(self, expression: Expression, own: str | None = None) -> Iterator[str]:
        """The source properties, as paths, from which a value is made, each once and in order."""
        seen: set[str] = set()
        for path in self._paths(expression, own or getattr(expression, "name", None)):
            if path not in seen:
                seen.add(path)
                yield path

    def _paths(self, expression: Expression, own: str | None) -> Iterator[str]:
        if expression.pick:
            pick = expression.pick
            members = [pick.field, *pick.where, *filter(None, [pick.latest_by])]
            yield from (f"{pick.collection}.{member}" for member in members)
        if expression.setting:
            yield f"${{{expression.setting}}}"
        for name in expression.references():
            if expression.derive and expression.derive.function == "collection_sum" and name in expression.derive.of:
                yield name
                continue
            found = self.resolve(name, within=own)
            if found is None:
                continue
            if found.kind is Kind.FIELD:
                yield found.name
            elif found.kind is Kind.LINE_FIELD:
                yield f"{self.mapping.source.lines}.{found.name}"
            elif found.expression is not None:
                yield from self._paths(found.expression, found.name)
