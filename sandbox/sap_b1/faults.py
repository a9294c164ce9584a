"""What can go wrong with the simulated Service Layer, switchable while it runs.

Two sorts: *settings* that hold until changed (latency, a broken node, sessions that die every N requests), and
*faults* that hit matching requests a given number of times.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

FAULT_KINDS = {
    "bad_gateway": "502 with the balancer's HTML page",
    "service_unavailable": "503 with the balancer's JSON",
    "gateway_timeout": "504 with an HTML page",
    "switch_company": "500/305 Switch company error: -1102",
    "saml_login_failed": "500/299 SAML Login Failed",
    "node_table": "500/407 Table definition not found",
    "empty_500": "500 with an empty body",
    "session_lost": "the session is dropped; the request gets 401/301",
    "unauthorized_5002": "401 with code -5002, the session stays good",
    "unauthorized_html": "401 with a body that is no JSON; the session is dropped",
    "business_5002": "400 with code -5002, a business error",
    "reset_mid_body": "half of the reply, then a TCP reset",
    "close_mid_body": "half of the reply under its full Content-Length, then a close",
    "cut_json": "a complete HTTP reply whose JSON stops in the middle",
    "reset_before_head": "a TCP reset instead of a reply",
    "hang": "no reply at all",
    "delay": "the reply comes `seconds` later",
    "lose_filter": "the request's $filter is ignored",
    "lose_filter_in_next_link": "nextLink comes without the $filter",
    "html_200": "200 with an HTML page, as a captive proxy sends",
    "attachments_folder": "400/-5002 The attachments folder is not defined, or it has been changed or removed.",
    "run": "runs a Python callable before the request is served (Python API only)",
}
"""Kind → what a matching request gets."""

POSTING_FAULT_KINDS = {
    "lost_request": "the connection drops before the posting is committed",
    "lost_reply": "the posting is committed, then the connection drops",
    "bad_gateway_before_commit": "502 with the balancer's HTML page; nothing of this posting is committed",
    "bad_gateway_after_commit": "502 with the balancer's HTML page, after the posting was committed",
    "approval": "an approval procedure makes a draft instead of the entry; 400/-2028",
    "reject_posting": "400 with `code` and `message`, as an add-on's own check gives",
}
"""Kind → what a matching posting gets, one that comes in a batch included.

What was committed before it in the same batch stays; nothing after it is carried out.
"""

LATE_KINDS = {"late_commit": "a writing request is carried out `seconds` later, even if its client is gone by then"}
"""Kind → what a matching request that writes gets."""

_ALL_KINDS = {**FAULT_KINDS, **LATE_KINDS, **POSTING_FAULT_KINDS}
_JOURNAL_ENTRY = "^JournalEntries$"


@dataclass
class Fault:
    """One fault, waiting for requests that match.

    Attributes:
        kind: One of `FAULT_KINDS`, `LATE_KINDS` or `POSTING_FAULT_KINDS`.
        path: Regular expression searched in the path below the root, e.g. `^Invoices`; empty matches all but Login
            and Logout. For postings it is the path of each, also within a batch: `^BusinessPartners`, `/Cancel$`;
            empty matches new journal entries.
        method: Only this HTTP method.
        after: How many matching requests pass unharmed first.
        every: Of those that match after that, only every Nth is hit.
        times: How many requests are hit; None means until removed, which is the default with `every`.
        seconds: For `delay` and `late_commit`.
        code: For `reject_posting`.
        message: For `reject_posting`.
        node: Only requests that land on this node.
        action: For `run`.
    """

    kind: str
    path: str = ""
    method: str | None = None
    after: int = 0
    times: int | None = 1
    seconds: float = 0.0
    node: int | None = None
    action: Callable[[], object] | None = field(default=None, repr=False)
    every: int | None = None
    code: int = -1116
    message: str = "(13000316) Rejected by the company's own check"
    id: int = 0
    hits: int = 0
    passed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _ALL_KINDS:
            raise ValueError(f"Unknown fault {self.kind!r}; known are {', '.join(_ALL_KINDS)}.")
        if self.every is not None and self.every < 1:
            raise ValueError(f"every is {self.every}; it must be 1 or more.")
        self._pattern = re.compile(self.path or (_JOURNAL_ENTRY if self.is_of_postings else ""))

    @property
    def is_of_postings(self) -> bool:
        """Whether it hits single postings rather than whole requests."""
        return self.kind in POSTING_FAULT_KINDS

    def matches(self, method: str, path: str, node: int | None) -> bool:
        """Whether this request or posting is one of ours; counts down `after`."""
        if not self.path and path in ("Login", "Logout"):
            return False
        if (self.method or method) != method or self.node not in (None, node) or not self._pattern.search(path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.passed += 1
        if self.every is not None and self.passed % self.every:
            return False
        return self.times is None or self.hits < self.times

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "action"}


@dataclass
class Settings:
    """How the server behaves until told otherwise.

    Attributes:
        latency_ms: Added to every reply.
        login_ms: How long a login takes; real ones take seconds.
        parallel_login_limit: With this many logins in flight, one more gets 500/299; None means no limit.
        kill_session_every: The session dies on every Nth data request; None means never.
        broken_nodes: Nodes that log in but answer every data call with 500/407.
        v2_errors_on_v1_401: v1 answers 401 in v2's error form, as some sites do.
        time_filters_to_the_second: Whether `$filter` on a time honours seconds.
        next_link_form: `relative` (`Orders?...`), `path` (`/b1s/v1/Orders?...`) or `absolute`.
        expect_gives_500: Whether an `Expect` header gets an empty 500.
        default_page_size: Rows per page without a Prefer header.
        posting_ms: Added to a reply for each journal entry that it posts.
    """

    latency_ms: float = 0.0
    login_ms: float = 5.0
    parallel_login_limit: int | None = None
    kill_session_every: int | None = None
    broken_nodes: tuple[int, ...] = ()
    v2_errors_on_v1_401: bool = False
    time_filters_to_the_second: bool = False
    next_link_form: str = "relative"
    expect_gives_500: bool = True
    default_page_size: int = 20
    posting_ms: float = 0.0


class Faults:
    """The faults of one simulator. Thread-safe."""

    def __init__(self) -> None:
        self.settings = Settings()
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._pages: dict[str, int] = {}
        self._page_actions: list[tuple[str, int, Callable[[], object]]] = []

    def add(self, kind: str, **options: Any) -> Fault:
        """Adds a fault; options are the fields of `Fault`. Raises ValueError for an unknown kind."""
        if options.get("every") is not None:
            options.setdefault("times", None)
        fault = Fault(kind, **options)
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def after_page(self, entity_set: str, page: int, action: Callable[[], object]) -> None:
        """Runs `action` once, right after the `page`-th page of the entity set from now was cut (1-based).

        Made for rows that come and go during a walk, e.g. `lambda: company.delete("Invoices", 7)`.
        """
        with self._lock:
            self._page_actions.append((entity_set, self._pages.get(entity_set, 0) + page, action))

    def page_served(self, entity_set: str) -> None:
        """Told by the server after each page; runs what waits for it."""
        with self._lock:
            count = self._pages[entity_set] = self._pages.get(entity_set, 0) + 1
            due = [entry for entry in self._page_actions if entry[0] == entity_set and entry[1] <= count]
            self._page_actions = [entry for entry in self._page_actions if entry not in due]
        for _, _, action in due:
            action()

    def strike(self, method: str, path: str, node: int) -> Fault | None:
        """The first fault that hits this request, if any; it is counted, and dropped when used up."""
        return self._strike(method, path, node, of_postings=False)

    def strike_posting(self, method: str, path: str) -> Fault | None:
        """The first fault that hits this posting, if any; counted as in `strike`."""
        return self._strike(method, path, None, of_postings=True)

    def _strike(self, method: str, path: str, node: int | None, *, of_postings: bool) -> Fault | None:
        if not self._faults:
            return None
        with self._lock:
            candidates = [fault for fault in self._faults if fault.is_of_postings == of_postings]
            hit = next((fault for fault in candidates if fault.matches(method, path, node)), None)
            if hit is not None:
                hit.hits += 1
                if hit.times is not None and hit.hits >= hit.times:
                    self._faults.remove(hit)
        return hit

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
        """Takes back every fault and every setting: the server is well again."""
        with self._lock:
            self._faults.clear()
            self._page_actions.clear()
            self.settings = Settings()

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Changes settings and returns all of them. Raises ValueError for an unknown name or a wrong type."""
        known = {f.name for f in fields(Settings)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"Unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
        if "broken_nodes" in changes:
            changes["broken_nodes"] = tuple(int(node) for node in changes["broken_nodes"])
        for name, value in changes.items():
            setattr(self.settings, name, value)
        return asdict(self.settings)
