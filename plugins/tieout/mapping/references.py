"""Checks what the shape of a mapping file cannot show: that names lead somewhere and types fit. Light imports only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from tieout.mapping.catalog import Catalog, Kind
from tieout.mapping.dates import date_format_problem
from tieout.mapping.model import Condition, EntityMapping, LineSumCheck, LocalSum, Named, Pick, RequiredCheck
from tieout.odata.schema import FieldType
from tieout.yaml_file import KeyPath

Problem = tuple[KeyPath, str]
_NUMERIC = (FieldType.NUMBER, FieldType.INTEGER)


def problems(mapping: EntityMapping) -> Iterator[Problem]:
    """Everything that is wrong with a mapping, as key path and sentence."""
    yield from _ReferenceCheck(mapping, ()).problems()
    alternative = mapping.alternative()
    if alternative is not None and mapping.alternative_when_empty is not None:
        yield from _ReferenceCheck(alternative, ("alternative_when_empty",)).problems()
        names = [column.name for column in mapping.columns]
        others = [column.name for column in mapping.alternative_when_empty.columns]
        if names != others:
            yield (
                ("alternative_when_empty", "columns"),
                f"the columns must be the same as those above, in the same order ({', '.join(names)}).",
            )


class _ReferenceCheck:
    """Looks up every name of one source with its columns."""

    def __init__(self, mapping: EntityMapping, base: KeyPath) -> None:
        self.mapping = mapping
        self.base = base
        self.catalog = Catalog(mapping)

    def problems(self) -> Iterator[Problem]:
        yield from self._source()
        yield from self._names()
        if list(self._cycles()):
            yield from self._cycles()
            return
        for section, items in (("values", self.mapping.values), ("columns", self.mapping.columns)):
            for position, item in enumerate(items):
                yield from self._expression(item, (*self.base, section, position))
        yield from self._rest()

    def _source(self) -> Iterator[Problem]:
        source, path = self.mapping.source, (*self.base, "source")
        if source.key not in source.fields and source.key not in source.provided:
            yield (*path, "key"), f"the key {source.key!r} is not among `source.fields`; add it there with its type."
        if source.lines and source.lines not in self.catalog.collections:
            yield (*path, "lines"), self._unknown(source.lines, self.catalog.collections, "collection")
        if source.parent and not source.record_path:
            yield (*path, "parent"), "only records below a `record_path` have a parent; remove it or add `record_path`."
        if self.mapping.custom_fields.lines and not source.lines:
            yield ("custom_fields", "lines"), "there are no lines; name their collection under `source.lines`."
        doubled = sorted(set(source.fields) & set(source.collections))
        if doubled:
            yield (*path, "collections", doubled[0]), "this is named as a field too; keep one of the two."

    def _names(self) -> Iterator[Problem]:
        seen: dict[str, str] = {}
        for section, items in (("columns", self.mapping.columns), ("values", self.mapping.values)):
            for position, item in enumerate(items):
                path = (*self.base, section, position, "name")
                if item.name in seen:
                    yield path, f"the name {item.name!r} is taken by {seen[item.name]} already; choose another one."
                elif section == "values" and item.name in self.catalog.fields:
                    yield path, f"{item.name!r} is a property of the source; choose another name for this value."
                seen.setdefault(item.name, f"{section}[{position}]")

    def _cycles(self) -> Iterator[Problem]:
        for section, items in (("values", self.mapping.values), ("columns", self.mapping.columns)):
            for position, item in enumerate(items):
                if self._leads_back(item, item.name, set()):
                    yield (*self.base, section, position), f"{item.name!r} is made from itself; break the circle."

    def _leads_back(self, item: Named, start: str, seen: set[str]) -> bool:
        for name in item.references():
            found = self.catalog.resolve(name, within=None)
            if found is None or found.expression is None or (name == item.name and name in self.catalog.fields):
                continue
            if name == start:
                return True
            if name not in seen and self._leads_back(found.expression, start, seen | {name}):
                return True
        return False

    # --- expressions

    def _expression(self, item: Named, path: KeyPath) -> Iterator[Problem]:
        broken = list(self._references(item, path))
        yield from broken
        if item.pick:
            broken = list(self._pick(item.pick, (*path, "pick")))
            yield from broken
        if not broken:
            yield from self._format(item, path)

    def _references(self, item: Named, path: KeyPath) -> Iterator[Problem]:
        for key, names in _references_by_key(item):
            for name in names:
                where = (*path, *key)
                if key == ("derive", "of") and item.derive and item.derive.function == "collection_sum":
                    yield from self._collection_member(name, where)
                elif self.catalog.resolve(name, within=item.name) is None:
                    yield where, self._unknown(name, self.catalog.names(), "name")
                elif key[0] == "derive" and self.catalog.type_of(name, item.name) not in _NUMERIC:
                    yield where, f"{name!r} is not a number, but {item.derive and item.derive.function} takes numbers."
                elif item.derive and item.derive.function == "sum_of_lines" and key == ("derive", "of"):
                    yield from self._of_lines(name, where)

    def _collection_member(self, name: str, path: KeyPath) -> Iterator[Problem]:
        collection, _, member = name.partition(".")
        members = self.catalog.collections.get(collection)
        if members is None or member not in members:
            known = [f"{owner}.{name}" for owner, names in self.catalog.collections.items() for name in names]
            yield path, self._unknown(name, known, "property of a collection")
        elif members[member] not in _NUMERIC:
            yield path, f"{name!r} is not a number, but collection_sum takes numbers."

    def _of_lines(self, name: str, path: KeyPath) -> Iterator[Problem]:
        if not self.catalog.is_line_level(self._as_reference(name)):
            yield path, f"{name!r} is the record's and not its lines'; name something that differs from line to line."

    def _pick(self, pick: Pick, path: KeyPath) -> Iterator[Problem]:
        members = self.catalog.collections.get(pick.collection)
        if members is None:
            yield (*path, "collection"), self._unknown(pick.collection, self.catalog.collections, "collection")
            return
        wanted = [("field", pick.field), *(("where", name) for name in pick.where)]
        wanted += [("latest_by", pick.latest_by)] if pick.latest_by else []
        for key, name in wanted:
            if name not in members:
                yield (*path, key), self._unknown(name, members, f"property of {pick.collection}")

    def _format(self, item: Named, path: KeyPath) -> Iterator[Problem]:
        kind = self.catalog.expression_type(item)
        if item.date:
            wrong = date_format_problem(item.date)
            if wrong:
                yield (*path, "date"), wrong
            if kind is not FieldType.DATE:
                yield (*path, "date"), f"the value is {kind.value}, not a date; declare its property as `date`."
        for name in ("money", "decimals"):
            if getattr(item, name) is not None and kind is not FieldType.NUMBER:
                yield (*path, name), f"the value is {kind.value}, not a number; declare its property as `number`."
        if item.number and kind not in _NUMERIC:
            yield (*path, "number"), f"the value is {kind.value}, not a number; declare its property as `number`."
        if item.money and self.catalog.type_of(item.money, item.name) is not FieldType.TEXT:
            yield (*path, "money"), f"{item.money!r} is not a currency code but a number or date; name the currency."
        if item.money and self.catalog.is_line_level(self._as_reference(item.money)) and not self._is_line(item):
            yield (*path, "money"), f"{item.money!r} belongs to lines, the amount to the record; name its currency."

    def _as_reference(self, name: str) -> Named:
        return Named.model_validate({"name": "(reference)", "from": name})

    def _is_line(self, item: Named) -> bool:
        return self.catalog.is_line_level(item.model_copy(update={"money": None}), item.name)

    # --- the rest of the file

    def _rest(self) -> Iterator[Problem]:
        mapping = self.mapping
        wrong = date_format_problem(mapping.date)
        if wrong:
            yield ("date",), wrong
        columns = {column.name: column for column in mapping.columns}
        for key in ("key_column", "label"):
            name = getattr(mapping, key)
            if name is not None and name not in columns:
                yield (key,), self._unknown(name, columns, "column")
        for name, column in ((mapping.key_name, "key_column"), (mapping.label_name, "label")):
            if name in columns and self.catalog.is_line_level(columns[name]):
                yield (column,), f"the column {name!r} differs from line to line; it must be the record's."
        for position, name in enumerate(mapping.not_compared):
            if name not in columns:
                yield ("not_compared", position), self._unknown(name, columns, "column")
            elif name == mapping.key_name:
                yield ("not_compared", position), f"{name!r} tells which record it is; name another column."
        yield from self._excludes()
        yield from self._checks()
        if mapping.totals:
            yield from self._totals(columns)

    def _excludes(self) -> Iterator[Problem]:
        for position, rule in enumerate(self.mapping.excludes):
            conditions: dict[str, Condition] = {"where": rule.where, "where_not": rule.where_not}
            for key, condition in conditions.items():
                for name in condition:
                    yield from self._of_record(name, ("excludes", position, key, name))

    def _checks(self) -> Iterator[Problem]:
        for position, check in enumerate(self.mapping.checks):
            path: KeyPath = ("checks", position)
            if isinstance(check, RequiredCheck):
                for index, name in enumerate(check.columns):
                    if self.catalog.resolve(name) is None:
                        yield (*path, "columns", index), self._unknown(name, self.catalog.names(), "name")
            elif isinstance(check, LineSumCheck):
                yield from self._line_sum(check, path)
                local = check.in_local_currency
                if local is not None:
                    path = (*path, "in_local_currency")
                    yield from self._line_sum(local, path)
                    for name in (*local.when_absent, *local.when_absent.values()):
                        yield from self._number(name, (*path, "when_absent"), of_record=True)
                    yield from self._number(local.foreign_when, (*path, "foreign_when"), of_record=True)
            elif self.catalog.resolve(check.column) is None:
                yield (*path, "column"), self._unknown(check.column, self.catalog.names(), "name")

    def _line_sum(self, terms: LineSumCheck | LocalSum, path: KeyPath) -> Iterator[Problem]:
        yield from self._number(terms.lines, (*path, "lines"), of_record=False)
        for key, names in (("plus", terms.plus), ("minus", terms.minus), ("total", (terms.total,))):
            for name in names:
                yield from self._number(name, (*path, key), of_record=True)
        yield from self._of_record(terms.currency, (*path, "currency"))

    def _totals(self, columns: dict[str, Named]) -> Iterator[Problem]:
        totals = self.mapping.totals
        assert totals is not None
        for key, name in (("currency", totals.currency), ("amount", totals.amount)):
            if name not in columns:
                yield ("totals", key), self._unknown(name, columns, "column")
            elif self.catalog.is_line_level(columns[name]):
                yield ("totals", key), f"the column {name!r} differs from line to line; totals count each record once."
            elif key == "amount" and columns[name].money is None:
                yield ("totals", key), f"the column {name!r} has no `money` format; give it one with its currency."

    def _number(self, name: str, path: KeyPath, *, of_record: bool) -> Iterator[Problem]:
        found = list(self._of_record(name, path)) if of_record else []
        if found:
            yield from found
        elif self.catalog.resolve(name) is None:
            yield path, self._unknown(name, self.catalog.names(), "name")
        elif self.catalog.type_of(name) not in _NUMERIC:
            yield path, f"{name!r} is not a number."

    def _of_record(self, name: str, path: KeyPath) -> Iterator[Problem]:
        found = self.catalog.resolve(name)
        if found is None:
            yield path, self._unknown(name, self.catalog.names(), "name")
        elif found.kind is Kind.LINE_FIELD or self.catalog.is_line_level(self._as_reference(name)):
            yield path, f"{name!r} differs from line to line; name something of the record."

    def _unknown(self, name: str, known: Iterable[str], what: str) -> str:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, 1)
        hint = f"Did you mean {close[0]!r}?" if close else "Declare it under `source`, or correct it."
        return f"there is no {what} {name!r} here. {hint}"


def _references_by_key(item: Named) -> Iterator[tuple[KeyPath, Iterable[str]]]:
    if item.from_:
        yield ("from",), (item.from_,)
    yield ("first_of",), item.first_of
    if item.join:
        yield ("join", "of"), item.join.of
    for position, case in enumerate(item.cases):
        yield ("cases", position, "where"), case.where
        yield ("cases", position, "where_not"), case.where_not
    if item.equal:
        yield ("equal",), item.equal
    if item.derive:
        yield ("derive", "of"), item.derive.of
        yield ("derive", "foreign_choices"), item.derive.foreign_choices
        for key in ("local", "foreign", "foreign_when", "document_local", "document_foreign"):
            name = getattr(item.derive, key)
            if name:
                yield ("derive", key), (name,)
    if item.money:
        yield ("money",), (item.money,)
