"""What can go wrong with the simulated Banqup, and how its service behaves, switchable while it runs."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FAULT_KINDS = {
    "too_many": "429 with Retry-After: `seconds`",
    "unavailable": "503",
    "bad_gateway": "502 with an HTML page",
    "gateway_timeout": "504 with an HTML page",
    "error_500": "500 with `message` as JSON",
    "unauthorized": "401, the token stays good",
    "token_lost": "the request's token is dead just before it",
    "forbidden": "403 with `message`",
    "not_found": "404",
    "url_expired": "403 as an expired download URL gets it",
    "html_200": "200 with a web page",
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
    """One fault.

    Attributes:
        kind: One of `FAULT_KINDS`.
        path: Regular expression searched in the request's path; `gettoken`, `/documents$`, `/files/`, `^/storage/`.
        after: How many matching requests pass unharmed first.
        every: Of those after that, only every Nth is hit, the first one included.
        times: How many requests are hit; None means until removed.
        seconds: For `slow` and `too_many`.
    """

    kind: str
    path: str = ""
    after: int = 0
    times: int | None = 1
    every: int = 1
    seconds: float = 0.0
    message: str = "Something went wrong"
    action: Callable[[], object] | None = field(default=None, repr=False)
    id: int = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"Unknown fault {self.kind!r}; known are {', '.join(FAULT_KINDS)}.")
        if self.every < 1:
            raise ValueError(f"every is {self.every}; it must be 1 or more.")
        self._pattern = re.compile(self.path)

    def strikes(self, path: str) -> bool:
        """Whether this request is hit; it is counted."""
        if not self._pattern.search(path):
            return False
        self.seen += 1
        return self.seen > self.after and (self.seen - self.after - 1) % self.every == 0

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "action"}


_CHOICES = {
    "expires_in": ("told", "left_out"),
    "timestamps": ("milliseconds", "microseconds", "nanoseconds", "seconds"),
    "zone": ("z", "offset", "none"),
    "updated_from": ("inclusive", "exclusive", "ignored"),
    "order": ("updated", "id"),
    "download_from": ("same", "other", "relative"),
    "retry_after_form": ("seconds", "date"),
}


@dataclass
class Settings:
    """How the service behaves until told otherwise.

    Attributes:
        latency_ms: Added to every reply.
        token_seconds: How long a token is good, by the sandbox's clock.
        token_requests: How many requests a token is good for; None: any number.
        expires_in: Whether the reply to a token request says how long it is good: `told` or `left_out`.
        too_many_every: Every Nth request of the API gets 429; None: none.
        rate_per_second: Requests of the API per second of real time before it answers 429; None: any number.
        retry_after: Seconds that a 429 of these two says.
        retry_after_form: `seconds` or `date`.
        timestamps: Fractions: `milliseconds`, `microseconds`, `nanoseconds` or `seconds` (none).
        zone: `z`, `offset` (+01:00) or `none`.
        updated_from: Whether a row of that very moment is listed: `inclusive` or `exclusive`; or `ignored`.
        order: Lists are by `updated` and id, as they should, or by `id`.
        rows_twice_every: Every Nth row of a list stands there twice; None: none.
        most: Largest page.
        download_from: Where signed URLs lead: the `same` server, an `other` one, or `relative` to the API's.
        download_seconds: How long they are good, by the sandbox's clock.
        redirects: How many redirects stand before the bytes.
        refuse_authorization: Whether a signed URL refuses a request with a token, as object stores do.
    """

    latency_ms: float = 0.0
    token_seconds: float = 300.0
    token_requests: int | None = None
    expires_in: str = "told"
    too_many_every: int | None = None
    rate_per_second: int | None = None
    retry_after: float = 1.0
    retry_after_form: str = "seconds"
    timestamps: str = "milliseconds"
    zone: str = "z"
    updated_from: str = "inclusive"
    order: str = "updated"
    rows_twice_every: int | None = None
    most: int = 50
    download_from: str = "same"
    download_seconds: float = 3600.0
    redirects: int = 0
    refuse_authorization: bool = True


class Faults:
    """Faults, settings and changes between pages of one simulator. Thread-safe."""

    def __init__(self) -> None:
        self.settings = Settings()
        self._faults: list[Fault] = []
        self._pages: list[tuple[re.Pattern[str], list[int], Callable[[], object]]] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, kind: str, **options: Any) -> Fault:
        """Adds a fault; options are the fields of `Fault`. Raises ValueError for an unknown kind."""
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

    def after_page(self, page: int, action: Callable[[], object], *, where: str = "") -> None:
        """Runs `action` once, right after the `page`-th page from now (1-based) of lists that match was cut.

        `where` is a regular expression searched in `<space id>/<folder>/<category>/<status>`.
        """
        with self._lock:
            self._pages.append((re.compile(where), [page], action))

    def page_served(self, key: str) -> None:
        """Told by the server after each page; runs what waits for it."""
        due = []
        with self._lock:
            for entry in list(self._pages):
                pattern, left, action = entry
                if pattern.search(key):
                    left[0] -= 1
                    if left[0] <= 0:
                        self._pages.remove(entry)
                        due.append(action)
        for action in due:
            action()

    def active(self) -> list[dict[str, Any]]:
        """Faults still waiting."""
        with self._lock:
            return [fault.as_dict() for fault in self._faults]

    def remove(self, fault_id: int) -> bool:
        """Takes one fault back; False when it is not there any more."""
        with self._lock:
            before = len(self._faults)
            self._faults = [fault for fault in self._faults if fault.id != fault_id]
            return len(self._faults) < before

    def clear(self) -> None:
        """Takes back every fault and every setting."""
        with self._lock:
            self._faults.clear()
            self._pages.clear()
            self.settings = Settings()

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Changes settings and returns all of them. Raises ValueError for an unknown name or choice."""
        unknown = sorted(set(changes) - {entry.name for entry in fields(Settings)})
        if unknown:
            raise ValueError(f"Unknown setting {', '.join(unknown)}.")
        for name, value in changes.items():
            if name in _CHOICES and value not in _CHOICES[name]:
                raise ValueError(f"{name} is one of {', '.join(_CHOICES[name])}, not {value!r}.")
        for name, value in changes.items():
            setattr(self.settings, name, value)
        return asdict(self.settings)
