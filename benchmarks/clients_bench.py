"""How fast documents reach the clients: one client's beside OpenSSH's `sftp`, and a partner's whole run.

200 invoices to one client's real OpenSSH server over a wire with 10 ms in each direction, connecting and logging in
included, beside the ways of the delivery benchmark above:

- **tieout, as to clients**: as the integration delivers with its defaults: up to 128 files under way on one
  connection, under temporary names, verified by the server's hash or else by reading back, renamed in their order.
- **sftp**, **paramiko**: straight to the final names, one file after the other, verified by nothing or by size.

2,000 sound documents of 40 clients through the steps as the DAG has them, without Airflow, with a new ledger in SQLite
and the defaults: two validating processes, eight clients at a time. Banqup and the clients' SFTP server are the
sandbox's, in a process of their own that shares the machine's CPUs, without latency. **whole** is everything from the
plan to the tie-out; the clients then have exactly their documents, byte for byte.
"""

from __future__ import annotations

import statistics
import tempfile
from importlib import import_module
from pathlib import Path

from benchmarks.banqup_run import STEPS, carry_out
from benchmarks.banqup_sandbox import running
from benchmarks.delivery_bench import LATENCY_MS, Delivery
from benchmarks.measure import Row, progress, ratio, side_by_side, spread
from benchmarks.validation_bench import invoice
from sandbox.proxy import DelayProxy
from tests.support.sshd import ssh_server
from tieout.delivery import DeliveryOptions

TITLE = "Banqup's clients"
OWN = "tieout, as to clients"
OPTIONS = DeliveryOptions(verification="auto", ordered=True)


def run(*, quick: bool = False) -> list[Row]:
    """Rows per way to one client, and per step of a whole run."""
    rounds = 1 if quick else 3
    files, clients, documents = (10, 3, 12) if quick else (200, 40, 2_000)
    return [*to_one_client(files, rounds), *whole_way(clients, documents, rounds)]


def to_one_client(number: int, rounds: int) -> list[Row]:
    """Rows per way; `times as long` is the median of the rounds' ratios to ours."""
    import_module("paramiko")
    with tempfile.TemporaryDirectory() as scratch, ssh_server(Path(scratch) / "sshd") as server:
        folder = Path(scratch) / "invoices"
        folder.mkdir()
        files = [folder / f"20260115_2026-{position:05d}.xml" for position in range(number)]
        for position, file in enumerate(files):
            file.write_bytes(invoice(position, 5))
        load = f"{number} invoices to one client, {round(2 * LATENCY_MS)} ms round trip"
        progress(load)
        with DelayProxy(server.host, server.port, latency_ms=LATENCY_MS) as proxy:
            seconds = side_by_side(Delivery(server, proxy.port, files).ways({OWN: OPTIONS}), rounds)
    return [
        {
            "load": load,
            "way": name,
            **spread(times),
            "documents/s": round(number / statistics.median(times), 1),
            "times as long": round(ratio(seconds, name, OWN), 1),
        }
        for name, times in seconds.items()
    ]


def whole_way(clients: int, documents: int, rounds: int) -> list[Row]:
    """A row per step, and one of the whole."""
    load = f"{documents:,} documents of {clients} clients"
    progress(load)
    found: dict[str, list[float]] = {step: [] for step in (*STEPS, "whole")}
    with tempfile.TemporaryDirectory() as scratch, running(1, 2, Path(scratch) / "clients") as banqup:
        # Once unmeasured: what is imported at first use is no part of a run.
        carry_out(banqup, 2, Path(scratch))
    for number in range(1, rounds + 1):
        with (
            tempfile.TemporaryDirectory() as scratch,
            running(clients, documents, Path(scratch) / "clients") as banqup,
        ):
            seconds = carry_out(banqup, documents, Path(scratch))
        for step, took in {**seconds, "whole": sum(seconds.values())}.items():
            found[step].append(took)
        progress(f"round {number} of {rounds}: {found['whole'][-1]:.2f} s")
    return [
        {
            "load": load,
            "way": name,
            **spread(times),
            "documents/s": None if name in ("open_run", "tie_out") else round(documents / statistics.median(times), 1),
        }
        for name, times in found.items()
    ]
