"""The lock files: complete hashes, and the same versions everywhere, with the departures that are known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-production.lock", "requirements-uv.lock")


def pins(name: str) -> dict[str, set[str]]:
    """Package → versions (more than one where Pythons need different ones)."""
    found: dict[str, set[str]] = {}
    text = (ROOT / name).read_text(encoding="utf-8")
    for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.findall(r"^[A-Za-z0-9._-]+==.*\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)*)", text, re.MULTILINE)
    assert entries and all(entries)


@pytest.mark.parametrize(
    ("source", "lock"),
    [
        ("requirements.txt", "requirements.lock"),
        ("requirements-dev.txt", "requirements-dev.lock"),
        ("requirements-production.txt", "requirements-production.lock"),
        ("requirements-uv.txt", "requirements-uv.lock"),
    ],
)
def test_the_lock_satisfies_what_is_asked_for(source: str, lock: str) -> None:
    locked = pins(lock)
    for line in (ROOT / source).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "-r")):
            continue
        wanted = Requirement(line)
        versions = locked[canonicalize_name(wanted.name)]
        assert all(version in wanted.specifier for version in versions), line


def test_development_runs_the_run_time_versions() -> None:
    development = pins("requirements-dev.lock")
    assert {name: development[name] for name in pins("requirements.lock")} == pins("requirements.lock")


def test_production_departs_only_where_the_aws_sdk_insists() -> None:
    run_time, production = pins("requirements.lock"), pins("requirements-production.lock")
    assert {name for name in run_time if production.get(name) != run_time[name]} == {"python-dateutil"}


def test_celery_is_one_that_the_provider_can_import() -> None:
    assert {version.rsplit(".", 1)[0] for version in pins("requirements-production.lock")["celery"]} == {"5.6"}
