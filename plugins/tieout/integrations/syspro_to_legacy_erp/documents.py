"""Reading documents and masters from SYSPRO into staging, and what they are worth by SYSPRO's own figures.

A document is a row of the mapping's table (`source.entity_set`); where the mapping has lines, with the rows of the
line table as a list. The mapping's `source.collections` names that table, whose key begins with the header's.

Two columns may stand under `source.provided`: `_key`, the values of the table's key joined by `|`, and `SupplierName`,
looked up in ApSupplier.

SYSPRO tells no time of change, only business dates, so a window is one of the mapping's `change_columns[0]`. A document
without that date must not vanish: after a read by window the whole table is walked once more, keys and dates only, and
if there are undated documents among them, these are read too.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from tieout.errors import ConfigurationInvalid
from tieout.integrations.syspro_to_legacy_erp.document_lines import DocumentLines
from tieout.integrations.syspro_to_legacy_erp.document_money import DocumentMoney, money_columns
from tieout.mapping.model import EntityMapping
from tieout.odata.layout import KEY
from tieout.odata.schema import FieldType
from tieout.staging import Folder, PartWriter, remove_parts
from tieout.systems.syspro.client import SysproClient
from tieout.systems.syspro.errors import SysproError
from tieout.systems.syspro.tables import AP_SUPPLIER, TABLES, Condition, Table, TableRead

SUPPLIER_NAME = "SupplierName"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DocumentWindow:
    """Which documents are wanted; a mapping without `change_columns` knows no dates, so all of them are.

    Attributes:
        since: First day, the company's calendar; None is open.
        until: The day after the last; None is open.
        also: Keys of documents that are wanted whatever their date, such as held ones.
        only: Nothing but the documents of these keys; dates do not matter then.
    """

    since: date | None = None
    until: date | None = None
    also: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    def is_whole(self, dated: str | None) -> bool:
        """Whether it leaves nothing out, given the column of the documents' dates."""
        return self.only is None and (dated is None or (self.since is None and self.until is None))


@dataclass(frozen=True)
class Extracted:
    """What was staged.

    Attributes:
        records: Documents.
        part_names: The part files.
        max_date: The newest date seen in the change column, YYYY-MM-DD; None where there is none.
        money: Currency → what the documents are worth, from SYSPRO's own columns and not by way of the mapping.
        orphan_lines: Lines without a header; known only when all headers were read.
    """

    records: int
    part_names: list[str]
    max_date: str | None
    money: dict[str, Decimal] = field(default_factory=dict)
    orphan_lines: int = 0

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps({**asdict(self), "money": {code: str(amount) for code, amount in self.money.items()}})

    @classmethod
    def from_json(cls, text: str) -> Extracted:
        """Reads what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "money": {code: Decimal(amount) for code, amount in values["money"].items()}})


def read_documents(
    client: SysproClient, mapping: EntityMapping, window: DocumentWindow, folder: Folder, *, local_currency: str = ""
) -> Extracted:
    """Reads an entity into part files in the staged layout.

    Args:
        client: The session.
        mapping: Says which table, which columns, which lines.
        window: Which documents.
        folder: The entity's folder; parts of an earlier attempt are removed.
        local_currency: What a blank currency stands for.

    Raises:
        ConfigurationInvalid: The mapping names a table that is not known, or gives a key column another type.
        SourceUnavailable, CredentialsRejected, ContractBroken, SysproError: As the client says.
    """
    headers = _header_read(mapping)
    lines = _line_read(mapping, headers.table)
    joined = DocumentLines(lines, len(headers.table.key)) if lines else None
    dated = next(iter(mapping.source.change_columns), None)
    money = DocumentMoney(mapping, local_currency)
    newest: str | None = None
    folder.mkdir(parents=True, exist_ok=True)
    remove_parts(folder)
    batches = _headers(client, headers, dated, window)
    if SUPPLIER_NAME in mapping.source.provided:
        batches = _with_supplier_names(client, batches)
    if joined is not None and lines is not None:
        batches = joined.nested(batches, _lines_if_there(client, lines))
    with PartWriter(folder) as parts:
        for batch in batches:
            money.add(batch)
            if dated:
                newest = max(filter(None, (newest, pc.max(batch.column(dated)).as_py())), default=None)
            parts.write(pa.Table.from_batches([batch]))
    orphans = _told_about_orphans(joined, mapping, whole=window.is_whole(dated)) if joined else 0
    written = parts.parts
    return Extracted(
        sum(part.records for part in written), [part.name for part in written], newest, money.totals(), orphans
    )


# --- what is asked for


def _header_read(mapping: EntityMapping) -> TableRead:
    source = mapping.source
    elsewhere = [name for name in ("filter", "record_path", "prepare") if getattr(source, name)]
    if elsewhere:
        raise ConfigurationInvalid(
            f"The mapping {mapping.entity} has `source.{elsewhere[0]}`, which does not work with SYSPRO's tables. "
            "Remove it; `excludes` leaves out records by what they say."
        )
    table = _table(mapping, source.entity_set, source.fields)
    wanted = [*source.fields, *source.change_columns, *money_columns(mapping, source.entity_set)]
    unknown = [name for name in source.change_columns if name not in table.columns]
    if unknown:
        raise ConfigurationInvalid(
            f"The mapping {mapping.entity} has the change column {unknown[0]}, which is not among its fields. Add it "
            "to `source.fields` as a date."
        )
    return TableRead(table, columns=tuple(dict.fromkeys(wanted)))


def _line_read(mapping: EntityMapping, headers: Table) -> TableRead | None:
    name = mapping.source.lines
    if name is None:
        return None
    members = mapping.source.collections[name]
    table = _table(mapping, name, members)
    depth = len(headers.key)
    if table.key[:depth] != headers.key or len(table.key) == depth:
        raise ConfigurationInvalid(
            f"The mapping {mapping.entity} has lines of {name}, whose key {', '.join(table.key)} does not begin with "
            f"that of {headers.name} ({', '.join(headers.key)}). Name the table of its lines, or remove them."
        )
    return TableRead(table, columns=tuple(dict.fromkeys([*members, *money_columns(mapping, name)])))


def _table(mapping: EntityMapping, name: str, declared: Mapping[str, FieldType]) -> Table:
    """A table with the columns that the mapping declares, also those that are not known: sites have columns of their
    own.
    """
    known = TABLES.get(name)
    if known is None:
        raise ConfigurationInvalid(
            f"The mapping {mapping.entity} reads {name}, whose key is not known. It can read {', '.join(TABLES)}."
        )
    for column in known.key:
        if declared.get(column, known.columns[column]) is not known.columns[column]:
            raise ConfigurationInvalid(
                f"The mapping {mapping.entity} declares {name}.{column} as {declared[column].value}, but it is part of "
                f"the table's key and {known.columns[column].value}. Correct it under `source`."
            )
    own = [column for column in declared if column not in known.columns]
    if own:
        log.info("%s: %s is no standard column; it is read as the mapping declares it.", name, ", ".join(own))
    return Table(name, known.key, {**known.columns, **declared})


# --- headers


def _headers(
    client: SysproClient, read: TableRead, dated: str | None, window: DocumentWindow
) -> Iterator[pa.RecordBatch]:
    """The documents that are wanted."""
    if window.only is not None:
        wanted = pa.array(sorted(window.only), pa.string())
        yield from _filled(batch.filter(pc.is_in(batch.column(KEY), wanted)) for batch in client.read(read))
        return
    if dated is None or window.is_whole(dated):
        yield from client.read(read)
        return
    days = [Condition(dated, "ge", window.since)] if window.since else []
    days += [Condition(dated, "lt", window.until)] if window.until else []
    yield from client.read(TableRead(read.table, tuple(days), read.columns, read.raw))
    if window.also or _has_undated(client, read.table, dated):
        yield from _filled(_beside(batch, dated, window) for batch in client.read(read))


def _has_undated(client: SysproClient, table: Table, dated: str) -> bool:
    found = 0
    for batch in client.read(TableRead(table, columns=(dated,), raw=False)):
        found += batch.column(dated).null_count
    if found:
        log.warning("%s: %s documents have no %s; they are read whatever the window is.", table.name, found, dated)
    return found > 0


def _beside(batch: pa.RecordBatch, dated: str, window: DocumentWindow) -> pa.RecordBatch:
    """The records that the window has not brought: undated ones, and those that are wanted by their key."""
    day = batch.column(dated)
    inside = pc.is_valid(day)
    if window.since:
        inside = pc.and_(inside, pc.fill_null(pc.greater_equal(day, window.since.isoformat()), False))
    if window.until:
        inside = pc.and_(inside, pc.fill_null(pc.less(day, window.until.isoformat()), False))
    by_key = pc.is_in(batch.column(KEY), pa.array(sorted(window.also), pa.string()))
    return batch.filter(pc.and_(pc.invert(inside), pc.or_(pc.is_null(day), by_key)))


def _filled(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return (batch for batch in batches if batch.num_rows)


def _with_supplier_names(client: SysproClient, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The column `SupplierName`, empty where ApSupplier has none; suppliers are few enough to be kept in memory."""
    read = TableRead(AP_SUPPLIER, columns=(SUPPLIER_NAME,), raw=False)
    table = pa.Table.from_batches(_if_there(client, read, "names of suppliers stay empty"), _names_schema())
    codes, names = (table[name].combine_chunks() for name in ("Supplier", SUPPLIER_NAME))
    for batch in batches:
        found = pc.index_in(batch.column("Supplier"), value_set=codes)
        yield batch.append_column(SUPPLIER_NAME, names.take(found))


def _names_schema() -> pa.Schema:
    return pa.schema([(KEY, pa.string()), ("Supplier", pa.string()), (SUPPLIER_NAME, pa.string())])


# --- lines


def _lines_if_there(client: SysproClient, read: TableRead) -> Iterator[pa.RecordBatch]:
    return _if_there(client, read, "documents have no lines")


def _if_there(client: SysproClient, read: TableRead, otherwise: str) -> Iterator[pa.RecordBatch]:
    """A table's rows; none where the server does not have the table at all."""
    begun = False
    try:
        for batch in client.read(read):
            begun = True
            yield batch
    except SysproError as error:
        if begun or error.status != 404:
            raise
        log.warning("SYSPRO has no table %s, so %s.", read.table.name, otherwise)


def _told_about_orphans(joined: DocumentLines, mapping: EntityMapping, *, whole: bool) -> int:
    """Lines that belong to no document; of a part of the documents it cannot be told."""
    if not joined.unclaimed or not whole:
        return 0
    log.warning(
        "%s of %s belong to no row of %s and were left out.",
        f"{joined.unclaimed} rows", mapping.source.lines, mapping.source.entity_set,
    )  # fmt: skip
    return joined.unclaimed
