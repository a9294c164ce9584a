"""`bin/tieout preview`: what would be sent, from the real source, nothing written anywhere."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tieout.config import SapB1ToPeakflo, load_instance, split_dag_id
from tieout.errors import ConfigurationInvalid


def preview(dag_id: str, entity: str, limit: int) -> list[dict[str, Any]]:
    """The first records of an entity as rows of the file, each with what would become of it.

    Args:
        dag_id: The DAG, such as `sap_b1_to_peakflo__berlin`.
        entity: One of its entities.
        limit: Most records to read.

    Returns:
        One dict per row of the file; `(outcome)` says `send`, `held: …` or `excluded: …`.

    Raises:
        ConfigurationInvalid: there is no such DAG or entity, or its files are wrong.
        SourceUnavailable, CredentialsRejected: as the source's client says.
    """
    integration, name = split_dag_id(dag_id)
    if integration != "sap_b1_to_peakflo":
        raise ConfigurationInvalid(f"There is no integration {integration!r} that can be previewed.")
    config = load_instance(integration, name, SapB1ToPeakflo).config
    if entity not in config.enabled_entities():
        raise ConfigurationInvalid(f"{dag_id} has no entity {entity!r}; it has {', '.join(config.enabled_entities())}.")
    return _sap_b1(integration, name, config, entity, limit)


def _sap_b1(integration: str, name: str, config: SapB1ToPeakflo, entity: str, limit: int) -> list[dict[str, Any]]:
    from tieout.hooks.connections import sap_b1_settings
    from tieout.integrations.run import EntityPlan, Run
    from tieout.integrations.sap_b1_to_peakflo import reading, steps
    from tieout.mapping.compiler import compile_mapping
    from tieout.mapping.frame import MapContext
    from tieout.odata.pages import PageReader
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.sap_b1.sessions import MemorySessionStore

    now = datetime.now(UTC)
    run = Run(integration, name, "preview", "incremental", None, None, now, dry_run=True)
    mapping = steps.mapping_of(run, config, entity)
    read = reading.entity_read(mapping, EntityPlan(entity, "all"), [])
    client = SapB1Client(sap_b1_settings(config.connections.source), MemorySessionStore())
    try:
        options = {"$orderby": read.key, "$top": str(limit), **({"$filter": read.filter} if read.filter else {})}
        reader = PageReader(
            read.staged(), entity=read.entity_set, key=read.record_key or read.key, record_path=read.record_path
        )
        page = reader.read(client.get_page(read.entity_set, options))
        table = page.table.slice(0, limit)
        compiled = compile_mapping(mapping, page.custom_fields)
        context = MapContext(
            lookups={steps.INVOICE_NUMBERS: lambda keys: reading.invoice_numbers(client, keys)},
            settings={"local_currency": config.source.local_currency},
        )
        return _rows(compiled.header, compiled.map_batch(table, context), table)
    finally:
        client.logout()
        client.close()


def _rows(header: list[str], mapped: Any, table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for position in range(table.num_rows):
        if position in mapped.excluded:
            outcome = f"excluded: {mapped.excluded[position]}"
        elif position in mapped.held:
            outcome = "held: " + " ".join(reason.message for reason in mapped.held[position])
        else:
            outcome = "send"
        first, last = int(mapped.row_offsets[position]), int(mapped.row_offsets[position + 1])
        lines = csv.reader(io.StringIO("".join(mapped.rows[first:last].to_pylist()), newline=""))
        rows += [{"(outcome)": outcome, **dict(zip(header, line, strict=True))} for line in lines]
    return rows
