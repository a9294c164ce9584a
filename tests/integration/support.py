"""Real Airflow beside the sandbox: finding a task's process, watching a folder, a quick-to-retry configuration."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from airflow_services import ROOT, AirflowServices

DAG_ID = "sap_b1_to_peakflo"
UNHURRIED = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
}
"""For several Airflows on few cores: they look for work less often than in production."""


def quick_include(folder: Path, *entities: str, **replacements: str) -> Path:
    """A copy of `include/` whose default instance has only these entities and retries after a second."""
    copy = folder / "include"
    shutil.copytree(ROOT / "include", copy)
    instance = copy / "integrations" / DAG_ID / "default.yaml"
    text = instance.read_text().replace("first_delay_seconds: 15", "first_delay_seconds: 1")
    for old, new in replacements.items():
        assert old in text, old
        text = text.replace(old, new)
    head, _, listed = text.partition("entities:\n")
    kept = [line for line in listed.splitlines() if line.split(":")[0].strip() in entities]
    instance.write_text(head + "entities:\n" + "\n".join(kept) + "\n")
    return copy


def hourly_from_now() -> str:
    """A schedule whose hour has just begun: no clock starts a second run in the middle of a test."""
    return f"{(datetime.now(UTC) - timedelta(minutes=2)).minute} * * * *"


def until(condition: Callable[[], bool], what: str, timeout: float = 120.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} has not happened within {timeout:.0f} s"
        time.sleep(0.02)


def kill_task(airflow: AirflowServices, port: int) -> int:
    """`kill -9` the task process that talks to a server; returns its id.

    The task's own process is the one of Airflow's family with a connection to the port.
    """
    for component in airflow.components.values():
        for process in component.family():
            try:
                connections = process.net_connections(kind="tcp")
            except psutil.Error:
                continue
            if any(each.raddr and each.raddr.port == port for each in connections):
                os.kill(process.pid, signal.SIGKILL)
                return process.pid
    raise AssertionError(f"no task has a connection to port {port}")


class FolderWatch:
    """What a receiver that sweeps at once would have seen: every content that ever stood under a final name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: dict[str, set[str]] = {}
        self.temporary = threading.Event()

    def _run(self) -> None:
        while not self._stop.is_set():
            for path in self._root.rglob("*"):
                if path.name.startswith("."):
                    self.temporary.set()
                elif path.is_file():
                    # It may be moved on between the look and the read.
                    with suppress(FileNotFoundError):
                        digest = hashlib.sha256(path.read_bytes()).hexdigest()
                        self.seen.setdefault(str(path.relative_to(self._root)), set()).add(digest)
            time.sleep(0.002)

    def __enter__(self) -> FolderWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def airflow_with(home: Path, env: Mapping[str, str], include: Path, dag_id: str = DAG_ID) -> Iterator[AirflowServices]:
    """Airflow's components, healthy and with the DAG read."""
    with AirflowServices(home, {**UNHURRIED, **env, "TIEOUT_INCLUDE": str(include)}) as airflow:
        airflow.wait_healthy()
        airflow.wait_dag(dag_id)
        yield airflow


def with_port(connection: str, port: int) -> str:
    """An Airflow connection in JSON form, to another port."""
    return json.dumps({**json.loads(connection), "port": port})
