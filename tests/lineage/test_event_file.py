"""Where events go by default: whole lines from many processes, and a file that stays bounded."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.facet_v2 import documentation_job

from airflow_services import project_environment
from tests.lineage.official import problems
from tieout.lineage.event_file import EventFileConfig

KIND = "tieout.lineage.event_file.EventFile"
LONG = "x" * 40_000
"""More than any buffer between a program and a file takes at once."""


def event(name: str, text: str = "") -> RunEvent:
    facets: dict[str, Any] = {"documentation": documentation_job.DocumentationJobFacet(text)} if text else {}
    return RunEvent(
        eventTime="2026-01-31T00:00:00+00:00",
        eventType=RunState.COMPLETE,
        run=Run("01a1f640-bc00-7bb8-9c2b-9bdda5acdcf4"),
        job=Job("tieout", name, facets),
        producer="https://example.com/producer",
    )


def client(path: Path, **options: Any) -> OpenLineageClient:
    return OpenLineageClient(config={"transport": {"type": KIND, "path": str(path), **options}})


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _emit_some(path: Path, writer: int, count: int) -> None:
    for number in range(count):
        client(path).emit(event(f"{writer}.{number}", LONG))


def test_many_processes_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "lineage" / "events.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_emit_some, args=(path, writer, 10)) for writer in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    found = read(path)
    assert {each["job"]["name"] for each in found} == {f"{w}.{n}" for w in range(2) for n in range(10)}
    assert [each for each in found if problems(each)] == []


def test_nobody_writes_while_another_one_does(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    client(path).emit(event("first"))
    with path.with_name("events.jsonl.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=client(path).emit, args=(event("second"),), daemon=True)
        second.start()
        second.join(0.3)
        assert second.is_alive() and len(read(path)) == 1
    second.join(30)
    assert [each["job"]["name"] for each in read(path)] == ["first", "second"]


def test_a_full_file_makes_room_for_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    small = client(path, max_bytes=2_000)
    for number in range(20):
        small.emit(event(f"task.{number}"))
    full = path.with_name("events.jsonl.1")
    assert path.stat().st_size <= 2_000 and full.stat().st_size <= 2_000
    names = [each["job"]["name"] for each in (*read(full), *read(path))]
    assert names == [f"task.{number}" for number in range(20 - len(names), 20)], "the newest, in their order"
    assert len(names) > 2


def test_an_event_that_is_larger_than_the_limit_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    client(path, max_bytes=100).emit(event("large", LONG))
    assert [each["job"]["name"] for each in read(path)] == ["large"]


def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(3):
        client(path, max_bytes=0).emit(event(f"task.{number}"))
    assert len(read(path)) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [({}, "needs `path`"), ({"path": "x", "max_bytes": -1}, "-1"), ({"path": "x", "max_bytes": "9"}, "whole bytes")],
)
def test_a_wrong_setting_is_told(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EventFileConfig.from_dict(options)


def test_it_is_what_the_project_sets(tmp_path: Path) -> None:
    env = project_environment(tmp_path / "home", prepare=False)
    transport = json.loads(env["AIRFLOW__OPENLINEAGE__TRANSPORT"])
    OpenLineageClient(config={"transport": transport}).emit(event("a.b"))
    path = tmp_path / "home" / "lineage" / "events.jsonl"
    assert [each["job"]["name"] for each in read(path)] == ["a.b"]
    (rule,) = json.loads(env["AIRFLOW__OPENLINEAGE__EMISSION_POLICY"])
    assert rule == {"scope": {}, "controls": {"include_source_code": False, "hook_lineage": False}}
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IWOTH == 0
