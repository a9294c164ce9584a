"""What to ask SAP for, and what the answer means for the tie-out and the watermark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial

import msgspec

from tieout.integrations.run import EntityPlan, Run
from tieout.integrations.sap_b1_to_peakflo.plan import APPEND_ONLY
from tieout.ledger import Filters, Ledger
from tieout.mapping.model import EntityMapping
from tieout.odata.entity_read import EntityRead
from tieout.odata.keyset import KeysetQuery, KeysetWalk
from tieout.odata.manifest import ExtractManifest
from tieout.odata.query import Key, KeyType, key_filters, literal
from tieout.staging import Folder
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.entities import entity_set, window_filter
from tieout.systems.sap_b1.extract import extract_to_parquet

PAYMENT_DATE = "DocDate"


def entity_read(mapping: EntityMapping, plan: EntityPlan, held: Sequence[Key]) -> EntityRead:
    """The read that a plan asks for.

    Args:
        mapping: Says which entity set, which key, which properties.
        plan: Says how much of it.
        held: Keys, of the entity set, of held records to read again.
    """
    source = mapping.source
    nested = source.record_path is not None
    # Records that are elements of a parent's collection are found by walking over the parents.
    key = entity_set(source.entity_set).key if nested else source.key
    key_type = entity_set(source.entity_set).key_type if nested else KeyType(source.key_type)
    select = mapping.select()
    change_columns = source.change_columns or ((PAYMENT_DATE,) if plan.entity in APPEND_ONLY else ())
    return EntityRead(
        entity_set=source.entity_set,
        key=key,
        key_type=key_type,
        schema=mapping.record_schema(),
        filter=_filter(mapping, plan, key, held),
        select=None if select is None else tuple(dict.fromkeys([*select, *change_columns])),
        change_columns=tuple(change_columns),
        record_path=source.record_path,
        record_key=source.key if nested else None,
        extra_keys=tuple(held),
    )


def _filter(mapping: EntityMapping, plan: EntityPlan, key: str, held: Sequence[Key]) -> str | None:
    source = mapping.source
    if plan.read == "held":
        # The first chunk of keys is the walk's own filter; the other keys are read by name after it.
        first = next(iter(key_filters(key, held)), None)
        return first[0] if first else f"{key} eq {literal(0 if key == 'DocEntry' else '')}"
    window = _window(source.entity_set, key, plan) if plan.read == "window" else None
    parts = [part for part in (source.filter, window) if part]
    return " and ".join(f"({part})" for part in parts) if len(parts) > 1 else (parts[0] if parts else None)


def _window(name: str, key: str, plan: EntityPlan) -> str | None:
    """The days of the plan. Payments have no change date: theirs is the posting date, and new keys count anyway.

    A payment that is cancelled keeps its date and key, so cancelled ones are always read again; those that were sent
    as cancelled before are duplicates by content.
    """
    if plan.entity not in APPEND_ONLY:
        since, until = (date.fromisoformat(day) if day else None for day in (plan.since, plan.until))
        return window_filter(entity_set(name), since, until)
    days = [f"{PAYMENT_DATE} ge '{plan.since}'"] if plan.since else []
    if plan.until:
        return " and ".join([*days, f"{PAYMENT_DATE} lt '{plan.until}'"])
    newer = [f"{key} gt {plan.after_key}"] if plan.after_key is not None else []
    return " or ".join([*days, *newer, "Cancelled eq 'tYES'"])


def held_keys(ledger: Ledger, run: Run, plan: EntityPlan, mapping: EntityMapping) -> list[Key]:
    """Keys, of the entity set, of the held records that the plan reads again.

    Where records are elements of a parent's collection, the parent's key stands in the held payload.
    """
    keys = list(plan.held_keys)
    if not keys:
        if not plan.with_held:
            return []
        keys = ledger.open_held_keys(run.scope(plan.entity))
    if mapping.source.record_path is not None:
        return _parents(ledger, run, plan.entity, set(keys), entity_set(mapping.source.entity_set).key)
    if mapping.source.key_type == "integer":
        return [int(key) for key in keys if key.lstrip("-").isdigit()]
    return [key for key in keys if key]


def _parents(ledger: Ledger, run: Run, entity: str, keys: set[str], parent_key: str) -> list[Key]:
    parents: dict[Key, None] = {}
    for row in ledger.held(Filters(run.integration, run.instance, entity, status="held")):
        held = ledger.get_held(row.id) if row.source_key in keys else None
        parent = json.loads(held.payload).get(parent_key) if held is not None else None
        if parent is not None:
            parents[parent] = None
    return list(parents)


def read_manifest(folder: Folder) -> ExtractManifest:
    """What `extract` said it staged."""
    with (folder / "extract.json").open("rb") as file:
        return ExtractManifest.from_json(file.read().decode())


def read(client: SapB1Client, what: EntityRead, folder: Folder, *, parallel: int) -> ExtractManifest:
    """Read it into staging, complete or not at all."""
    return extract_to_parquet(client, what, folder, workers=parallel)


def next_watermark(
    plan: EntityPlan, run: Run, manifest: ExtractManifest, before: Mapping[str, object] | None
) -> dict[str, object] | None:
    """Where the next run starts: the latest change that was seen, never later than the server's own date.

    SAP's dates are the company's, the server's clock is in UTC; the lookback is longer than they can differ.
    """
    if not plan.moves_watermark:
        return None
    mark: dict[str, object] = dict(before or {})
    seen = max((value for value in manifest.max_values.values() if value), default=None)
    if seen is not None and manifest.server_date is not None:
        seen = min(seen, manifest.server_date)
    if seen is not None and seen > str(mark.get("changed") or ""):
        mark["changed"] = seen
    if plan.entity in APPEND_ONLY and manifest.max_key is not None:
        mark["key"] = max(int(manifest.max_key), int(str(mark.get("key") or 0)))
    mark["read_by"] = run.run_id
    return mark


def invoice_numbers(client: SapB1Client, keys: Sequence[str]) -> dict[str, str]:
    """DocEntry → DocNum of invoices, in as few calls as URLs and pages allow."""
    found: dict[str, str] = {}
    decode = msgspec.json.Decoder(_NumberPage).decode
    for condition, _ in key_filters("DocEntry", [int(key) for key in keys]):
        query = KeysetQuery("Invoices", "DocEntry", KeyType.INTEGER, condition, ("DocEntry", "DocNum"))
        for page in KeysetWalk(partial(client.get_page, "Invoices"), query):
            found |= {str(invoice.DocEntry): str(invoice.DocNum) for invoice in decode(page.body).value}
    return found


class _Number(msgspec.Struct):
    DocEntry: int
    DocNum: int


class _NumberPage(msgspec.Struct):
    value: list[_Number]
