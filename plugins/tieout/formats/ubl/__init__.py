"""UBL 2.1 invoices and credit notes: their facts, and whether they keep the official rules.

Light by itself: lxml is imported when somebody reads a document, Saxon only ever in the worker processes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tieout.formats.ubl.artefacts import rule_versions
    from tieout.formats.ubl.money import money_of
    from tieout.formats.ubl.reading import Party, UblFacts, read_facts
    from tieout.formats.ubl.safe_xml import UblUnreadable
    from tieout.formats.ubl.validator import ValidatorPool
    from tieout.formats.ubl.verdict import Profile, ValidatorFailed, Verdict

__all__ = [
    "Party",
    "Profile",
    "UblFacts",
    "UblUnreadable",
    "ValidatorFailed",
    "ValidatorPool",
    "Verdict",
    "money_of",
    "read_facts",
    "rule_versions",
]

_HOMES = {
    "artefacts": ("rule_versions",),
    "money": ("money_of",),
    "reading": ("Party", "UblFacts", "read_facts"),
    "safe_xml": ("UblUnreadable",),
    "validator": ("ValidatorPool",),
    "verdict": ("Profile", "ValidatorFailed", "Verdict"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
