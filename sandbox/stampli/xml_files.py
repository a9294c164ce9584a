"""Stampli's XML files, written by Python's ElementTree.

In `<StampliExport companyId created>`, by entity:
`<Invoice id><Header/><Lines><Line/></Lines><Approvals><Approval/></Approvals></Invoice>`,
`<Vendor id><Header/></Vendor>`, `<Payment id><Header/><Lines><Line/></Lines></Payment>`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from sandbox.stampli.text_records import TextRecord

ELEMENTS = {"invoices": "Invoice", "vendors": "Vendor", "payments": "Payment"}
"""Entity → element of a record."""


@dataclass(frozen=True)
class XmlStyle:
    """How a customer's template writes XML.

    Attributes:
        omit_empty: Elements without text are left out.
        namespace: Of all elements; none by default.
    """

    encoding: str = "utf-8"
    indent: bool = True
    omit_empty: bool = False
    namespace: str = ""


def xml_file(
    entity: str,
    records: Iterable[TextRecord],
    style: XmlStyle | None = None,
    *,
    company_id: str = "C1",
    created: str = "2025-06-30T06:15:00Z",
) -> bytes:
    """The file with its XML declaration."""
    chosen = style or XmlStyle()
    root = ElementTree.Element("StampliExport", {"companyId": company_id, "created": created})
    if chosen.namespace:
        root.set("xmlns", chosen.namespace)
    for record in records:
        element = ElementTree.SubElement(root, ELEMENTS[entity], {"id": record.key})
        _fill(ElementTree.SubElement(element, "Header"), record.header, chosen)
        if record.lines:
            lines = ElementTree.SubElement(element, "Lines")
            for line in record.lines:
                _fill(ElementTree.SubElement(lines, "Line"), line, chosen)
        if record.approvals:
            approvals = ElementTree.SubElement(element, "Approvals")
            for approver, moment in record.approvals:
                values = {"approver": approver, "approved_at": moment}
                _fill(ElementTree.SubElement(approvals, "Approval"), values, chosen)
    if chosen.indent:
        ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding=chosen.encoding, xml_declaration=True))


def _fill(parent: ElementTree.Element, values: dict[str, str], style: XmlStyle) -> None:
    for name, text in values.items():
        if text or not style.omit_empty:
            ElementTree.SubElement(parent, name).text = text or None
