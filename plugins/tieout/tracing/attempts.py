"""Every attempt to bring a record where it belongs, in time order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tieout.replays import dag_id_of

Facts = dict[str, Any]

_NO_DATA = ("manifest", "trigger", "checksum")


def attempts_of(record: Mapping[str, Any]) -> list[Facts]:
    """One entry per time that the record was held, sent or posted, and per run that only read it.

    Args:
        record: A record of `Ledger.trace`.

    Returns:
        `at` (ISO, UTC), `run_id`, `dag_id`, the run's `mode`, what came of it (`outcome`), `message`, and the
        `file_id`, `held_id` or `posting_id` it is about.
    """
    modes = {run["run_id"]: run["mode"] for run in record["runs"]}
    dag_id = dag_id_of(record["integration"], record["instance"])
    made = [*_held(record), *_sent(record), *_posted(record)]
    told = {each["run_id"] for each in made}
    made += [_attempt(run["started_at"], run, run["status"], run["message"]) for run in record["runs"]
             if run["run_id"] not in told]  # fmt: skip
    ordered = sorted(made, key=lambda each: each["at"] or "")
    return [each | {"dag_id": dag_id, "mode": modes.get(each["run_id"])} for each in ordered]


def _held(record: Mapping[str, Any]) -> Iterator[Facts]:
    for event in record["events"]:
        if event["what"] in ("held", "discarded", "settled"):
            detail = event["detail"]
            message = detail.get("message") or detail.get("why") or detail.get("how") or ""
            yield _attempt(event["at"], event, event["what"], message, held_id=event["held_id"])


def _sent(record: Mapping[str, Any]) -> Iterator[Facts]:
    for file in record["files"]:
        if file["kind"] not in _NO_DATA:
            at = file["delivered_at"] or file["created_at"]
            outcome = "collected" if file["kind"] == "inbound" else file["status"]
            yield _attempt(at, file, outcome, file["message"], file_id=file["file_id"])


def _posted(record: Mapping[str, Any]) -> Iterator[Facts]:
    for posting in record["postings"]:
        at = posting["settled_at"] or posting["sent_at"] or posting["updated_at"]
        outcome = {"done": "posted"}.get(posting["state"], posting["state"])
        yield _attempt(at, posting, outcome, posting["message"], posting_id=posting["id"])


def _attempt(
    at: str | None,
    of: Mapping[str, Any],
    outcome: str,
    message: str,
    *,
    file_id: int | None = None,
    held_id: int | None = None,
    posting_id: int | None = None,
) -> Facts:
    return {
        "at": at,
        "run_id": of["run_id"],
        "outcome": outcome,
        "message": message,
        "file_id": file_id,
        "held_id": held_id,
        "posting_id": posting_id,
    }
