#!/usr/bin/env python3
"""Writes docs/DAGS.md from the DAGs themselves, as the delivered configuration makes them.

With `--check` it writes nothing, and exits with 1 where the page is not what the DAGs say.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "DAGS.md"
COMMAND = ".venv/bin/python scripts/dags_page.py"
HEAD = f"""# The DAGs

What Airflow runs, as the configuration in `include/` makes it. This page is written by `{COMMAND}` from the
DAGs themselves: change the docstring of a DAG's file or of a task's class, or the configuration, and write it again.
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say whether it is up to date."""
    parser = argparse.ArgumentParser(description="Writes docs/DAGS.md from the DAGs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is out of date")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        _settle(home)
        text = page()
    if asked.check:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"docs/DAGS.md is not what the DAGs say. Write it again: {COMMAND}", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written.")
    return 0


def _settle(home: str) -> None:
    """Airflow as it is delivered: no setting of the person who runs this, no home of theirs."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "TIEOUT", "OPENLINEAGE"))]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
    )
    sys.path[:0] = [str(ROOT / "plugins"), str(ROOT)]


def page() -> str:
    """The whole page.

    Raises:
        SystemExit: A DAG's file cannot be read.
    """
    from airflow.dag_processing.dagbag import DagBag

    folder = str(ROOT / "dags")
    bag = DagBag(dag_folder=folder, bundle_path=Path(folder), bundle_name="dags-folder")
    if bag.import_errors:
        raise SystemExit("\n".join(f"{path}: {error}" for path, error in bag.import_errors.items()))
    dags = sorted(bag.dags.values(), key=lambda dag: (Path(dag.fileloc).name, dag.dag_id))
    idle = sorted({*(ROOT / "dags").glob("*.py")} - {Path(dag.fileloc) for dag in dags})
    parts = [HEAD, *_overview(dags)]
    for dag in dags:
        parts += ["", *_dag(dag)]
    for path in idle:
        parts += ["", *_file_without_dags(path)]
    return "\n".join(parts) + "\n"


def _overview(dags: Iterable[Any]) -> Iterator[str]:
    yield from _table(
        ("DAG", "what it does", "when"),
        ((f"`{dag.dag_id}`", dag.description or _title(dag), _schedule(dag)) for dag in dags),
    )


def _dag(dag: Any) -> Iterator[str]:
    yield f"## {_title(dag)}"
    yield ""
    file = Path(dag.fileloc).relative_to(ROOT)
    tags = ", ".join(sorted(dag.tags))
    yield f"`{dag.dag_id}`, made by `{file}` · {_schedule(dag)} · tags: {tags}"
    yield ""
    yield _text(dag.doc_md or "")
    if dag.params:
        yield from ("", "### Parameters", "")
        yield from _table(("name", "in the form", "value", "default", "what it does"), map(_param, dag.params.items()))
    yield from ("", "### Tasks, in order", "")
    tasks = dag.topological_sort()
    yield from _table(("task", "part of", "pool", "what it does"), map(_task, tasks))
    assets = [outlet.uri for task in tasks for outlet in task.outlets]
    if assets:
        yield from ("", f"**Assets**: {_listed(assets)}")
    connections = _connections(dag)
    if connections:
        yield from ("", f"**Connections**: {_listed(connections)}")


def _file_without_dags(path: Path) -> Iterator[str]:
    """A DAG that exists only where an instance asks for it."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    title, _, rest = text.partition("\n")
    yield f"## {title.removeprefix('# ')}"
    yield ""
    yield f"Made by `{path.relative_to(ROOT)}`, where an instance asks for it; none of the delivered ones does."
    yield ""
    yield _text(rest)


def _title(dag: Any) -> str:
    if dag.dag_display_name != dag.dag_id:
        return str(dag.dag_display_name)
    return str(dag.doc_md or dag.dag_id).partition("\n")[0].removeprefix("# ")


def _text(doc_md: str) -> str:
    """What operators read, without its title and without the links that lead somewhere only in Airflow."""
    from tieout.operators.dags import ON_THE_PAGE

    lines = doc_md.partition(ON_THE_PAGE)[0].strip().splitlines()
    return "\n".join(lines[1:] if lines and lines[0].startswith("# ") else lines).strip()


def _schedule(dag: Any) -> str:
    timetable = dag.timetable
    calendar = getattr(timetable, "calendar", None)
    if calendar is not None:
        return f"at each close of the calendar `{calendar.name}`"
    expression = getattr(timetable, "expression", None) or getattr(timetable, "_expression", None)
    if expression is None:
        return "when triggered"
    return f"`{expression}` ({getattr(timetable, 'timezone', None) or getattr(timetable, '_timezone', 'UTC')})"


def _param(named: tuple[str, Any]) -> tuple[str, ...]:
    name, value = named
    schema = value.schema if hasattr(value, "schema") else {}
    kinds = schema.get("type", "any")
    kind = " or ".join([kinds] if isinstance(kinds, str) else [each for each in kinds if each != "null"])
    choices = schema.get("examples") or schema.get("enum")
    if choices:
        kind = f"{kind} of {_listed(map(str, choices))}"
    default = value.value if hasattr(value, "value") else value
    described = str(getattr(value, "description", "") or "")
    return f"`{name}`", str(schema.get("title", "")), kind, f"`{json.dumps(default)}`", described


def _task(task: Any) -> tuple[str, ...]:
    group = task.task_group
    part = "" if group is None or group.is_root else group.group_display_name or group.group_id
    doc = getattr(task, "doc_md", None) or inspect.getdoc(getattr(task, "operator_class", type(task))) or ""
    sentence = doc.strip().partition("\n\n")[0].replace("\n", " ")
    pool = f"`{task.pool}`" if task.pool != "default_pool" else ""
    return f"`{task.task_id}`", part, pool, sentence


def _connections(dag: Any) -> list[str]:
    """Ids of the connections that the instance of a DAG names."""
    instance = next((task for task in dag.tasks if getattr(task, "instance", None)), None)
    model = getattr(instance, "_config_model", None)
    if instance is None or model is None:
        return []
    from tieout.config import load_instance

    config = load_instance(instance.integration, instance.instance, model).config
    return list(dict.fromkeys(_ids(config.model_dump())))


def _ids(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if name == "connections":
            yield from (each for each in value.values() if isinstance(each, str))
        elif name in ("connection", "conn_id") and isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _ids(value)
        elif isinstance(value, list | tuple):
            for each in value:
                if isinstance(each, Mapping):
                    yield from _ids(each)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    sys.exit(main())
