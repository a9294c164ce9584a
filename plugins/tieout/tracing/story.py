"""The story of a key: the ledger's facts, in the order in which things happened to the record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tieout.ledger import Ledger
from tieout.replays import dag_id_of
from tieout.tracing.attempts import attempts_of
from tieout.tracing.checks import Checks
from tieout.tracing.columns import columns_of_file, columns_of_posting
from tieout.tracing.places import Place, Places

Facts = dict[str, Any]

_RECEIPT = ("file_id", "file_name", "remote_path", "bytes", "sha256", "verification", "delivered_at")


def tell(ledger: Ledger, key: str, within: Collection[tuple[str, str]] | None = None) -> Facts:
    """Everything known by a key that people have at hand.

    Args:
        ledger: The book of record.
        key: What `Ledger.trace` takes.
        within: Tell only of these pairs of integration and instance; None of all.

    Returns:
        What `Ledger.trace` gives, and for each record also its `dag_id`, the `checks` it went through, its `columns`
        one by one with what they were made from, its `position` in the file, the `receipt` and the `acknowledgement`
        of that file, and all `attempts` in time order. Each of its `files` says whether its bytes are `kept`.
    """
    story = ledger.trace(key)
    if within is not None:
        for part in ("records", "files"):
            story[part] = [each for each in story[part] if (each["integration"], each["instance"]) in within]
    places, checks = Places(ledger), Checks(ledger)
    story["records"] = [_told(ledger, places, checks, record) for record in story["records"]]
    return story


def _told(ledger: Ledger, places: Places, checks: Checks, record: Facts) -> Facts:
    files = [file | {"kept": places.kept(file)} for file in record["files"]]
    last = _last_sent(files)
    place = places.of(last) if last else None
    return record | {
        "files": files,
        "dag_id": dag_id_of(record["integration"], record["instance"]),
        "checks": checks.of(record),
        "columns": _columns(ledger, record, last, place),
        "position": place.as_json() if place else None,
        "receipt": {name: last[name] for name in _RECEIPT} if last and last["delivered_at"] else None,
        "acknowledgement": last.get("answer") if last else None,
        "attempts": attempts_of(record),
    }


def _last_sent(files: Sequence[Facts]) -> Facts | None:
    """The file that the receiver has the record from; else the last one it was to go in."""
    data = [file for file in files if file["kind"] not in ("manifest", "trigger", "checksum", "inbound")]
    delivered = [file for file in data if file["status"] == "delivered"]
    found = delivered or data
    return found[-1] if found else None


def _columns(ledger: Ledger, record: Facts, file: Mapping[str, Any] | None, place: Place | None) -> list[Facts]:
    integration, entity = record["integration"], record["entity"]
    if file is not None and place is not None:
        return columns_of_file(integration, record["instance"], entity, file["file_name"], place)
    entries = [posting for posting in record["postings"] if posting["kind"] != "cancellation"]
    if entries:
        body = ledger.posting_bodies([entries[-1]["id"]]).get(entries[-1]["id"], b"")
        return columns_of_posting(integration, entity, body)
    return []
