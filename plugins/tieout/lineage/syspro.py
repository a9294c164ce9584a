"""Lineage to SYSPRO's targets: the G/L file's columns, a record spec's fields, the elements of an X12 set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from tieout.formats.fixed_width import FixedWidthSpec
from tieout.formats.fixed_width.field_spec import FieldSpec
from tieout.integrations.syspro_to_legacy_erp.gl.rules import GlRulesFile, Part
from tieout.mapping.lineage import CONSTANT, GENERATED, NOTHING, ColumnLineage, Kind

Columns = Mapping[str, Sequence[ColumnLineage]]
"""A canonical column → its sources."""

GL_ENTITY = "gl_postings"
GL_SETS = ("830", "821")
DOCUMENT_SETS = MappingProxyType({"invoices": "810", "purchase_orders": "850", "items": "832"})

_DETAIL = "GenJournalDetail"
_HEADER = "GenJournalCtl"
_SIGN = "sign by source.debit_is"
_GL: Mapping[str, tuple[tuple[str, str, Kind], ...]] = {
    "source_gl_code": ((f"{_DETAIL}.GlCode", "rename", Kind.IDENTITY),),
    "year": ((f"{_DETAIL}.GlYear", "rename", Kind.IDENTITY),),
    "period": ((f"{_DETAIL}.GlPeriod", "rename", Kind.IDENTITY),),
    "journal": ((f"{_DETAIL}.Journal", "rename", Kind.IDENTITY),),
    "entry": ((f"{_DETAIL}.EntryNumber", "rename", Kind.IDENTITY),),
    "voucher": tuple((f"{_DETAIL}.{name}", "join", Kind.CONVERSION) for name in ("GlYear", "GlPeriod", "Journal")),
    "date": (
        (f"{_DETAIL}.EntryDate", "rename", Kind.IDENTITY),
        (f"{_HEADER}.JournalDate", "where the entry has none", Kind.CHOICE),
    ),
    "source": (
        (f"{_DETAIL}.Source", "rename", Kind.IDENTITY),
        (f"{_HEADER}.Source", "where the entry has none", Kind.CHOICE),
    ),
    "reference": ((f"{_DETAIL}.Reference", "rename", Kind.IDENTITY),),
    "description": ((f"{_DETAIL}.Comment", "rename", Kind.IDENTITY),),
    "amount": ((f"{_DETAIL}.EntryValue", _SIGN, Kind.CALCULATION),),
    "debit": ((f"{_DETAIL}.EntryValue", f"{_SIGN}, positive part", Kind.CALCULATION),),
    "credit": ((f"{_DETAIL}.EntryValue", f"{_SIGN}, negative part", Kind.CALCULATION),),
    "company": (("${company_id}", "setting of the connection", Kind.SETTING),),
    "currency": (("${source.currency}", "setting", Kind.SETTING),),
}

_FILE_FACTS: Mapping[str, tuple[str, str, Kind]] = {
    "company": ("${company_id}", "setting of the connection", Kind.SETTING),
    "company_code": ("${company_id}", "setting of the connection", Kind.SETTING),
    "company_name": ("${partner.company_name}", "setting", Kind.SETTING),
    "partner_name": ("${partner.partner_name}", "setting", Kind.SETTING),
    "partner_code": ("${partner.x12.receiver}", "setting", Kind.SETTING),
    "currency": ("${source.currency}", "setting", Kind.SETTING),
    "run_date": (GENERATED, "the run's day", Kind.GENERATED),
    "generated": (GENERATED, "the run's day", Kind.GENERATED),
    "batch": (GENERATED, "the file's number", Kind.GENERATED),
    "reference": (GENERATED, "the period or the file's number", Kind.GENERATED),
    "period_code": ("${calendar}", "the period's code YYYYPP", Kind.SETTING),
    "year": ("${calendar}", "the period's year", Kind.SETTING),
    "period": ("${calendar}", "the period's number", Kind.SETTING),
    "period_start": ("${calendar}", "the period's first day", Kind.SETTING),
    "period_end": ("${calendar}", "the period's last day", Kind.SETTING),
    "purpose": (GENERATED, "00, or 05 for a file that replaces an earlier one", Kind.GENERATED),
    "order_type": (CONSTANT, "constant SA", Kind.CONSTANT),
}
"""What a file says of itself → where it comes from."""

_COUNTED: Mapping[str, str] = {
    "set_control": "the set's number",
    "segment_count": "counts the set's segments",
    "line_count": "counts the lines",
    "group_count": "counts the groups",
    "level_number": "numbers the groups",
    "row_number": "numbers the rows",
}
"""What the X12 writer counts."""

_DERIVED: Mapping[str, tuple[str, str, Kind]] = {
    "short_account": ("account", "where REF02 has room for it", Kind.CONVERSION),
    "absolute_amount": ("amount", "without sign", Kind.CALCULATION),
    "debit_or_credit": ("amount", "C for a negative one, else D", Kind.CALCULATION),
    "date_or_period_end": ("date", "the period's last day where there is none", Kind.CHOICE),
    "long_line_account": ("line_account", "where REF02 has no room for it", Kind.CONVERSION),
    "replacing": ("purpose", "only where it is no original", Kind.CONVERSION),
    "hash_total": ("amount", "sum", Kind.AGGREGATION),
}
"""What is derived of another column when a set is written."""


def gl_columns(rules: GlRulesFile) -> dict[str, list[ColumnLineage]]:
    """Everything that a posting consists of, under its canonical name."""
    found = {
        name: [_row(source, name, words, kind) for source, words, kind in sources] for name, sources in _GL.items()
    }
    for name, part, reference in (
        ("cost_centre", rules.cost_centre, "cost_centres"),
        ("account", rules.account, "accounts"),
    ):
        words = f"{_part_words(part)}, then cross-reference {reference}"
        found[name] = [_row(f"{_DETAIL}.GlCode", name, words, Kind.LOOKUP)]
    return found


def gl_csv(rules: GlRulesFile) -> list[ColumnLineage]:
    """The CSV's columns."""
    known = gl_columns(rules)
    return [row.onto(column.name) for column in rules.columns for row in known[column.source]]


def fixed_width(spec: FixedWidthSpec, columns: Columns) -> list[ColumnLineage]:
    """Every field of every record, fillers and constants too; a target is `detail.amount, positions 80-93`."""
    return [
        row
        for name, record in spec.records.items()
        for field in record.fields
        for row in _field(f"{name}.{field.name}, {field.positions}", name, field, spec, columns)
    ]


def x12(set_id: str, columns: Columns) -> list[ColumnLineage]:
    """Every element of a file with such a set, from ISA to IEA; a target is `REF02 (GZ)` where a set has several."""
    from tieout.formats.x12.segments import Const
    from tieout.formats.x12.sets import LAYOUTS
    from tieout.lineage.envelope import enveloped

    layout = LAYOUTS[set_id]
    often = Counter(segment.id for segment in layout.segments())
    found: list[ColumnLineage] = []
    heads = set(map(id, layout.head))
    for segment in layout.segments():
        # The head of the only set of a file is written before its rows are seen.
        known = {} if id(segment) in heads and not layout.document else columns
        first = segment.elements.get(1)
        which = f" ({first.value})" if often[segment.id] > 1 and isinstance(first, Const) else ""
        written = not segment.when or any(_is_filled(name, known) for name in segment.when)
        for position, content in segment.elements.items():
            target = f"{segment.id}{position:02d}{which}"
            if not written:
                lacking = f"no column {segment.when[0]}" if len(segment.when) == 1 else "none of its columns"
                words = f"segment not written: the mapping has {lacking}"
                found.append(ColumnLineage(NOTHING, "", target, words, Kind.ABSENT))
            elif isinstance(content, Const):
                where = f", where {segment.id}{content.beside:02d} has a value" if content.beside else ""
                found.append(ColumnLineage(CONSTANT, "", target, f"constant {content.value}{where}", Kind.CONSTANT))
            else:
                found += _element(content.name, target, known)
    return enveloped(set_id, found)


def _is_filled(name: str, columns: Columns) -> bool:
    """Whether anything could stand in a column."""
    return any(row.kind is not Kind.ABSENT for row in _element(name, "", columns))


def _element(name: str, target: str, columns: Columns) -> Iterator[ColumnLineage]:
    if name in columns:
        # TDS01: an 810 says by its type that it is a credit, and not by a sign.
        words, kind = ("credits positive", Kind.CALCULATION) if target == "TDS01" else ("", Kind.IDENTITY)
        yield from (row.onto(target, words, kind) for row in columns[name])
    elif name in _COUNTED:
        yield ColumnLineage(GENERATED, "", target, _COUNTED[name], Kind.GENERATED)
    elif name in _DERIVED and _DERIVED[name][0] in columns:
        column, words, kind = _DERIVED[name]
        yield from (row.onto(target, words, kind) for row in columns[column])
    elif name == "account_name" and "account" in columns:
        yield ColumnLineage("GenMaster.Description", "", target, "lookup by account", Kind.LOOKUP)
    elif name in _FILE_FACTS:
        yield _fact(name, target)
    elif name in _DERIVED and _DERIVED[name][0] in _FILE_FACTS:
        yield _fact(_DERIVED[name][0], target).onto(target, _DERIVED[name][1])
    else:
        yield ColumnLineage(NOTHING, "", target, f"empty: the mapping has no column {name}", Kind.ABSENT)


def _field(
    target: str, record: str, field: FieldSpec, spec: FixedWidthSpec, columns: Columns
) -> Iterator[ColumnLineage]:
    name = field.source or ""
    if field.const is not None:
        words = f"constant {field.const}" if field.const.strip() else "filler"
        yield ColumnLineage(CONSTANT, "", target, words, Kind.CONSTANT)
    elif field.type == "sequence":
        yield ColumnLineage(GENERATED, "", target, f"counts: {name or 'detail_number'}", Kind.GENERATED)
    elif record != "detail" and name in spec.totals:
        yield from _total(name, target, spec, columns)
    elif name in columns and (record == "detail" or name not in _FILE_FACTS):
        kind = Kind.IDENTITY if field.type == "text" and not field.truncate else Kind.CONVERSION
        yield from (row.onto(target, _format(field), kind) for row in columns[name])
    elif name in _FILE_FACTS:
        yield _fact(name, target)
    else:
        yield ColumnLineage(NOTHING, "", target, f"no entity has the column {name}", Kind.ABSENT)


def _total(name: str, target: str, spec: FixedWidthSpec, columns: Columns) -> Iterator[ColumnLineage]:
    total = spec.totals[name]
    if total.sum is None:
        yield ColumnLineage(GENERATED, "", target, f"counts the {total.count}", Kind.GENERATED)
        return
    words = f"sum of {total.sum}" + (f", {total.side}s only" if total.side else "")
    words += f", modulo {total.modulo}" if total.modulo else ""
    for row in columns.get(total.sum, ()):
        yield row.onto(target, words, Kind.AGGREGATION)


def _fact(name: str, target: str) -> ColumnLineage:
    source, words, kind = _FILE_FACTS[name]
    return ColumnLineage(source, "", target, words, kind)


def _format(field: FieldSpec) -> str:
    """How a field writes its value, as far as that changes it."""
    words = {"text": "", "date": f"date {field.format or '%Y%m%d'}", "dc": "debit or credit"}.get(
        field.type, f"{field.decimals} decimals" if field.decimals else "whole number"
    )
    words += f", sign {field.sign}" if field.sign != "unsigned" else ""
    return f"cut to {field.width}" if field.truncate else words


def _part_words(part: Part) -> str:
    if part.method == "split":
        return f"part {part.index} between {part.separator!r}"
    if part.method == "slice":
        return f"characters from {part.start}" + (f", {part.length} of them" if part.length else "")
    return {"whole": "the whole code", "lookup": "the code's own entry", "regex": f"what {part.pattern} finds"}[
        part.method
    ]


def _row(source: str, target: str, words: str, kind: Kind) -> ColumnLineage:
    staged = source.partition(".")[2] if kind.reads_source else ""
    return ColumnLineage(source, staged, target, words, kind)


def by_column(rows: Iterable[ColumnLineage]) -> dict[str, list[ColumnLineage]]:
    """Rows by their target."""
    found: dict[str, list[ColumnLineage]] = {}
    for row in rows:
        found.setdefault(row.target, []).append(row)
    return found
