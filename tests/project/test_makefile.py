"""The Makefile describes itself, and describes everything it can do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {"setup", "demo", "test", "start", "bench", "lint", "types", "lock", "check-docs", "clean", "help"}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def test_help_lists_every_target_in_a_line() -> None:
    listed = dict(re.findall(r"^  make ([a-z-]+) +(\S.*)$", make("help").stdout, re.MULTILINE))
    assert set(listed) == targets()
    assert set(listed) >= PROMISED


def test_help_is_what_plain_make_shows() -> None:
    assert make().stdout == make("help").stdout


def test_every_target_is_phony() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = " ".join(re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)).split()
    assert set(declared) == targets()


@pytest.mark.parametrize("target", sorted({"demo", "test", "start", "bench", "lint", "types", "lock", "check-docs"}))
def test_every_target_sets_up_what_it_needs(target: str) -> None:
    plan = make("--dry-run", target).stdout
    assert "scripts/setup_venv.py" in plan.splitlines()[1], plan


def test_setup_that_is_done_says_and_does_nothing() -> None:
    first = make("setup")
    assert first.returncode == 0, first.stderr
    again = make("setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_clean_leaves_the_ledger() -> None:
    assert ".airflow" not in make("--dry-run", "clean").stdout
