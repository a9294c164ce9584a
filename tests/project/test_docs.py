"""The documentation names only what exists: targets, files, commands, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page for pattern in ("*.md", "docs/**/*.md", "sandbox/**/*.md", "include/**/*.md") for page in ROOT.glob(pattern)
)
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
# Paths that exist only after something has run, or that stand for a name of the reader's.
NOT_IN_THE_TREE = re.compile(r"[<>*$…]|^\.airflow|^\.venv|^\.env$")
TOP_FOLDERS = ("bin/", "dags/", "docs/", "include/", "plugins/", "sandbox/", "scripts/", "tests/", ".ci/")


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code(page: Path) -> list[str]:
    """Everything that stands in code: fenced lines and inline spans."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```[a-z]*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [line for fence in fences for line in fence.splitlines()] + re.findall(r"`([^`\n]+)`", rest)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_targets_exist(page: Path) -> None:
    for snippet in code(page):
        for words in re.findall(r"\bmake((?: [a-z-]+)+)", snippet):
            assert set(words.split()) <= TARGETS, snippet


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def anchors(page: Path) -> set[str]:
    """What `#…` may name in a page: its headings, as GitHub turns them into anchors."""
    text = re.sub(r"^```[a-z]*\n.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_anchors_exist(page: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert anchor in anchors(page.parent / link if link else page), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_named_files_exist(page: Path) -> None:
    for snippet in code(page):
        for word in snippet.split():
            path = word.strip(".,;:()'\"")
            if path.startswith(TOP_FOLDERS) and not NOT_IN_THE_TREE.search(path):
                assert (ROOT / path).exists(), snippet


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_named_files_of_the_library_exist(page: Path) -> None:
    """Such as `delivery/verify.py`: a path from the library's folder on."""
    library = ROOT / "plugins" / "tieout"
    for snippet in code(page):
        for path, room in re.findall(r"(?<![\w./])((\w+)/[\w/]+\.py)\b", snippet):
            if (library / room).is_dir() and not (ROOT / room).is_dir():
                assert (library / path).exists(), path


def test_the_readme_describes_the_dags_that_exist() -> None:
    table = re.findall(r"^\| `([a-z0-9_]+)` \| [A-Z]", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    dags = {path.stem for path in (ROOT / "dags").glob("*.py")}
    assert table and set(table) <= dags


def test_the_pools_in_the_documentation_are_those_in_the_settings() -> None:
    from load_settings import SETTINGS, read_settings

    page = (ROOT / "docs" / "administrator.md").read_text(encoding="utf-8")
    documented = {name: int(slots) for name, slots in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)}
    assert documented == {pool["pool_name"]: pool["pool_slots"] for pool in read_settings(SETTINGS, {}).pools}
