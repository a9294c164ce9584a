"""Places in a document: found from what the rules report, shown as an XPath people can read."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from lxml import etree

from tieout.formats.ubl.names import SHOWN

# The Peppol stylesheet writes `/Q{urn…}Invoice[1]`, CEN's `/*:Invoice[namespace-uri()='urn…'][1]`.
_STEP: Final = re.compile(r"/(?:Q\{([^}]*)\}|\*:)?([^\[\]/{}@:*]+)(?:\[namespace-uri\(\)='([^']*)'\])?\[(\d+)\]")
_ATTRIBUTE: Final = re.compile(r"/@(?:Q\{[^}]*\})?([^\[\]/{}*]+)$")


def find(root: etree._Element, location: str) -> etree._Element | None:
    """The element that an SVRL location names, or whose attribute it names; None if it names none."""
    element: etree._Element | None = None
    for namespace, name, other_namespace, position in _STEP.findall(location):
        uri = namespace or other_namespace
        tag = f"{{{uri}}}{name}" if uri else name
        if element is None:
            element = root if root.tag == tag else None
        else:
            element = next(islice(element.iterchildren(tag), int(position) - 1, None), None)
        if element is None:
            return None
    return element


def attribute(location: str) -> str:
    """The end of a location that names an attribute, such as `/@currencyID`; empty when it does not."""
    found = _ATTRIBUTE.search(location)
    return f"/@{found[1]}" if found else ""


def path(element: etree._Element) -> str:
    """Such as `/Invoice/cac:TaxTotal[1]/cbc:TaxAmount`: the usual prefixes, positions where there are several."""
    steps = [_step(each) for each in (element, *element.iterancestors())]
    return "/" + "/".join(reversed(steps))


def shown(name: str) -> str:
    """An element's name with the usual prefix instead of its namespace."""
    namespace, _, local = name.rpartition("}")
    return SHOWN.get(namespace.lstrip("{"), f"{namespace}}}" if namespace else "") + local


def _step(element: etree._Element) -> str:
    name = shown(str(element.tag))
    if element.getparent() is None:
        return name
    before = sum(1 for _ in element.itersiblings(str(element.tag), preceding=True))
    alone = before == 0 and next(element.itersiblings(str(element.tag)), None) is None
    return name if alone else f"{name}[{before + 1}]"
