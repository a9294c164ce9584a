"""One document against all layers of rules. Only ever runs in a worker process: Saxon must not share a process
with threads or forks, where it is known to abort the whole of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from lxml import etree

from tieout.formats.findings import Finding, Severity
from tieout.formats.ubl import own_rules, places, svrl
from tieout.formats.ubl.adjustments import Place, adjusted
from tieout.formats.ubl.artefacts import Artefacts
from tieout.formats.ubl.names import CBC, PREFIXES
from tieout.formats.ubl.reading import kind_of
from tieout.formats.ubl.safe_xml import UblUnreadable, parse
from tieout.formats.ubl.verdict import Profile

if TYPE_CHECKING:
    from saxonche import PyXdmNode

# A document of thousands of lines that are all wrong is not described by thousands of sentences.
MOST_FINDINGS: Final = 500
_LAYERS: Final = ("XML", "XSD", "EN16931", "PEPPOL", "TIEOUT")
# Its XML parser counts `&amp;` as an entity and refuses a document with many. Entities that a document could declare
# are refused before it gets here, so that there is nothing for these limits to guard.
_NO_LIMITS: Final = ("jdk.xml.maxGeneralEntitySizeLimit", "jdk.xml.totalEntitySizeLimit")
_EMBEDDED: Final = f"{{{CBC}}}EmbeddedDocumentBinaryObject"
_PLACEHOLDER: Final = "AAAA"
_QUALIFIED: Final = re.compile(r"\{[^}]*\}[\w.-]+")


class NotJudged(Exception):
    """The rules could not be evaluated, and nothing says that it is the document's fault."""


class Checker:
    """Schemas and rules, loaded and compiled once."""

    def __init__(self, artefacts: Artefacts) -> None:
        from saxonche import PySaxonApiError, PySaxonProcessor

        self._saxon_error = PySaxonApiError
        self._saxon = PySaxonProcessor(license=False)
        # Nothing is ever fetched: the stylesheets read no files but themselves.
        self._saxon.set_configuration_property("http://saxon.sf.net/feature/allowedProtocols", "file")
        for limit in _NO_LIMITS:
            self._saxon.set_configuration_property(f"http://saxon.sf.net/feature/parserProperty?uri={limit}", "0")
        compiler = self._saxon.new_xslt30_processor()
        self._rules = {
            "EN16931": compiler.compile_stylesheet(stylesheet_file=str(artefacts.en16931)),
            "PEPPOL": compiler.compile_stylesheet(stylesheet_file=str(artefacts.peppol)),
        }
        for rules in self._rules.values():
            rules.set_property("!indent", "no")
        self._schemas = {
            "invoice": etree.XMLSchema(etree.parse(str(artefacts.invoice_schema))),
            "credit_note": etree.XMLSchema(etree.parse(str(artefacts.credit_note_schema))),
        }

    def check(self, data: bytes, profile: Profile) -> tuple[Finding, ...]:
        """Everything that is wrong with a document.

        Raises:
            NotJudged: A layer could not be evaluated although no other has anything against the document.
        """
        try:
            root = parse(data)
            schema = self._schemas[kind_of(root)]
        except UblUnreadable as error:
            layer = "XSD" if error.rule == "XSD" else "XML"
            return (Finding(error.rule, layer, "fatal", str(error), line=error.line),)
        found = list(_schema_findings(schema, root))
        _cut_embedded_files(root)
        # Rules that ask for *the* text of an element break on one that a comment divides.
        etree.strip_tags(root, etree.Comment, etree.ProcessingInstruction)
        try:
            document = self._saxon.parse_xml(xml_text=etree.tostring(root, encoding="unicode"))
        except self._saxon_error as error:
            message = f"The parser of the rules refuses the file: {_reason(error)}"
            return _bounded([*found, Finding("XML", "XML", "fatal", message)])
        broken: list[Finding] = []
        found += self._layer("EN16931", document, root, broken)
        if profile != "en16931":
            found += self._peppol(document, root, profile, broken)
        if broken and not any(finding.fatal for finding in found):
            raise NotJudged(" ".join(finding.message for finding in broken))
        return _bounded([*found, *broken])

    def _peppol(
        self, document: PyXdmNode, root: etree._Element, profile: Profile, broken: list[Finding]
    ) -> Iterator[Finding]:
        if own_rules.is_plain_en16931(root):
            yield own_rules.not_peppol(root, "fatal" if profile == "peppol" else "warning")
            return
        self_billing = own_rules.is_self_billing(root)
        for finding in self._layer("PEPPOL", document, root, broken):
            if not self_billing or own_rules.counts_in_self_billing(finding.rule):
                yield finding
        yield from own_rules.tax_subtotal_currencies(root)
        if self_billing:
            yield from own_rules.self_billing(root)

    def _layer(self, layer: str, document: PyXdmNode, root: etree._Element, broken: list[Finding]) -> Iterator[Finding]:
        try:
            report = self._rules[layer].transform_to_string(xdm_node=document)
        except self._saxon_error as error:
            message = f"The {layer} rules cannot be evaluated on this document: {_reason(error)}"
            broken.append(Finding(layer, layer, "fatal", message))
            return
        if not report:
            raise NotJudged(f"The {layer} rules gave no report.")
        for finding, element in svrl.findings(report, layer, root):
            if (kept := adjusted(finding, Place(root, element))) is not None:
                yield kept


def _schema_findings(schema: etree.XMLSchema, root: etree._Element) -> Iterator[Finding]:
    if schema.validate(root):
        return
    for error in schema.error_log:
        message = _QUALIFIED.sub(lambda name: places.shown(name[0]), error.message)
        yield Finding("XSD", "XSD", "fatal", message, _schema_path(root, error.path), error.line)


def _schema_path(root: etree._Element, path: str | None) -> str:
    """libxml2 names places with the document's own prefixes, and by number alone where it has none."""
    prefixes = {prefix: uri for prefix, uri in root.nsmap.items() if prefix}
    try:
        found = root.getroottree().xpath(path or "/*", namespaces={**PREFIXES, **prefixes})
    except etree.XPathError:
        return path or ""
    return places.path(found[0]) if found else path or ""


def _cut_embedded_files(root: etree._Element) -> None:
    """No rule looks at the content of embedded files, only at their attributes and whether they are empty: CL001
    and BR-CL-24 at the mime code, UBL-DT-06 and 07 at the presence of mime code and file name, R008 at emptiness.
    """
    for embedded in root.iter(_EMBEDDED):
        content = embedded.text or ""
        if len(embedded) == 0 and len(content) > len(_PLACEHOLDER) and not content.isspace():
            embedded.text = _PLACEHOLDER


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if text.endswith(".") else f"{text}."


def _bounded(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each finding once, layer by layer, and not more than people read."""
    unique = sorted(dict.fromkeys(found), key=lambda finding: _LAYERS.index(finding.layer))
    rest = unique[MOST_FINDINGS:]
    if not rest:
        return tuple(unique)
    severity: Severity = "fatal" if any(finding.fatal for finding in rest) else "warning"
    more = Finding("MORE", "TIEOUT", severity, f"{len(rest):,} further findings are not listed.")
    return (*unique[:MOST_FINDINGS], more)
