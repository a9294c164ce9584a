"""The set-up script: what it does with unfit interpreters, and when it has nothing to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import setup_venv

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("requirements-dev.lock", "requirements-uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text(f"# {name}\n", encoding="utf-8")
    monkeypatch.setattr(setup_venv, "ROOT", str(tmp_path))
    monkeypatch.setattr(setup_venv, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(setup_venv, "VENV_PYTHON", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setattr(setup_venv, "STAMP", str(tmp_path / ".venv/.tieout-setup"))
    return tmp_path


def interpreter(folder: Path, version: str) -> Path:
    """A program that answers like Python of this version when it is asked for its version."""
    path = folder / f"python-{version}"
    path.write_text(f"#!/bin/sh\necho {version.replace('.', ' ')}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "accepted"), [("3.10", False), ("3.11", True), ("3.12", True), ("3.13", True), ("3.14", False)]
)
def test_interpreters_that_are_asked_for(tmp_path: Path, version: str, accepted: bool) -> None:
    python = str(interpreter(tmp_path, version))
    if accepted:
        major, minor = map(int, version.split("."))
        assert setup_venv.choose_python(python) == (python, (major, minor))
    else:
        with pytest.raises(SystemExit):
            setup_venv.choose_python(python)


def test_an_unfit_interpreter_gets_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "scripts/setup_venv.py")],
        env={**os.environ, "PYTHON": str(interpreter(tmp_path, "3.9"))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "is Python 3.9; Tieout needs Python 3.11, 3.12 or 3.13." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_interpreter_gets_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        setup_venv.choose_python("/nowhere/python3.12")
    assert "PYTHON=/nowhere/python3.12 cannot be run" in capsys.readouterr().err


def test_missing_venv_module_names_the_package_to_install(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    with pytest.raises(SystemExit):
        setup_venv.create("/bin/false", (3, 12))
    assert "apt-get install python3.12-venv" in capfd.readouterr().err


def stamp(checkout: Path) -> None:
    folder = checkout / ".venv"
    folder.mkdir(exist_ok=True)
    (folder / ".tieout-setup").write_text(setup_venv.digest((3, 12)) + "\n", encoding="utf-8")


def test_ready_until_something_it_was_made_from_changes(checkout: Path) -> None:
    assert not setup_venv.is_ready((3, 12))
    stamp(checkout)
    assert setup_venv.is_ready((3, 12))
    assert not setup_venv.is_ready((3, 13))


@pytest.mark.parametrize("name", ["requirements-dev.lock", "requirements-uv.lock", "pyproject.toml"])
def test_a_changed_file_asks_for_a_new_set_up(checkout: Path, name: str) -> None:
    stamp(checkout)
    (checkout / name).write_text("# changed\n", encoding="utf-8")
    assert not setup_venv.is_ready((3, 12))


def test_a_moved_folder_asks_for_a_new_set_up(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp(checkout)
    before = setup_venv.digest((3, 12))
    moved = checkout.with_name(checkout.name + "-moved")
    checkout.rename(moved)
    monkeypatch.setattr(setup_venv, "ROOT", str(moved))
    assert setup_venv.digest((3, 12)) != before
