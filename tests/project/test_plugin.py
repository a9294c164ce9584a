"""Airflow loads our plugin, and only that file: the library is never executed module by module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOAD = """
import json, sys
from airflow import plugins_manager
plugins, errors = plugins_manager._get_plugins()
stems = {path.stem for path in __import__("pathlib").Path(sys.argv[1], "tieout").rglob("*.py")} - {"__init__"}
ours = [name for name in stems if "/tieout/" in (getattr(sys.modules.get(name), "__file__", None) or "")]
print("RESULT" + json.dumps([[plugin.name for plugin in plugins], errors, ours]))
"""


def load(home: Path, folder: Path) -> tuple[list[str], dict[str, str], list[str]]:
    """Names of the loaded plugins, import errors, and library files that were executed as top-level modules."""
    env = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)], env=env, cwd=home, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names, errors, stray = json.loads(done.stdout.split("RESULT")[1])
    return names, errors, stray


def test_our_plugin_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    names, errors, stray = load(tmp_path, ROOT / "plugins")
    assert "tieout" in names
    assert errors == {}
    assert stray == []


@pytest.mark.parametrize("stem", ["http", "ledger_of_others"])
def test_the_ignore_file_is_what_keeps_the_library_out(tmp_path: Path, stem: str) -> None:
    folder = tmp_path / "plugins"
    (folder / "tieout" / "hooks").mkdir(parents=True)
    (folder / "tieout" / "hooks" / f"{stem}.py").write_text("MINE = True\n", encoding="utf-8")
    assert load(tmp_path, folder)[2] == [stem], "without the file the loader does execute the library"
    (folder / ".airflowignore").write_bytes((ROOT / "plugins" / ".airflowignore").read_bytes())
    assert load(tmp_path, folder)[2] == []
