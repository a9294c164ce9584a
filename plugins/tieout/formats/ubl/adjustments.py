"""Where Tieout deviates from the packaged rules, because the rules in force have moved on.

The packaged Peppol rules are those of release 3.0.16 (November 2023), the packaged EN 16931 rules are version 1.3.16
(April 2026), which Peppol BIS Billing 3.0.22 (November 2026) still uses unchanged. Every entry below takes back, for
the cases that a later release allows, what an older rule would refuse: a valid document is never called invalid. The
releases are those of github.com/OpenPEPPOL/peppol-bis-invoice-3 (release notes and `rules/sch/PEPPOL-EN16931-UBL.sch`).

Knowingly not covered, so that a document may be accepted here which a newer rule refuses:

- checks of foreign numbers: R040 (GLN of 13 digits), R049 and SE-R-013 (Swedish check digit), R052 to R057 (Danish,
  Dutch), R058 and R059 (Luxembourg);
- R043 and R062 of 3.0.22: a Belgian number that begins with neither 0 nor 1, and the form of a Belgian VAT number;
- the German (DE-R), Slovak (SK-R) and newest Danish (DK-R-017) rules;
- codes taken off lists since (schemes of electronic addresses, currencies such as HRK or BGN in the Peppol list);
- R004's ban of `::`, R007's closed list of processes (any number `NN` is accepted), and the cardinalities R140 to
  R276, most of which the schema or the EN 16931 rules demand as well.

And the other way round, these are still refused although a newer release allows them: what concerns two Danish
parties only (DK-R-004, DK-R-008) and invoice type 384 between two Slovak parties.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from lxml import etree

from tieout.formats.findings import Finding
from tieout.formats.ubl.names import CREDIT_NOTE_ROOT, PREFIXES

# Processes that 3.0.21 approves besides `urn:fdc:peppol.eu:2017:poacc:billing:NN:1.0`.
_PROCESSES: Final = {
    "urn:peppol:bis:billing_with_response",
    "urn:peppol:france:billing:regulated",
    "urn:peppol:france:billing:non-regulated",
}
# Currencies of the list of 3.0.22 that the one of 3.0.16 lacks. EN16931's BR-CL-03 to 05 check currencies as well.
_CURRENCIES: Final = {"CNH", "MRU", "SLE", "UYW", "VED", "VES", "XCG", "ZWG"}
_GERMAN_TYPES: Final = {"326", "384", "389"}


@dataclass(frozen=True)
class Place:
    """Where a rule fired, with what else of the document decides whether that still counts."""

    root: etree._Element
    element: etree._Element

    @property
    def value(self) -> str:
        """The element's text."""
        return " ".join("".join(self.element.xpath("text()")).split())

    def text(self, xpath: str) -> str:
        """The first text at a path from the root."""
        found = self.root.xpath(f"string({xpath})", namespaces=PREFIXES)
        return " ".join(str(found).split())

    def country(self, role: str) -> str:
        """Country code in the postal address of `Supplier` or `Customer`."""
        return self.text(
            f"cac:Accounting{role}Party/cac:Party/cac:PostalAddress/cac:Country/cbc:IdentificationCode"
        ).upper()


@dataclass(frozen=True)
class Adjustment:
    """One deviation.

    Attributes:
        rule: The rule's id.
        effect: `drop`: it does not count; `warn`: it counts as a warning.
        applies: In which cases.
        since: The release that changed it, and how.
    """

    rule: str
    effect: Literal["drop", "warn"]
    applies: Callable[[Place], bool]
    since: str


def _both_german(place: Place) -> bool:
    return place.country("Supplier") == place.country("Customer") == "DE"


def _not_a_belgian_scheme(place: Place) -> bool:
    return (place.element.get("schemeID") or "").strip() not in ("0208", "9925")


def _credit_note_to_be_paid_out(place: Place) -> bool:
    return place.root.tag == CREDIT_NOTE_ROOT and not place.text("cac:LegalMonetaryTotal/cbc:PayableAmount").startswith(
        "-"
    )


_LISTS_LAG = "no release: lists of schemes grow twice a year; Belgian ones (0208, 9925) are on every list"

ADJUSTMENTS: Final = (
    Adjustment("PEPPOL-EN16931-CL008", "warn", _not_a_belgian_scheme, _LISTS_LAG),
    Adjustment("BR-CL-25", "warn", _not_a_belgian_scheme, _LISTS_LAG),
    Adjustment(
        "PEPPOL-EN16931-CL007",
        "drop",
        lambda place: place.element.get("currencyID") in _CURRENCIES,
        "3.0.17 to 3.0.21: currencies added",
    ),
    Adjustment("PEPPOL-EN16931-CL003", "drop", lambda place: place.value == "PRV", "3.0.17: charge reason PRV added"),
    Adjustment("PEPPOL-EN16931-R002", "drop", _both_german, "3.0.18: several notes between two German organisations"),
    Adjustment(
        "PEPPOL-EN16931-P0100",
        "drop",
        lambda place: place.value in _GERMAN_TYPES and _both_german(place),
        "3.0.18, 3.0.19, 3.0.22: invoice types 326, 384 and 389 between two German organisations",
    ),
    Adjustment(
        "PEPPOL-EN16931-R007",
        "drop",
        lambda place: place.text("cbc:ProfileID") in _PROCESSES,
        "3.0.21: three further processes",
    ),
    Adjustment(
        "PEPPOL-COMMON-R042",
        "drop",
        lambda place: re.fullmatch(r"[0-9]{8}", place.value) is not None,
        "3.0.19: a Danish CVR number has 8 digits, no longer the prefix DK",
    ),
    Adjustment(
        "NL-R-007",
        "drop",
        _credit_note_to_be_paid_out,
        "3.0.17: no means of payment needed in a credit note that the supplier owes",
    ),
    Adjustment(
        "NL-R-008",
        "drop",
        lambda place: place.country("Customer") != "NL",
        "3.0.18: means of payment restricted between Dutch parties only",
    ),
    Adjustment(
        "SE-R-006",
        "drop",
        lambda place: place.country("Customer") != "SE",
        "3.0.22: VAT rates of Swedish suppliers restricted for Swedish buyers only",
    ),
    Adjustment("GR-R-001-5", "drop", lambda place: True, "3.0.22: removed"),
)

_BY_RULE: Final = {adjustment.rule: adjustment for adjustment in ADJUSTMENTS}


def adjusted(finding: Finding, place: Place) -> Finding | None:
    """The finding as the rules in force have it; None when they no longer have it."""
    adjustment = _BY_RULE.get(finding.rule)
    if adjustment is None or not adjustment.applies(place):
        return finding
    return None if adjustment.effect == "drop" else replace(finding, severity="warning")
