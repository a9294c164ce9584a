"""How long a period's G/L takes from the first request to the verified file, and how much memory each task.

A million lines of one period, read from the sandbox's SYSPRO (a process of its own, pages of 5,000), to a real OpenSSH
server, in each of the three formats. Every step is a process of its own, as a task of Airflow's is, with a new ledger
in SQLite; starting processes and Airflow's scheduling are not in the times, but the memory has Python, Airflow's task
SDK and all libraries in it (`VmHWM`).

- **read**: the same pages by the same client and nothing else: the reading flat out.
- **extract**: read into staging with every line's original bytes. **prepare**: code, judge each journal, group by cost
  centre, write the file. **quality gate**: Great Expectations on the groups. **deliver**: take numbers, archive, enter
  a million records into the ledger, upload, read back all bytes, rename, manifest, commit.
- **sftp -b**: OpenSSH's client puts the same file, nothing verified.
- **whole**: extract to deliver; **times the slowest stage**: by the longest of read, prepare (the writing) and sftp.

SYSPRO adds 20 ms to every reply, as a server in another city has, or nothing: then it serves 130,000 lines a second on
the same two CPUs. What comes after the reading takes the same time either way.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.close_run import STEPS
from benchmarks.measure import Row, progress
from benchmarks.syspro_sandbox import running
from tests.support.sshd import SshServer, ssh_server

TITLE = "A period's close"
ROOT = Path(__file__).resolve().parents[1]
LOADS = (("fixed_width", 20.0), ("csv", 20.0), ("x12", 20.0), ("fixed_width", 0.0))
"""Format, and milliseconds added to every reply."""


def _step(step: str, folder: Path, given: dict[str, Any]) -> Row:
    command = [sys.executable, "-m", "benchmarks.close_run", step, str(folder)]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    progress(f"{given['format']}, {step}: {row['seconds']:.2f} s, {row['peak MiB']} MiB")
    return row


def _sftp(server: SshServer, file: Path) -> float:
    known_hosts = server.root.parent / "known_hosts"
    known_hosts.write_text(f"[{server.host}]:{server.port} {server.host_key}\n", encoding="ascii")
    command = ["sftp", "-q", "-b", "-", "-P", str(server.port), "-i", str(server.client_key_file), "-F", "none",
               "-o", f"UserKnownHostsFile={known_hosts}", f"{server.user}@{server.host}"]  # fmt: skip
    begun = time.perf_counter()
    subprocess.run(command, input=f"put {file} {server.root}/again\n", text=True, check=True, capture_output=True)
    return time.perf_counter() - begun


def measured_close(server: SshServer, syspro: dict[str, Any], format_name: str) -> Row:
    """One close, step by step; a row of it."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(dir=server.root) as root:
        sftp = {
            "host": server.host, "port": server.port, "user": server.user, "key": server.client_key_pem,
            "host_key": server.host_key,
        }  # fmt: skip
        given = {"format": format_name, "syspro": syspro, "sftp": sftp, "root": root}
        steps = {step: _step(step, Path(scratch), given) for step in STEPS}
        file = next(path for path in sorted(Path(root).iterdir()) if not path.name.endswith(".json"))
        megabytes, put = round(file.stat().st_size / 1e6), _sftp(server, file)
    seconds = {step: row["seconds"] for step, row in steps.items()}
    whole = sum(seconds[step] for step in STEPS if step != "read")
    slowest = max(seconds["read"], seconds["prepare"], put)
    return {
        "format": format_name,
        "file MB": megabytes,
        **{f"{step.replace('_', ' ')} s": seconds[step] for step in STEPS},
        "sftp -b s": put,
        "whole s": whole,
        "times the slowest stage": whole / slowest,
        **{f"MiB {step.replace('_', ' ')}": steps[step]["peak MiB"] for step in STEPS if step != "read"},
    }


def run(*, quick: bool = False) -> list[Row]:
    """A row per format, of the round with the median time."""
    lines, rounds = (20_000, 1) if quick else (1_000_000, 2)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, ssh_server(Path(scratch) / "sshd") as server:
        for name, latency_ms in LOADS:
            with running(lines, latency_ms) as syspro:
                found = [measured_close(server, syspro, name) for _ in range(rounds)]
            middle = statistics.median_low([row["whole s"] for row in found])
            row = {"added ms": round(latency_ms)} | next(row for row in found if row["whole s"] == middle)
            rows.append({key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()})
    return rows
