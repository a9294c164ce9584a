"""Findings out of Schematron's report language (SVRL)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from tieout.formats.findings import Finding
from tieout.formats.ubl import places

_SVRL: Final = "{http://purl.oclc.org/dsdl/svrl}"
# Texts begin with their rule's id in several ways: `[BR-CO-15]-Invoice …`, `[NL-R-001] For …`, `">[IT-R-004] …`.
_OWN_ID: Final = re.compile(r"^\W*\[[A-Z0-9-]+\][\s-]*")


def findings(report: str, layer: str, root: etree._Element) -> Iterator[tuple[Finding, etree._Element]]:
    """Each failed assertion, with the element of the document that it is about.

    Args:
        report: The SVRL document.
        layer: The layer to name.
        root: The document's root.
    """
    # Nearly all documents are valid: their reports of thousands of characters need no parsing.
    if "failed-assert" not in report and "successful-report" not in report:
        return
    for failed in etree.fromstring(report.encode()).iter(f"{_SVRL}failed-assert", f"{_SVRL}successful-report"):
        location = failed.get("location") or ""
        element = places.find(root, location)
        place = root if element is None else element
        yield (
            Finding(
                rule=failed.get("id") or layer,
                layer=layer,
                severity="warning" if failed.get("flag") == "warning" else "fatal",
                message=_message(failed),
                path=places.path(place) + places.attribute(location),
                line=place.sourceline,
            ),
            place,
        )


def _message(failed: etree._Element) -> str:
    text = " ".join("".join(failed.itertext(f"{_SVRL}text")).split())
    return _OWN_ID.sub("", text) or "The rule has no text."
