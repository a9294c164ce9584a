"""`bin/tieout preview`: what would be sent, from the real source, nothing written anywhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from tieout.config import (
    SapB1Export,
    SapB1ToPeakflo,
    StampliToSapB1,
    SysproToLegacyErp,
    load_instance,
    split_dag_id,
)
from tieout.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from tieout.odata.entity_read import EntityRead
    from tieout.systems.sap_b1.client import SapB1Client


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
    if integration == "sap_b1_to_peakflo":
        config = load_instance(integration, name, SapB1ToPeakflo).config
        _require(dag_id, entity, config.enabled_entities())
        return _sap_b1(integration, name, config, entity, limit)
    if integration == "stampli_to_sap_b1":
        stampli = load_instance(integration, name, StampliToSapB1).config
        _require(dag_id, entity, stampli.enabled_entities())
        if entity == "purchase_orders":
            from tieout.integrations.stampli_to_sap_b1.purchase_orders import as_export

            return _sap_b1(integration, name, as_export(stampli), entity, limit)
        return _stampli(integration, name, stampli, entity, limit)
    if integration == "syspro_to_legacy_erp":
        syspro = load_instance(integration, name, SysproToLegacyErp).config
        _require(dag_id, entity, syspro.enabled_entities())
        return _syspro(integration, name, syspro, entity, limit)
    if integration == "banqup_to_sftp":
        return _banqup(integration, name, dag_id, entity, limit)
    raise ConfigurationInvalid(f"There is no integration {integration!r} that can be previewed.")


def _require(dag_id: str, entity: str, entities: Iterable[str]) -> None:
    if entity not in entities:
        raise ConfigurationInvalid(f"{dag_id} has no entity {entity!r}; it has {', '.join(entities)}.")


def _banqup(integration: str, name: str, dag_id: str, entity: str, limit: int) -> list[dict[str, Any]]:
    from tieout.hooks.connections import banqup_settings
    from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
    from tieout.integrations.banqup_to_sftp.preview import preview as rows
    from tieout.integrations.run import Run
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url
    from tieout.systems.banqup import BanqupClient

    config = load_instance(integration, name, BanqupToSftp).config
    _require(dag_id, entity, config.enabled_clients())
    run = Run(integration, name, "preview", "incremental", None, None, datetime.now(UTC), dry_run=True)
    with (
        Ledger.open(ledger_url(), migrate=True) as ledger,
        TemporaryDirectory() as folder,
        BanqupClient(banqup_settings(config.connections.source)) as client,
    ):
        return rows(run, config, entity, limit, ledger, Path(folder), client)


def _stampli(integration: str, name: str, config: StampliToSapB1, entity: str, limit: int) -> list[dict[str, Any]]:
    from tieout.hooks.connections import sap_b1_settings, sftp_target
    from tieout.integrations.run import Run
    from tieout.integrations.stampli_to_sap_b1.preview import preview as rows
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.sap_b1.sessions import MemorySessionStore

    run = Run(integration, name, "preview", "incremental", None, None, datetime.now(UTC), dry_run=True)
    client = SapB1Client(sap_b1_settings(config.connections.target), MemorySessionStore())
    try:
        with Ledger.open(ledger_url(), migrate=True) as ledger, TemporaryDirectory() as folder:
            target = sftp_target(config.connections.source)
            return rows(run, config, entity, limit, ledger, Path(folder), lambda: client, target)
    finally:
        client.logout()
        client.close()


def _syspro(integration: str, name: str, config: SysproToLegacyErp, entity: str, limit: int) -> list[dict[str, Any]]:
    from tieout.config import is_production
    from tieout.hooks.connections import syspro_settings
    from tieout.hooks.syspro_session import visiting_session
    from tieout.integrations.run import Run
    from tieout.integrations.syspro_to_legacy_erp import preview as previews
    from tieout.integrations.syspro_to_legacy_erp.plan import GL_POSTINGS
    from tieout.integrations.syspro_to_legacy_erp.setup import Setup
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url

    run = Run(integration, name, "preview", "incremental", None, None, datetime.now(UTC), dry_run=True)
    conn_id = config.connections.source
    settings = syspro_settings(conn_id)
    setup = Setup.of(run, config, settings.company_id, test_content=not is_production())
    with (
        Ledger.open(ledger_url(), migrate=True) as ledger,
        TemporaryDirectory() as folder,
        visiting_session(ledger, conn_id, settings, "preview") as client,
    ):
        if entity == GL_POSTINGS:
            return previews.preview_postings(setup, limit, ledger, Path(folder), client)
        found = previews.preview_documents(setup, entity, limit, ledger, Path(folder), client)
        return [] if found is None else _rows(found[0].header, found[1], found[2])


def _sap_b1(integration: str, name: str, config: SapB1Export, entity: str, limit: int) -> list[dict[str, Any]]:
    from tieout.hooks.connections import sap_b1_settings
    from tieout.integrations.run import EntityPlan, Run
    from tieout.integrations.sap_b1_to_peakflo import reading, steps
    from tieout.integrations.sap_b1_to_peakflo.waiting import INVOICE_PDFS
    from tieout.ledger import Ledger
    from tieout.ledger_url import ledger_url
    from tieout.mapping.compiler import compile_mapping
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.sap_b1.sessions import MemorySessionStore

    now = datetime.now(UTC)
    run = Run(integration, name, "preview", "incremental", None, None, now, dry_run=True)
    mapping = steps.mapping_of(run, config, entity)
    read = reading.entity_read(mapping, EntityPlan(entity, "all"), [])
    client = SapB1Client(sap_b1_settings(config.connections.source), MemorySessionStore())
    try:
        custom_fields, table = _first_records(client, read, limit, with_pdfs=entity == INVOICE_PDFS)
        compiled = compile_mapping(mapping, custom_fields)
        with Ledger.open(ledger_url(), migrate=True) as ledger:
            context = steps.map_context(run, config, entity, ledger, lambda: client)
            return _rows(compiled.header, compiled.map_batch(table, context), table)
    finally:
        client.logout()
        client.close()


def _first_records(
    client: SapB1Client, read: EntityRead, limit: int, *, with_pdfs: bool
) -> tuple[dict[str, list[str]], pa.Table]:
    """As many records as are asked for, page by page, with their custom fields per level."""
    from tieout.integrations.sap_b1_to_peakflo import pdfs
    from tieout.odata.keyset import KeysetWalk
    from tieout.odata.pages import PageReader
    from tieout.staging import conform, union_schema

    reader = PageReader(
        read.staged(), entity=read.entity_set, key=read.record_key or read.key, record_path=read.record_path
    )
    tables: list[pa.Table] = []
    custom_fields: dict[str, set[str]] = {}
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
        for page in KeysetWalk(partial(client.get_page, read.entity_set), read.query()):
            parsed = reader.read(page.body, page.label)
            table = parsed.table.slice(0, limit - sum(each.num_rows for each in tables))
            if with_pdfs:
                # Only invoices that have an attachment, and few of them at a time: each PDF is fetched.
                table = parsed.table.filter(pc.is_valid(parsed.table["AttachmentEntry"])).slice(0, limit)
                table = pdfs.fetch(client, table, Path(folder), pool)
            tables.append(table)
            for level, names in parsed.custom_fields.items():
                custom_fields.setdefault(level, set()).update(names)
            if sum(each.num_rows for each in tables) >= limit:
                break
    if not tables:
        return {}, reader.read(b'{"value": []}').table
    schema = union_schema([table.schema for table in tables])
    named = {level: sorted(names) for level, names in custom_fields.items()}
    return named, pa.concat_tables([conform(table, schema) for table in tables]).slice(0, limit)


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
