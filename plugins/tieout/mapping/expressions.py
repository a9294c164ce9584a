"""Evaluates the expressions of a mapping over one batch, a whole column at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tieout.mapping import functions
from tieout.mapping.catalog import Catalog, Kind
from tieout.mapping.frame import Elements, Frame, Level, MapContext, to_mask
from tieout.mapping.held import INVALID_DATE, MAPPING_MISSING, HeldBook, HeldReason
from tieout.mapping.model import Condition, Derivation, Lookup, Named, Pick
from tieout.mapping.rendering import Money, render_date, render_decimals, render_number, round_to
from tieout.odata.layout import DECIMALS, MONEY, arrow_type
from tieout.odata.schema import FieldType

_SETTING = re.compile(r"^\$\{(\w+)\}$")
_DATE = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"


@dataclass(frozen=True)
class Values:
    """One evaluated column: on records or on rows."""

    array: pa.Array
    level: Level
    type: FieldType


class Evaluator:
    """Values of one batch by name, each worked out once.

    Records whose values have no translation, or that bear an impossible date, are noted in `held`.
    """

    def __init__(self, catalog: Catalog, frame: Frame, context: MapContext, held: HeldBook) -> None:
        self.catalog = catalog
        self.frame = frame
        self.context = context
        self.held = held
        self.entity = catalog.mapping.entity
        self._values: dict[str, Values] = {}
        self._by_name: dict[tuple[str, str | None], Values] = {}
        self._money: dict[tuple[str, Level], Money] = {}

    # --- values

    def value(self, name: str, within: str | None = None) -> Values:
        """The value that `name` stands for."""
        known = self._by_name.get((name, within))
        if known is None:
            known = self._by_name[name, within] = self._value(name, within)
        return known

    def _value(self, name: str, within: str | None) -> Values:
        found = self.catalog.resolve(name, within=within)
        if found is None:
            raise KeyError(f"{name!r} is not a name of the mapping {self.entity}")
        key = f"{found.kind.value}:{found.name}"
        if key not in self._values:
            if found.kind is Kind.FIELD:
                kind = found.type or FieldType.TEXT
                self._values[key] = Values(self.frame.column(found.name, arrow_type(kind)), Level.RECORD, kind)
            elif found.kind is Kind.LINE_FIELD:
                kind = found.type or FieldType.TEXT
                self._values[key] = Values(self.frame.line_column(found.name, arrow_type(kind)), Level.ROW, kind)
            else:
                assert found.expression is not None
                self._values[key] = self.evaluate(found.expression)
        return self._values[key]

    def evaluate(self, expression: Named) -> Values:
        """The value of a named expression; rounded, not yet text, where it has a numeric format."""
        values = self._source(expression)
        if expression.translation:
            values = self._translate(expression, values, expression.translation)
        if expression.default is not None and not expression.cases:
            text = self._as_text(values)
            default = self._setting_or_text(expression.default)
            empty = pc.fill_null(pc.equal(text, ""), True)
            values = Values(pc.if_else(empty, default, text), values.level, FieldType.TEXT)
        if values.type is FieldType.NUMBER:
            if expression.money:
                money, level = self.money(expression.money, values.level, expression.name)
                values = Values(money.round(self._at(values, level)), level, values.type)
            else:
                decimals = DECIMALS if expression.decimals is None else expression.decimals
                values = Values(round_to(values.array, decimals), values.level, values.type)
        return values

    def render(self, expression: Named) -> Values:
        """A column's text, not yet quoted."""
        values = self.value_of(expression)
        if values.type is FieldType.NUMBER and expression.money:
            money, level = self.money(expression.money, values.level, expression.name)
            return Values(money.render(self._at(values, level)), level, FieldType.TEXT)
        if values.type is FieldType.NUMBER and expression.decimals is not None:
            return Values(render_decimals(values.array, expression.decimals), values.level, FieldType.TEXT)
        if values.type is FieldType.DATE:
            self._hold_impossible_dates(expression.name, values)
            pattern = expression.date or self.catalog.mapping.date
            return Values(render_date(values.array, pattern), values.level, FieldType.TEXT)
        return Values(self._as_text(values), values.level, FieldType.TEXT)

    def value_of(self, expression: Named) -> Values:
        """The value of a column or named value, remembered."""
        key = f"{Kind.DERIVED.value}:{expression.name}"
        if key not in self._values:
            self._values[key] = self.evaluate(expression)
        return self._values[key]

    def money(self, currency: str, level: Level, within: str | None) -> tuple[Money, Level]:
        """The minor units by a currency's name, on the level that fits both currency and amount."""
        currencies = self.value(currency, within)
        common = Level.ROW if Level.ROW in (level, currencies.level) else Level.RECORD
        if (currency, common) not in self._money:
            self._money[currency, common] = Money(self._at(currencies, common))
        return self._money[currency, common], common

    def at_rows(self, values: Values) -> pa.Array:
        """The values, one per row."""
        return self._at(values, Level.ROW)

    def sum_of_lines(self, values: Values) -> pa.Array:
        """The sum over each record's lines, exact; an absent amount counts as zero."""
        amounts = pc.fill_null(self.at_rows(values).cast(MONEY), functions.ZERO)
        if self.frame.one_row_each or self.frame.records == 0:
            return amounts
        sums = pa.table({"record": self.frame.row_record, "amount": amounts}).group_by("record", use_threads=False)
        # Every record has at least one row and rows stand in the records' order, so the groups do too.
        return sums.aggregate([("amount", "sum")])["amount_sum"].combine_chunks().cast(MONEY)

    def _at(self, values: Values, level: Level) -> pa.Array:
        if values.level is level or level is Level.RECORD:
            return values.array
        return self.frame.to_rows(values.array)

    # --- sources of a value

    def _source(self, expression: Named) -> Values:
        own = expression.name
        if expression.from_:
            return self.value(expression.from_, own)
        if expression.constant is not None:
            return self._constant(expression.constant)
        if expression.setting:
            return self._constant(self.context.setting(expression.setting, self.entity))
        if expression.first_of:
            return self._first_of(expression)
        if expression.join:
            parts = self._aligned([self.value(name, own) for name in expression.join.of])
            return Values(
                _join([self._as_text(part) for part in parts], expression.join.separator),
                parts[0].level,
                FieldType.TEXT,
            )
        if expression.pick:
            return self._pick(expression.pick)
        if expression.cases:
            return self._cases(expression)
        if expression.equal:
            return self._equal(*self._aligned([self.value(name, own) for name in expression.equal]))
        assert expression.derive is not None
        return self._derive(expression.derive, own)

    def _constant(self, text: str) -> Values:
        return Values(pa.repeat(pa.scalar(text), self.frame.records), Level.RECORD, FieldType.TEXT)

    def _first_of(self, expression: Named) -> Values:
        kind = self.catalog.expression_type(expression.model_copy(update={"lookup": None, "enum": None}))
        parts = self._aligned([self.value(name, expression.name) for name in expression.first_of])
        if kind is FieldType.NUMBER:
            arrays = [part.array.cast(MONEY) for part in parts]
            if expression.skip_zero:
                filled = [pc.if_else(pc.not_equal(array, functions.ZERO), array, None) for array in arrays]
                arrays = filled + arrays
        elif kind is FieldType.INTEGER:
            arrays = [part.array for part in parts]
        else:
            texts = [self._as_text(part) for part in parts]
            arrays = [pc.if_else(pc.not_equal(text, ""), text, None) for text in texts]
        return Values(pc.coalesce(*arrays), parts[0].level, kind)

    def _pick(self, pick: Pick) -> Values:
        kind = self.catalog.collections[pick.collection][pick.field]
        elements = self.frame.elements(pick.collection)
        if elements is None:
            return Values(pa.nulls(self.frame.records, arrow_type(kind)), Level.RECORD, kind)
        chosen = self._chosen(pick, elements)
        values = elements.member_or_nulls(pick.field, arrow_type(kind))
        return Values(values.take(pa.array(chosen, mask=chosen < 0)), Level.RECORD, kind)

    def _chosen(self, pick: Pick, elements: Elements) -> np.ndarray:
        """For each record the position of the element that is picked, -1 for none."""
        owner = elements.owner
        members = self.catalog.collections[pick.collection]
        texts = {
            name: self._as_text(
                Values(elements.member_or_nulls(name, arrow_type(members[name])), Level.RECORD, members[name])
            )
            for name in {*pick.where, *filter(None, [pick.latest_by])}
        }
        fits = _where(pick.where, texts.__getitem__, len(owner))
        order = np.flatnonzero(fits)
        if pick.latest_by:
            latest = np.array(texts[pick.latest_by].take(pa.array(order)).to_pylist(), dtype=object)
            # Stable, so that the first of equals stays in front.
            ranked = sorted(range(len(order)), key=lambda at: latest[at] or "", reverse=True)
            order = order[ranked]
        chosen = np.full(self.frame.records, -1, dtype=np.int64)
        if pick.otherwise == "first":
            firsts, positions = np.unique(owner, return_index=True)
            chosen[firsts] = positions
        # The first element that fits wins: written last, so walk backwards.
        chosen[owner[order[::-1]]] = order[::-1]
        return chosen

    def _cases(self, expression: Named) -> Values:
        names = list(dict.fromkeys(name for case in expression.cases for name in (*case.where, *case.where_not)))
        parts = self._aligned([self.value(name, expression.name) for name in names])
        texts = dict(zip(names, [self._as_text(part) for part in parts], strict=True))
        length = len(parts[0].array)
        default = None if expression.default is None else self._setting_or_text(expression.default)
        result = pa.repeat(pa.scalar(default, pa.string()), length)
        for case in reversed(expression.cases):
            mask = _where(case.where, texts.__getitem__, length) & _where_not(case.where_not, texts.__getitem__, length)
            if mask.any():
                result = pc.if_else(pa.array(mask), self._setting_or_text(case.then), result)
        return Values(result, parts[0].level, FieldType.TEXT)

    def _equal(self, left: Values, right: Values) -> Values:
        text = self._as_text(left)
        same = pc.and_(pc.equal(text, self._as_text(right)), pc.not_equal(text, ""))
        return Values(pc.if_else(same, "true", "false"), left.level, FieldType.TEXT)

    def _derive(self, derive: Derivation, own: str) -> Values:
        if derive.function == "collection_sum":
            collection, _, member = derive.of[0].partition(".")
            elements = self.frame.elements(collection)
            amount = functions.collection_sum(elements, member, self.frame.records)
            return Values(amount, Level.RECORD, FieldType.NUMBER)
        if derive.function == "sum_of_lines":
            return Values(self.sum_of_lines(self.value(derive.of[0], own)), Level.RECORD, FieldType.NUMBER)
        names = list(dict.fromkeys(derive.references()))
        parts = self._aligned([self.value(name, own) for name in names])
        level = parts[0].level
        amounts = {name: part.array.cast(MONEY) for name, part in zip(names, parts, strict=True)}
        if derive.function == "sum":
            result = functions.total([amounts[name] for name in derive.of])
        elif derive.function == "difference":
            result = functions.difference([amounts[name] for name in derive.of])
        elif derive.function == "product":
            result = functions.product(*(amounts[name] for name in derive.of))
        elif derive.function == "sign":
            result = functions.sign(amounts[derive.of[0]])
        else:
            is_foreign = pc.not_equal(amounts[derive.foreign_when or ""], functions.ZERO)
            local = amounts[derive.local or ""]
            if derive.function == "document_amount":
                result = functions.document_amount(local, amounts[derive.foreign or ""], is_foreign)
            else:
                result = functions.document_line_tax(
                    local,
                    [amounts[name] for name in derive.foreign_choices],
                    is_foreign,
                    amounts[derive.document_local or ""],
                    amounts[derive.document_foreign or ""],
                )
        return Values(result, level, FieldType.NUMBER)

    def _aligned(self, parts: list[Values]) -> list[Values]:
        """The values on one level: on rows as soon as one of them is."""
        if all(part.level is Level.RECORD for part in parts):
            return parts
        return [Values(self._at(part, Level.ROW), Level.ROW, part.type) for part in parts]

    # --- translation

    def _translate(self, expression: Named, values: Values, lookup: Lookup) -> Values:
        """Translates the distinct values of a column only: few, whatever the number of rows."""
        encoded = pc.dictionary_encode(self._as_text(values))
        keys: list[str] = encoded.dictionary.to_pylist()
        table = self._table(lookup, keys)
        translated = [self._translated(key, table, lookup) for key in keys]
        missing = [position for position, text in enumerate(translated) if text is None]
        if missing:
            self._hold_missing(expression, lookup, values.level, encoded, missing)
        texts = pa.array([text or "" for text in translated], pa.string())
        return Values(texts.take(encoded.indices), values.level, FieldType.TEXT)

    def _table(self, lookup: Lookup, keys: list[str]) -> Mapping[str, str]:
        if lookup.runtime:
            return self.context.lookup(lookup.runtime, [key for key in keys if key], self.entity)
        return lookup.entries or {}

    def _translated(self, key: str, table: Mapping[str, str], lookup: Lookup) -> str | None:
        """A value's translation, None where the record is to be held."""
        if key in table:
            return self._setting_or_text(table[key])
        if not key:
            return ""
        if lookup.default is not None:
            return self._setting_or_text(lookup.default)
        return {"keep": key, "empty": "", "hold": None}[lookup.otherwise]

    def _hold_missing(
        self, expression: Named, lookup: Lookup, level: Level, encoded: pa.DictionaryArray, missing: list[int]
    ) -> None:
        where = f"the mapping {self.entity}, column {expression.name}"
        hint = lookup.fix_hint or f"Add an entry for it to the lookup of {where}; the record then follows by itself."
        keys = encoded.dictionary.to_pylist()
        indices = encoded.indices.to_numpy()
        for position in np.flatnonzero(np.isin(indices, missing)):
            record = int(self.frame.row_record[position]) if level is Level.ROW else int(position)
            message = f"{expression.name}: there is no translation for {keys[indices[position]]!r}."
            self.held.add(record, HeldReason(MAPPING_MISSING, message, hint, lookup.owner))

    # --- text

    def _as_text(self, values: Values) -> pa.Array:
        if values.type is FieldType.NUMBER:
            return pc.fill_null(render_number(values.array), "")
        if values.type is FieldType.INTEGER:
            return pc.fill_null(values.array.cast(pa.string()), "")
        return pc.fill_null(values.array, "")

    def _setting_or_text(self, text: str) -> str:
        match = _SETTING.match(text)
        return self.context.setting(match[1], self.entity) if match else text

    def _hold_impossible_dates(self, name: str, values: Values) -> None:
        text = pc.fill_null(values.array, "")
        wrong = pc.and_(pc.not_equal(text, ""), pc.invert(pc.match_substring_regex(text, _DATE)))
        for position in np.flatnonzero(to_mask(wrong)):
            record = int(self.frame.row_record[position]) if values.level is Level.ROW else int(position)
            message = f"{name}: {text[int(position)].as_py()!r} is not a date (YYYY-MM-DD is expected)."
            self.held.add(record, HeldReason(INVALID_DATE, message, "Correct the date in the source.", "finance"))

    def matches(self, where: Condition, where_not: Condition) -> np.ndarray:
        """Mask over records: all of `where` hold and none of `where_not` does; an absent value fits neither."""

        def text(name: str) -> pa.Array:
            return self._as_text(self.value(name))

        records = self.frame.records
        return _where(where, text, records) & _where_not(where_not, text, records)


def _where(condition: Condition, text: Callable[[str], pa.Array], length: int) -> np.ndarray:
    mask = np.full(length, True)
    for name, allowed in condition.items():
        mask &= to_mask(pc.is_in(text(name), value_set=pa.array(list(allowed), pa.string())))
    return mask


def _where_not(condition: Condition, text: Callable[[str], pa.Array], length: int) -> np.ndarray:
    """An empty value is no evidence: it does not count as "other than". Required columns catch it."""
    mask = np.full(length, True)
    for name, refused in condition.items():
        values = text(name)
        refused_or_empty = pa.array([*refused, ""], pa.string())
        mask &= ~to_mask(pc.is_in(values, value_set=refused_or_empty))
    return mask


def _join(parts: list[pa.Array], separator: str) -> pa.Array:
    """Joined texts without the empty ones."""
    result = parts[0]
    for part in parts[1:]:
        both = pc.binary_join_element_wise(result, part, separator)
        result = pc.if_else(pc.equal(result, ""), part, pc.if_else(pc.equal(part, ""), result, both))
    return result
