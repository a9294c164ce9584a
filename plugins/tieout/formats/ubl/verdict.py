"""What the validation of a document came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tieout.errors import TieoutError
from tieout.formats.findings import Finding

Profile = Literal["auto", "peppol", "en16931"]


class ValidatorFailed(TieoutError):
    """The validator could not judge a document. That says nothing about the document: it may be valid.

    Attributes:
        document: Which one; None when the validator does not work at all.
    """

    def __init__(self, message: str, document: str | None = None) -> None:
        super().__init__(message)
        self.document = document


@dataclass(frozen=True)
class Verdict:
    """The rules that a document does not keep, and which edition of the rules was asked.

    Attributes:
        findings: In the order of the layers XML, XSD, EN16931, PEPPOL, TIEOUT; each rule and place once.
        versions_digest: `rule_versions()["digest"]` of the rules that judged.
    """

    findings: tuple[Finding, ...]
    versions_digest: str

    @property
    def fatal(self) -> bool:
        """Whether the document is invalid."""
        return any(finding.fatal for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"findings": [finding.to_json() for finding in self.findings], "versions_digest": self.versions_digest}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Verdict:
        """The inverse of `to_json`."""
        return cls(tuple(Finding.from_json(finding) for finding in values["findings"]), values["versions_digest"])
