"""What can go wrong with the simulated SYSPRO, and how its services behave, switchable while it runs."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FAULT_KINDS = {
    "evict": "another log-on of the same operator ends the session just before the request",
    "error_200": "200 with `ERROR: ` and `message`",
    "licence": "200 with the refusal of a log-on for which no licence is free",
    "html_500": "500 with IIS's HTML page",
    "html_200": "200 with a web page",
    "unavailable": "503",
    "too_many": "429 with Retry-After: 0",
    "unauthorized": "401",
    "truncated": "a complete HTTP reply whose body stops in the middle",
    "close_mid_body": "half of the reply under its full Content-Length, then a close",
    "reset_mid_body": "half of the reply, then a TCP reset",
    "reset_before_head": "a TCP reset instead of a reply",
    "hang": "no reply at all",
    "slow": "the reply comes `seconds` later",
    "run": "runs a Python callable before the request is served (Python API only)",
}
"""Kind → what a matching request gets."""


@dataclass
class Fault:
    """One fault: `times` of the requests whose path `path` is found in are hit, after `after` that pass."""

    kind: str
    path: str = ""
    after: int = 0
    times: int | None = 1
    every: int = 1
    seconds: float = 0.0
    message: str = "The business object failed"
    action: Callable[[], object] | None = field(default=None, repr=False)
    id: int = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"Unknown fault {self.kind!r}; known are {', '.join(FAULT_KINDS)}.")
        self._pattern = re.compile(self.path, re.IGNORECASE)

    def strikes(self, path: str) -> bool:
        """Whether this request is hit; it is counted."""
        if not self._pattern.search(path):
            return False
        self.seen += 1
        return self.seen > self.after and (self.seen - self.after - 1) % self.every == 0

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "action"}


@dataclass
class Settings:
    """How the services behave until told otherwise.

    Attributes:
        latency_ms: Added to every reply.
        token_form: `syspro7` (two trailing spaces), `plain`, `json` or `string`.
        odata_auth: What the OData service asks for: `session_token`, `basic`, `token_and_basic` or `any`.
        token_in: Where the OData service looks for the token: `query`, `header`, `bearer` or `any`.
        cap: Most rows of an OData reply, whatever `$top` says.
        next_links: `none`, `skip`, `skiptoken` or `other_host`.
        numbers: `number` or `string`.
        dates: `z`, `offset` (+02:00), `west` (-05:00) or `none`.
        date_literals: What filters take: `any`, `date` or `moment`.
        padding: Whether texts of fixed width are padded with spaces.
        count: Whether `$count` is understood.
        or_filters: Whether `or` in a filter is understood.
        missing_columns: Columns that this site does not have.
        class_limit: Sessions that may be open at once; None means no limit.
        timeout_minutes: Idle time after which a session may be ended.
    """

    latency_ms: float = 0.0
    token_form: str = "syspro7"
    odata_auth: str = "any"
    token_in: str = "any"
    cap: int = 5_000
    next_links: str = "none"
    numbers: str = "number"
    dates: str = "z"
    date_literals: str = "any"
    padding: bool = True
    count: bool = True
    or_filters: bool = True
    missing_columns: tuple[str, ...] = ()
    class_limit: int | None = None
    timeout_minutes: int = 20


class Faults:
    """Faults and settings of one simulator. Thread-safe."""

    def __init__(self) -> None:
        self.settings = Settings()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, kind: str, **options: Any) -> Fault:
        """Adds a fault; options are the fields of `Fault`."""
        fault = Fault(kind, **options)
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def strike(self, path: str) -> Fault | None:
        """The first fault that hits this request, if any; dropped when used up."""
        with self._lock:
            for fault in self._faults:
                if fault.strikes(path):
                    fault.hits += 1
                    if fault.times is not None and fault.hits >= fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

    def active(self) -> list[dict[str, Any]]:
        """Faults still waiting."""
        with self._lock:
            return [fault.as_dict() for fault in self._faults]

    def clear(self) -> None:
        """Takes back every fault and every setting."""
        with self._lock:
            self._faults.clear()
            self.settings = Settings()

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Changes settings and returns all of them. Raises ValueError for an unknown name."""
        unknown = sorted(set(changes) - {entry.name for entry in fields(Settings)})
        if unknown:
            raise ValueError(f"Unknown setting {', '.join(unknown)}.")
        if "missing_columns" in changes:
            changes["missing_columns"] = tuple(changes["missing_columns"])
        for name, value in changes.items():
            setattr(self.settings, name, value)
        return asdict(self.settings)
