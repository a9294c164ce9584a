"""docs/operator.md has everything that the code may tell: reasons of held records, classes of errors, alerts."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from tieout import errors
from tieout.alerts.model import KINDS
from tieout.mapping import held
from tieout.systems.sap_b1 import refusals

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "plugins" / "tieout"
PAGE = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
ROOMS = ("formats", "integrations", "mapping", "systems")
CODE = re.compile(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)+")
# Texts in capitals that are no reason: words of other systems, of libraries, of the environment.
NO_REASON = {
    "AWAITING_VALIDATION", "BANK_TRANSFER", "BILL_OF_EXCHANGE", "CREDIT_CARD", "CREDIT_NOTE",
    "ENRICHED_MOVEMENT_REPORT", "LC_ALL", "LD_LIBRARY_PATH", "NOT_WHITELISTED", "ROUND_HALF_UP", "TIEOUT_MAPPING_KEY",
}  # fmt: skip
# Made from a rule's id, or from a key of `gl_postings.yaml`.
MADE = {"CODA_TRAILER"}
FROM_KEYS = {"NO_COST_CENTRE", "NO_ACCOUNT"}


def section(title: str) -> str:
    """The text under a heading, up to the next one of its level."""
    found = re.search(rf"^(#+) {re.escape(title)}$(.*?)(?=^\1 |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[2]


def documented() -> set[str]:
    """The codes in the first column of the reasons' table."""
    rows = re.findall(r"^\| (.+?) \|", section("Reasons"), re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}


def in_the_code() -> set[str]:
    """Texts of the library that look like a reason's code."""
    found: set[str] = set()
    for room in ROOMS:
        for path in (LIBRARY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                    found.add(node.value)
    return found - NO_REASON - MADE


def test_every_reason_is_explained() -> None:
    """A text in capitals that is no reason belongs into NO_REASON, a new reason into the page."""
    assert sorted(in_the_code() - documented()) == []


def test_only_reasons_that_exist_are_explained() -> None:
    words = {value for name, value in vars(held).items() if name.isupper() and value == name}
    known = in_the_code() | words | set(refusals._REASONS) | FROM_KEYS | {"QUALITY", "UNBALANCED", "XML", "XSD"}
    assert sorted(documented() - known) == []


def test_what_sap_refuses_is_explained() -> None:
    assert sorted(set(refusals._REASONS) - documented()) == []


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TieoutError) and not issubclass(kind, errors.BadRecord) and name != "TieoutError"
    ],
)
def test_every_class_of_error_says_who_acts(name: str) -> None:
    assert f"`{name}`" in section("When a run is red")


def test_the_alerts_on_the_page_are_those_that_exist() -> None:
    told = re.findall(r"^\| `(\w+)` \|", section("Alerts"), re.MULTILINE)
    assert sorted(told) == sorted(KINDS)
