"""The typed form of one entity's mapping file: where records come from, what each column holds, what is held back.

A mapping never contains code: operations are named here and implemented in `tieout.mapping.expressions`,
`tieout.mapping.functions`, `tieout.mapping.checks` and `tieout.mapping.preparations`. Light imports only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tieout.odata.schema import FieldType, RecordSchema

DriftPolicy = Literal["pass_through", "freeze", "hold"]
Owner = Literal["finance", "data engineer"]
KeyType = Literal["integer", "text"]
FunctionName = Literal[
    "sum", "difference", "product", "sign", "collection_sum", "sum_of_lines", "document_amount", "document_line_tax"
]

LINE_PREFIX = "line."
"""Custom fields of lines get this prefix, so that they never meet a header's field of the same name."""


def _plain_text(value: object) -> object:
    """YAML's `1`, `0.21` and `true` mean the texts that a source writes there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else value


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list) else [value]


Text = Annotated[str, BeforeValidator(_plain_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_more)]
Condition = dict[str, Texts]
Reference = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of the file in which an unknown key is a mistake, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Lookup(Section):
    """Translation of a value: one of `entries`, `file` and `runtime`.

    Attributes:
        entries: From → to, in the mapping itself. `${name}` on the right is a setting of the instance.
        file: A YAML (`from: to`) or CSV (two columns) file next to the mapping, also encrypted (`.enc`).
        runtime: Name of a table that the run provides, such as the invoice numbers that were delivered.
        otherwise: What happens to a value without entry: hold the record, keep the value, or leave the column empty.
        default: Instead of `otherwise`: the text for values without entry.
        owner: Who adds missing entries.
        fix_hint: How to repair a missing entry, in words for the owner.
    """

    entries: dict[str, Text] | None = None
    file: str | None = None
    runtime: str | None = None
    otherwise: Literal["hold", "keep", "empty"] = "hold"
    default: Text | None = None
    owner: Owner = "data engineer"
    fix_hint: str | None = None

    @model_validator(mode="after")
    def _one_table(self) -> Lookup:
        # A lookup that was read from a file has its entries too.
        given = [self.file is not None or self.entries is not None, self.runtime is not None]
        if sum(given) != 1:
            raise ValueError("a lookup needs exactly one of `entries`, `file` and `runtime`; keep one of them.")
        return self


class Join(Section):
    """Values put together to one text; empty ones are left out."""

    of: tuple[Reference, ...] = Field(min_length=1)
    separator: str = " "


class Pick(Section):
    """One element of a collection: the first that fits `where`, or the one with the highest `latest_by`.

    Attributes:
        collection: The collection, declared under `source.collections`.
        field: The element's property that is wanted.
        where: Property → allowed values, all must hold.
        latest_by: Take the element with the greatest value of this property; the first one of equals.
        otherwise: When nothing fits `where`: the first element, or nothing.
    """

    collection: str
    field: str
    where: Condition = {}
    latest_by: str | None = None
    otherwise: Literal["none", "first"] = "none"


class Case(Section):
    """`then` applies when all of `where` hold and none of `where_not` does."""

    where: Condition = {}
    where_not: Condition = {}
    then: Text

    @model_validator(mode="after")
    def _has_condition(self) -> Case:
        if not self.where and not self.where_not:
            raise ValueError("a case needs `where` or `where_not`; write what applies otherwise under `default`.")
        return self


class Derivation(Section):
    """A named function with its parameters; see `tieout.mapping.functions`."""

    function: FunctionName
    of: tuple[Reference, ...] = ()
    local: Reference | None = None
    foreign: Reference | None = None
    foreign_when: Reference | None = None
    foreign_choices: tuple[Reference, ...] = ()
    document_local: Reference | None = None
    document_foreign: Reference | None = None

    @model_validator(mode="after")
    def _parameters_fit(self) -> Derivation:
        needed = FUNCTION_PARAMETERS[self.function]
        given = {name for name in type(self).model_fields if name != "function" and getattr(self, name)}
        if given != needed:
            raise ValueError(
                f"the function {self.function} takes {', '.join(sorted(needed))} "
                f"but is given {', '.join(sorted(given)) or 'nothing'}; correct its parameters."
            )
        wanted = FUNCTION_ARGUMENTS.get(self.function)
        if wanted is not None and len(self.of) != wanted:
            raise ValueError(
                f"the function {self.function} is of exactly {wanted} value{'s' * (wanted > 1)} but `of` has "
                f"{len(self.of)}; correct it."
            )
        return self

    def references(self) -> Iterator[str]:
        """Everything the function reads."""
        yield from self.of
        yield from self.foreign_choices
        for name in (self.local, self.foreign, self.foreign_when, self.document_local, self.document_foreign):
            if name:
                yield name


FUNCTION_PARAMETERS: dict[str, set[str]] = {
    "sum": {"of"},
    "difference": {"of"},
    "product": {"of"},
    "sign": {"of"},
    "collection_sum": {"of"},
    "sum_of_lines": {"of"},
    "document_amount": {"local", "foreign", "foreign_when"},
    "document_line_tax": {"local", "foreign_choices", "foreign_when", "document_local", "document_foreign"},
}

FUNCTION_ARGUMENTS: dict[str, int] = {"product": 2, "sign": 1, "sum_of_lines": 1}
"""How many values `of` has, where that matters."""

_SOURCES = ("from_", "constant", "setting", "first_of", "join", "pick", "cases", "equal", "derive")
_FORMATS = ("date", "money", "number", "decimals")


class Expression(Section):
    """How one value comes about: exactly one source, then a translation, then a format.

    Attributes:
        from_: A property (`<name>`, `<lines collection>.<name>`, `parent.<name>`), or another value or column.
        constant: A fixed text.
        setting: A setting of the instance, such as `local_currency`.
        first_of: The first one that is not empty.
        skip_zero: For `first_of` over numbers: zero counts as empty as long as another one is not zero.
        join: Several values as one text.
        pick: A property of one element of a collection.
        cases: The first case that applies; `default` when none does.
        equal: `true` when two values are the same and not empty, else `false`.
        derive: A named function.
        lookup: Translation; a value without entry may hold the record.
        enum: Short for a `lookup` with these `entries` that holds the record when there is none.
        default: What an empty value becomes; `${name}` is a setting of the instance.
        date: A date format of `%Y`, `%m`, `%d` and `%y`; ISO 8601 by default.
        money: Name of the value with the ISO 4217 currency: rounds half away from zero to its minor units.
        number: Plain number without trailing zeros (numbers are so by default).
        decimals: A fixed number of decimals, rounded half away from zero.
    """

    from_: Reference | None = Field(None, alias="from")
    constant: Text | None = None
    setting: str | None = None
    first_of: tuple[Reference, ...] = ()
    skip_zero: bool = False
    join: Join | None = None
    pick: Pick | None = None
    cases: tuple[Case, ...] = ()
    equal: tuple[Reference, Reference] | None = None
    derive: Derivation | None = None
    lookup: Lookup | None = None
    enum: dict[str, Text] | None = None
    default: Text | None = None
    date: str | None = None
    money: Reference | None = None
    number: bool = False
    decimals: int | None = Field(None, ge=0, le=6)

    @model_validator(mode="after")
    def _one_of_each(self) -> Expression:
        sources = [name for name in _SOURCES if getattr(self, name) not in (None, ())]
        if len(sources) != 1:
            found = " and ".join(f"`{name.rstrip('_')}`" for name in sources) or "none"
            raise ValueError(
                "it needs exactly one of `from`, `constant`, `setting`, `first_of`, `join`, `pick`, `cases`, "
                f"`equal` and `derive`, but has {found}; keep one."
            )
        formats = [name for name in _FORMATS if getattr(self, name) not in (None, False)]
        if len(formats) > 1:
            raise ValueError(f"it has the formats {' and '.join(f'`{name}`' for name in formats)}; keep one.")
        if self.lookup and self.enum is not None:
            raise ValueError("it has both `lookup` and `enum`; keep one.")
        if self.skip_zero and not self.first_of:
            raise ValueError("`skip_zero` belongs to `first_of`; remove it.")
        return self

    @property
    def translation(self) -> Lookup | None:
        """`lookup`, or `enum` written out."""
        return Lookup(entries=self.enum) if self.enum is not None else self.lookup

    def references(self) -> Iterator[str]:
        """Names this value is made from, other than the elements that `pick` reads."""
        if self.from_:
            yield self.from_
        yield from self.first_of
        if self.join:
            yield from self.join.of
        for case in self.cases:
            yield from case.where
            yield from case.where_not
        if self.equal:
            yield from self.equal
        if self.derive:
            yield from self.derive.references()
        if self.money:
            yield self.money


class Named(Expression):
    """A value with a name: a column of the file, or an intermediate value for columns and checks."""

    name: str = Field(min_length=1)


class Source(Section):
    """Where the records come from.

    Attributes:
        entity_set: The OData entity set.
        key: The property that identifies a record; also a provided one, such as `_key` for a key of several columns.
        key_type: `integer` keys are walked in ranges, `text` keys in the server's order.
        filter: A fixed OData filter that holds for every read.
        record_path: The records are the elements of this collection of the entity set.
        change_columns: Properties with the date of a change, the most telling one first; empty when there is none.
        fields: Properties of the record and their types.
        parent: Properties of the parent record, read as `parent.<property>`; only with `record_path`.
        collections: Properties of embedded collections.
        lines: The collection that makes rows: one per element; a record without elements makes one row.
        provided: Properties that no source sends but an earlier step adds to the staged records.
        prepare: Name of a step in `tieout.mapping.preparations` that adds fields and a collection.
    """

    entity_set: str = Field(min_length=1)
    key: str
    key_type: KeyType = "integer"
    filter: str | None = None
    record_path: str | None = None
    change_columns: tuple[str, ...] = ()
    fields: dict[str, FieldType]
    parent: dict[str, FieldType] = {}
    collections: dict[str, dict[str, FieldType]] = {}
    lines: str | None = None
    provided: dict[str, FieldType] = {}
    prepare: Literal["payment_allocation"] | None = None


class Prepared(Section):
    """What a preparation adds to the records: fields and collections that a mapping may then use."""

    fields: dict[str, FieldType]
    collections: dict[str, dict[str, FieldType]]


PREPARED: dict[str, Prepared] = {
    "payment_allocation": Prepared(
        fields={"payment_amount": FieldType.NUMBER, "payment_method": FieldType.TEXT},
        collections={"allocations": {"invoice": FieldType.INTEGER, "applied": FieldType.NUMBER}},
    )
}


class CustomFields(Section):
    """Custom fields (`U_*`) that go along without being named, after the named columns.

    Attributes:
        header: Those of the record.
        lines: Those of the lines, as `line.U_*`.
        known_header: What `drift: freeze` and `drift: hold` expect on the record.
        known_lines: What they expect on lines.
    """

    header: bool = False
    lines: bool = False
    known_header: tuple[str, ...] = ()
    known_lines: tuple[str, ...] = ()


class Exclude(Section):
    """Records that do not belong to the receiver by a rule; they are counted as excluded."""

    where: Condition = {}
    where_not: Condition = {}
    reason: str = Field(min_length=1)

    @model_validator(mode="after")
    def _has_condition(self) -> Exclude:
        if not self.where and not self.where_not:
            raise ValueError("an exclude rule needs `where` or `where_not`; it would exclude everything.")
        return self


class RequiredCheck(Section):
    """Holds a record with MISSING_VALUE when one of these columns is empty."""

    check: Literal["required"]
    columns: tuple[Reference, ...] = Field(min_length=1)
    fix_hint: str
    owner: Owner = "finance"


class CurrencyCheck(Section):
    """Holds a record with UNKNOWN_CURRENCY when the column is not a code of ISO 4217."""

    check: Literal["currency"]
    column: Reference
    fix_hint: str
    owner: Owner = "finance"


class LocalSum(Section):
    """The same statement in the company's currency.

    For documents in foreign currency of a source that lacks one of the amounts in that currency.

    Attributes:
        when_absent: Amount in foreign currency → the local one. Where the first is empty or zero and the second is not,
            the document is checked in local currency.
        foreign_when: Not zero for documents in foreign currency.
    """

    when_absent: dict[str, str] = Field(min_length=1)
    foreign_when: Reference
    lines: Reference
    plus: tuple[Reference, ...] = ()
    minus: tuple[Reference, ...] = ()
    total: Reference
    currency: Reference


class LineSumCheck(Section):
    """Holds a record with LINE_SUM_MISMATCH when lines + plus - minus is not the total, in the record's currency.

    Attributes:
        lines: Amount of a line.
        plus: Amounts of the record that add to the lines, such as tax, freight and rounding; empty ones are zero.
        minus: Amounts that the lines are reduced by, such as the document's discount.
        total: The record's total.
        currency: Its currency.
        tolerance: Greatest difference that is taken, in that currency.
        in_local_currency: How to check documents that lack an amount in their own currency.
    """

    check: Literal["line_sum"]
    lines: Reference
    plus: tuple[Reference, ...] = ()
    minus: tuple[Reference, ...] = ()
    total: Reference
    currency: Reference
    tolerance: Decimal = Field(Decimal(0), ge=0)
    in_local_currency: LocalSum | None = None
    fix_hint: str
    owner: Owner = "finance"


Check = Annotated[RequiredCheck | CurrencyCheck | LineSumCheck, Field(discriminator="check")]


class Totals(Section):
    """The columns that tell a record's money, for the tie-out."""

    currency: str
    amount: str


class Alternative(Section):
    """A second source for the same file, used when the first one has no records at all."""

    source: Source
    values: tuple[Named, ...] = ()
    columns: tuple[Named, ...] = Field(min_length=1)


class EntityMapping(Section):
    """One entity: from the source's records to the columns of a file.

    Attributes:
        entity: Name of the entity, as in the file's name.
        record_name: What one record is called in messages, such as `invoice`.
        label: The column by which people know a record; by default the key column.
        key_column: The column that holds the record's key; by default the first one.
        date: Format of all dates that have none of their own.
        not_compared: Columns that tell something of the sending and nothing of the record, such as whether it was sent
            before. A record in which only these differ from what was delivered is not sent again.
    """

    entity: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    record_name: str = "record"
    description: str = ""
    source: Source
    values: tuple[Named, ...] = ()
    columns: tuple[Named, ...] = Field(min_length=1)
    custom_fields: CustomFields = CustomFields()
    excludes: tuple[Exclude, ...] = ()
    checks: tuple[Check, ...] = ()
    totals: Totals | None = None
    drift: DriftPolicy = "pass_through"
    date: str = "%Y-%m-%d"
    key_column: str | None = None
    label: str | None = None
    not_compared: tuple[str, ...] = ()
    alternative_when_empty: Alternative | None = None

    @property
    def key_name(self) -> str:
        """The column with the record's key."""
        return self.key_column or self.columns[0].name

    @property
    def label_name(self) -> str:
        """The column by which people know a record."""
        return self.label or self.key_name

    @property
    def version(self) -> str:
        """SHA-256 of the content, lookups from files included; comments and layout do not matter."""
        content: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def record_schema(self) -> RecordSchema:
        """What is read and staged of each record."""
        source = self.source
        lines = source.lines if source.lines in source.collections else None
        return RecordSchema(
            fields=dict(source.fields),
            collections={name: dict(members) for name, members in source.collections.items()},
            custom_fields=self.custom_fields.header,
            custom_line_fields=(lines,) if self.custom_fields.lines and lines else (),
            parent_fields=dict(source.parent),
        )

    def select(self) -> list[str] | None:
        """The properties to ask for; None (all) when custom fields are wanted, whose names nobody knows yet."""
        if self.custom_fields.header or self.custom_fields.lines:
            return None
        source = self.source
        own = [source.record_path, *source.parent] if source.record_path else [*source.fields, *source.collections]
        names = [*own, *source.change_columns] if source.record_path else [source.key, *own, *source.change_columns]
        return list(dict.fromkeys(name for name in names if name))

    def alternative(self) -> EntityMapping | None:
        """The mapping for the second source, if there is one."""
        other = self.alternative_when_empty
        if other is None:
            return None
        return self.model_copy(
            update={
                "source": other.source,
                "values": other.values,
                "columns": other.columns,
                "alternative_when_empty": None,
            }
        )
