"""How fast invoices of Stampli's become journal entries: Tieout beside a plain client that posts one by one.

One file of invoices with 1 to 40 lines in three currencies, and an SFTP server and a Service Layer for it, both the
sandbox's, in a process of their own with new books for every measurement. The Service Layer adds 50 ms to every reply,
or nothing. It shares the machine's CPUs with the client, so what is measured is both.

- **tieout**: the steps as the DAG has them, without Airflow, with a new ledger in SQLite and `$batch` requests of 25
  entries, one stream (the default) or four. *collect* fetches the file, parses and stages it; *prepare* reads what SAP
  has, works out each entry and judges the batch; *post* takes the lease, enters every intent into the ledger, looks
  its key up in SAP, posts, and enters what became of it. Waiting until the file is complete, archiving and reading back
  are not in it.
- **requests**: one `requests.Session`, kept alive, that posts the same bodies, byte for byte, one after another, and
  reads the key in each reply; it remembers nothing and looks nothing up. Its bodies are ready beforehand, so its time
  stands beside *post* alone.

Both are logged in before the clock starts. What Tieout saves is round trips: without latency there are none to save,
and its ledger and its look-ups are what it costs more. The sandbox adds its 50 ms to a request, not to an entry; a
server that takes long over each entry takes as long in a batch, and there the ways are closer together.
"""

from __future__ import annotations

import statistics
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Row, progress, ratio, spread, timed
from benchmarks.stampli_run import Connections, Seconds, carry_out, sap_session
from benchmarks.stampli_sandbox import running

if TYPE_CHECKING:
    import requests

TITLE = "Posting"
LATENCY_MS = 50.0
STREAMS = {"tieout, 1 stream": 1, "tieout, 4 streams": 4}
PLAIN = "requests, one by one"


def with_tieout(invoices: int, streams: int, latency_ms: float) -> tuple[Seconds, list[bytes]]:
    """Times of the steps, and the bodies that were posted."""
    with running(invoices, latency_ms) as connections, tempfile.TemporaryDirectory() as folder:
        return carry_out(connections, invoices, Path(folder), streams=streams)


def with_requests(bodies: list[bytes], invoices: int, latency_ms: float) -> float:
    """Seconds. The books are as new as those that `with_tieout` gets for so many invoices."""
    with running(invoices, latency_ms) as connections, sap_session(connections) as judge:
        before = judge.count("JournalEntries")
        seconds = _post_one_by_one(connections, bodies)
        entries = judge.count("JournalEntries") - before
    if entries != len(bodies):
        raise AssertionError(f"All {len(bodies)} entries must be in the books: {entries}")
    return seconds


def _post_one_by_one(connections: Connections, bodies: list[bytes]) -> float:
    import requests

    fields = connections["sap_b1"]
    base = fields["host"].rstrip("/") + "/b1s/v2/"
    login = {
        "CompanyDB": fields["extra"]["company_db"],
        "UserName": fields["login"],
        "Password": fields["password"],
    }
    with requests.Session() as session:
        session.verify = fields["extra"].get("verify", True)
        session.post(base + "Login", json=login).raise_for_status()
        session.headers["Content-Type"] = "application/json"

        def post_all() -> list[int]:
            return [_post(session, base + "JournalEntries", body) for body in bodies]

        seconds, keys = timed(post_all)
        session.post(base + "Logout")
    if len(set(keys)) != len(bodies):
        raise AssertionError(f"{len(bodies)} entries must have as many keys: {len(set(keys))}")
    return seconds


def _post(session: requests.Session, url: str, body: bytes) -> int:
    reply = session.post(url, data=body)
    reply.raise_for_status()
    return int(reply.json()["JdtNum"])


def run(*, quick: bool = False) -> list[Row]:
    """Rows per load and way; `times as long` is the median of the rounds' ratios to Tieout's `post` on one stream."""
    warnings.filterwarnings("ignore", module="urllib3")
    invoices, rounds = (40, 1) if quick else (500, 5)
    # Once each unmeasured: what is imported at first use is no part of posting.
    import_module("requests")
    with_tieout(5, 1, 0)
    rows = _measured("50 ms per request", invoices, LATENCY_MS, rounds)
    return rows + _measured("no latency", invoices, 0, rounds)


def _measured(load: str, invoices: int, latency_ms: float, rounds: int) -> list[Row]:
    progress(load)
    found: dict[str, list[Seconds]] = {name: [] for name in STREAMS}
    plain: list[float] = []
    for number in range(1, rounds + 1):
        bodies: list[bytes] = []
        for name, streams in STREAMS.items():
            seconds, bodies = with_tieout(invoices, streams, latency_ms)
            found[name].append(seconds)
            progress(f"round {number} of {rounds}: {name}: {seconds.post:.2f} s, whole {seconds.whole:.2f} s")
        plain.append(with_requests(bodies, invoices, latency_ms))
        progress(f"round {number} of {rounds}: {PLAIN}: {plain[-1]:.2f} s")
    posts = {name: [each.post for each in times] for name, times in found.items()} | {PLAIN: plain}
    own = next(iter(STREAMS))
    return [
        {
            "load": load,
            "way": name,
            "entries": invoices,
            **{f"post, {column}": value for column, value in spread(seconds).items()},
            "entries/s": round(invoices / statistics.median(seconds), 1),
            "times as long": round(ratio(posts, name, own), 2),
            **_steps(found.get(name, []), invoices),
        }
        for name, seconds in posts.items()
    ]


def _steps(times: list[Seconds], invoices: int) -> Row:
    """Medians of the other steps and of the whole; nothing for a way that only posts."""
    if not times:
        return {}
    whole = statistics.median(each.whole for each in times)
    return {
        "collect s": round(statistics.median(each.collect for each in times), 2),
        "prepare s": round(statistics.median(each.prepare for each in times), 2),
        "collect to post s": round(whole, 2),
        "entries/s, collect to post": round(invoices / whole, 1),
    }
