"""What a record was checked by on its way, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tieout.ledger import Ledger, RunKey

Facts = dict[str, Any]


class Checks:
    """Looks up what the records of one story were checked by; the verdict on a batch is read once for all of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._batches: dict[RunKey, list[Facts]] = {}

    def of(self, record: Mapping[str, Any]) -> list[Facts]:
        """The verdicts on a record and on the batches it was in, in time order.

        Args:
            record: A record of `Ledger.trace`.
        """
        found = [check for event in record["events"] if (check := _of_event(event))]
        scope = (record["integration"], record["instance"], record["entity"])
        for run in record["runs"]:
            events = self._of_run(RunKey(*scope, run["run_id"]))
            found += [_of_batch(event, record["source_key"]) for event in events]
        return sorted(found, key=lambda check: check["at"])

    def _of_run(self, key: RunKey) -> list[Facts]:
        if key not in self._batches:
            self._batches[key] = [event.as_json() for event in self._ledger.run_events(key, "quality")]
        return self._batches[key]


def _of_event(event: Mapping[str, Any]) -> Facts | None:
    detail = event["detail"]
    if event["what"] == "validated":
        findings = list(detail.get("findings") or ())
        return _check(event, "validation", str(detail.get("verdict") or ""), "", findings)
    if event["what"] == "held":
        return _check(event, "held", str(detail.get("reason_code") or "held"), str(detail.get("message") or ""), [])
    return None


def _of_batch(event: Mapping[str, Any], source_key: str) -> Facts:
    """Great Expectations' verdict on a batch: passed for a record that none of the failures names."""
    results = event["detail"].get("results") or []
    failed = [result for result in results if not result.get("success")]
    own = [result for result in failed if result.get("records") is None or source_key in result["records"]]
    message = f"{len(results)} expectations, {len(own)} of them not met"
    return _check(event, "expectations", "failed" if own else "passed", message, own)


def _check(event: Mapping[str, Any], check: str, verdict: str, message: str, findings: list[Any]) -> Facts:
    return {
        "at": event["at"],
        "run_id": event["run_id"],
        "check": check,
        "verdict": verdict,
        "message": message,
        "findings": findings,
    }
