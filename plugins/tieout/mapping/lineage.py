"""Column lineage: from which source properties, by way of which staged columns, how, each target comes about.

Light imports only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from tieout.mapping.catalog import PARENT, Catalog
from tieout.mapping.catalog import Kind as NameKind
from tieout.mapping.model import LINE_PREFIX, Derivation, EntityMapping, Named

CONSTANT = "(constant)"
GENERATED = "(generated)"
NOTHING = "(nothing)"
ALL_CUSTOM = "U_*"
PASS_THROUGH = "pass through"


class Kind(StrEnum):
    """What becomes of a source on its way to a target.

    The first six are values that go into the target, from the weakest change to the strongest. A `CONDITION` decides
    which value goes there and is none itself. The last four read nothing of the source system.
    """

    IDENTITY = "identity"
    CONVERSION = "conversion"
    LOOKUP = "lookup"
    CHOICE = "choice"
    CALCULATION = "calculation"
    AGGREGATION = "aggregation"
    CONDITION = "condition"
    CONSTANT = "constant"
    SETTING = "setting"
    GENERATED = "generated"
    ABSENT = "absent"

    @property
    def reads_source(self) -> bool:
        """Whether there is a property or column of the source system behind it."""
        return self not in _WITHOUT_SOURCE

    def then(self, later: Kind) -> Kind:
        """What two steps, one after the other, come to."""
        if not self.reads_source:
            return self
        if Kind.CONDITION in (self, later):
            return Kind.CONDITION
        order = list(Kind)
        return max(self, later, key=order.index)


_WITHOUT_SOURCE = frozenset({Kind.CONSTANT, Kind.SETTING, Kind.GENERATED, Kind.ABSENT})


@dataclass(frozen=True)
class ColumnLineage:
    """One source of one target; a target with several sources has several.

    Attributes:
        source: Where it is in the source system, its entity set, table or file first: `Invoices.DocumentLines.Price`.
            `${name}` is a setting; without a source `(constant)`, `(generated)` or `(nothing)`.
        staged: The column of the staged records; empty where nothing is staged.
        target: Where it goes: a column, a record's field with its positions, a segment's element, a property.
        transformation: What is done, in words.
        kind: The same, as one of few.
    """

    source: str
    staged: str
    target: str
    transformation: str
    kind: Kind

    def onto(self, target: str, transformation: str = "", kind: Kind = Kind.IDENTITY) -> ColumnLineage:
        """The same source one step further on."""
        words = self.transformation
        if transformation and self.kind.reads_source:
            words = transformation if words == _RENAME else f"{words}, then {transformation}"
        return replace(self, target=target, transformation=words, kind=self.kind.then(kind))


@dataclass(frozen=True)
class Origin:
    """Where a column comes from that no source sends but an earlier step adds to the records.

    Attributes:
        sources: Full paths in the source system; none for what the step makes itself.
        transformation: What the step does, in words.
        kind: The same, as one of few.
    """

    sources: tuple[str, ...]
    transformation: str
    kind: Kind


_MEANS_OF_PAYMENT = (
    "CashSum", "CashSumFC", "TransferSum", "BillOfExchangeAmount", "PaymentChecks.CheckSum",
    "PaymentCreditCards.CreditSum",
)  # fmt: skip
_APPLIED = ("PaymentInvoices.SumApplied", "PaymentInvoices.AppliedFC", "PaymentInvoices.InvoiceType")
_WORTH = (*_MEANS_OF_PAYMENT, "DocCurrency", "DocRate", *_APPLIED)
PREPARED_FROM: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "payment_allocation": {
            "payment_amount": _WORTH,
            "payment_method": _MEANS_OF_PAYMENT,
            "allocations.invoice": ("PaymentInvoices.DocEntry", "PaymentInvoices.InvoiceType"),
            "allocations.applied": _WORTH,
        }
    }
)
"""Preparation → what it adds → the staged properties from which it is worked out."""

NO_ORIGINS: Mapping[str, Origin] = MappingProxyType({})
_RENAME = "rename"
_AGGREGATES = ("collection_sum", "sum_of_lines")


def column_lineage(
    mapping: EntityMapping,
    custom_columns: Sequence[str] | None = None,
    *,
    with_alternative: bool = True,
    origins: Mapping[str, Origin] = NO_ORIGINS,
    lines_apart: bool = False,
) -> list[ColumnLineage]:
    """Every column of a mapping with everything it is made from; no column is left out.

    Args:
        mapping: The mapping.
        custom_columns: The custom columns of a compiled mapping, when they are known.
        with_alternative: Also the columns as made from the second source, where the mapping has one.
        origins: Provided column → where the step that adds it takes it from.
        lines_apart: The source keeps collections in tables of their own, and not within the record.
    """
    walk = _Walk(mapping, origins, lines_apart)
    found = [row for column in mapping.columns for row in walk.rows(column)]
    found += [walk.custom(name) for name in _custom_columns(mapping, custom_columns)]
    alternative = mapping.alternative() if with_alternative else None
    if alternative is None:
        return found
    return found + column_lineage(alternative, custom_columns, origins=origins, lines_apart=lines_apart)


def _custom_columns(mapping: EntityMapping, known: Sequence[str] | None) -> list[str]:
    if known is not None:
        return list(known)
    wanted = mapping.custom_fields
    return [ALL_CUSTOM] * wanted.header + [LINE_PREFIX + ALL_CUSTOM] * wanted.lines


@dataclass(frozen=True)
class _Part:
    """A path of the staged records (or a setting, or nothing) on its way into a value."""

    path: str
    kind: Kind
    steps: tuple[str, ...]


class _Walk:
    """Follows a mapping's columns through its values to the source."""

    def __init__(self, mapping: EntityMapping, origins: Mapping[str, Origin], lines_apart: bool) -> None:
        source = mapping.source
        self._mapping = mapping
        self._catalog = Catalog(mapping)
        self._origins = origins
        self._lines_apart = lines_apart
        self._prepared = PREPARED_FROM.get(source.prepare or "", {})
        self._records = f"{source.entity_set}.{source.record_path}" if source.record_path else source.entity_set

    def rows(self, column: Named) -> list[ColumnLineage]:
        """One column's sources, each once; what goes into the column comes before what only decides on it."""
        parts = sorted(self._parts(column), key=lambda part: (not part.kind.reads_source, part.kind is Kind.CONDITION))
        found: dict[str, ColumnLineage] = {}
        for part in parts:
            for row in self._traced(part, column.name):
                found.setdefault(row.source, row)
        return list(found.values())

    def custom(self, column: str) -> ColumnLineage:
        """A custom field that goes along under its own name."""
        if not column.startswith(LINE_PREFIX):
            return ColumnLineage(self._source(column), column, column, PASS_THROUGH, Kind.IDENTITY)
        path = f"{self._mapping.source.lines}.{column.removeprefix(LINE_PREFIX)}"
        return ColumnLineage(self._source(path), path, column, PASS_THROUGH, Kind.IDENTITY)

    def _traced(self, part: _Part, target: str) -> Iterator[ColumnLineage]:
        """From the staged path back to the source system."""
        words = ", then ".join(part.steps)
        path = part.path
        if not part.kind.reads_source:
            yield ColumnLineage(path, "", target, words, part.kind)
        elif path in self._mapping.source.provided:
            yield from self._provided(part, target, words)
        elif path in self._prepared:
            how = str(self._mapping.source.prepare).replace("_", " ")
            step = ColumnLineage(self._source(path), path, path, how, Kind.CALCULATION)
            # The allocation is worked out of staged properties, and is itself not staged.
            for made_from in self._prepared[path]:
                at = replace(step, source=self._source(made_from), staged=made_from)
                yield at.onto(target, "" if words == _RENAME else words, part.kind)
        else:
            yield ColumnLineage(self._source(path), path, target, words, part.kind)

    def _provided(self, part: _Part, target: str, words: str) -> Iterator[ColumnLineage]:
        origin = self._origins.get(part.path, Origin((), "made by the run", Kind.GENERATED))
        for source in origin.sources or (GENERATED,):
            first = ColumnLineage(source, part.path, target, origin.transformation, origin.kind)
            yield first.onto(target, "" if words == _RENAME else words, part.kind)

    def _source(self, path: str) -> str:
        if path.startswith(PARENT):
            return f"{self._mapping.source.entity_set}.{path.removeprefix(PARENT)}"
        if self._lines_apart and path.partition(".")[0] in self._mapping.source.collections:
            return path
        return f"{self._records}.{path}"

    def _parts(self, item: Named) -> Iterator[_Part]:
        """What a column or value is made from."""
        words = _words(item)
        if item.constant is not None:
            yield _Part(CONSTANT, Kind.CONSTANT, (f"constant {item.constant}",))
        if item.setting:
            yield _Part(f"${{{item.setting}}}", Kind.SETTING, (words,))
        for setting in _settings(item):
            yield _Part(setting, Kind.SETTING, ("setting, as a default or an entry",))
        if item.pick:
            pick = item.pick
            yield _Part(f"{pick.collection}.{pick.field}", Kind.CHOICE.then(_after(item)), (words,))
            for member in (*pick.where, *filter(None, [pick.latest_by])):
                yield _Part(f"{pick.collection}.{member}", Kind.CONDITION, (f"decides {words}",))
        for name, kind in _references(item):
            step = f"decides {words}" if kind is Kind.CONDITION else words
            for part in self._named(item, name):
                steps = (*part.steps, step) if part.kind.reads_source else part.steps
                yield _Part(part.path, part.kind.then(kind), _without_renames(steps))

    def _named(self, item: Named, name: str) -> Iterator[_Part]:
        """What a name within an expression stands for."""
        if item.derive and item.derive.function == "collection_sum" and name in item.derive.of:
            yield _Part(name, Kind.IDENTITY, ())
            return
        found = self._catalog.resolve(name, within=item.name)
        if found is None:
            return
        if found.kind is NameKind.FIELD:
            yield _Part(found.name, Kind.IDENTITY, ())
        elif found.kind is NameKind.LINE_FIELD:
            yield _Part(f"{self._mapping.source.lines}.{found.name}", Kind.IDENTITY, ())
        elif found.expression is not None:
            yield from self._parts(found.expression)


def _references(item: Named) -> Iterator[tuple[str, Kind]]:
    """The names that an expression reads, each with what it does there."""
    after = _after(item)
    if item.from_:
        yield item.from_, after
    for name in item.first_of:
        yield name, Kind.CHOICE.then(after)
    for name in item.join.of if item.join else ():
        yield name, Kind.CONVERSION.then(after)
    for name in item.equal or ():
        yield name, Kind.CALCULATION.then(after)
    for case in item.cases:
        for name in (*case.where, *case.where_not):
            yield name, Kind.CONDITION
    if item.derive:
        kind = Kind.AGGREGATION if item.derive.function in _AGGREGATES else Kind.CALCULATION
        yield from ((name, kind) for name in _amounts(item.derive))
        if item.derive.foreign_when:
            yield item.derive.foreign_when, Kind.CONDITION
    if item.money:
        yield item.money, Kind.CONDITION


def _amounts(derive: Derivation) -> Iterator[str]:
    """What a function reckons with; what only decides between amounts is none of it."""
    yield from derive.of
    yield from filter(None, (derive.local, derive.foreign, *derive.foreign_choices))
    yield from filter(None, (derive.document_local, derive.document_foreign))


def _after(item: Named) -> Kind:
    """What translation and format make of a value."""
    if item.translation:
        return Kind.LOOKUP
    return Kind.CONVERSION if item.money or item.decimals is not None or item.date else Kind.IDENTITY


def _settings(item: Named) -> Iterator[str]:
    """Settings that stand in a default or in the entries of a lookup."""
    entries = (item.translation.entries or {}).values() if item.translation else ()
    given = [item.default, item.translation.default if item.translation else None, *entries]
    texts = [text for text in (*given, *(case.then for case in item.cases)) if text]
    yield from dict.fromkeys(text for text in texts if text.startswith("${") and text.endswith("}"))


def _words(item: Named) -> str:
    """What an expression does."""
    words = [_source_word(item)]
    if item.translation:
        words.append(f"lookup {item.translation.runtime}" if item.translation.runtime else "lookup")
    if item.money:
        words.append("rounded to the currency")
    if item.decimals is not None:
        words.append(f"{item.decimals} decimals")
    if item.date:
        words.append(f"date {item.date}")
    return ", ".join(words[1:] if words[0] == _RENAME and len(words) > 1 else words)


def _source_word(item: Named) -> str:
    if item.derive:
        return item.derive.function
    words = {
        "first of several": item.first_of, "join": item.join, "pick": item.pick, "cases": item.cases,
        "equal": item.equal, "setting": item.setting,
    }  # fmt: skip
    return next((word for word, given in words.items() if given), _RENAME)


def _without_renames(steps: tuple[str, ...]) -> tuple[str, ...]:
    """A rename is worth a word only where nothing else is done."""
    told = tuple(step for step in steps if step != _RENAME)
    return told or (_RENAME,)
