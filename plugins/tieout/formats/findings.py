"""What a check of a document finds: the rule, where, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["fatal", "warning"]


@dataclass(frozen=True)
class Finding:
    """One rule that a document does not keep.

    Attributes:
        rule: The rule's official id, such as `BR-CO-15`; `XSD` for the schema, which has none.
        layer: Which set of rules it belongs to: XML, XSD, EN16931, PEPPOL, CODA or TIEOUT.
        severity: A fatal one makes the document invalid.
        message: What is wrong, in a sentence.
        path: Where in the document, as an XPath people can read; empty for the whole of it.
        line: The line in the file, counted from 1, where it is known.
    """

    rule: str
    layer: str
    severity: Severity
    message: str
    path: str = ""
    line: int | None = None

    @property
    def fatal(self) -> bool:
        """Whether the document is invalid by it."""
        return self.severity == "fatal"

    def sentence(self) -> str:
        """Rule, place and message on one line, for people."""
        where = f" at {self.path}" if self.path else f" in line {self.line}" if self.line else ""
        return f"{self.rule}{where}: {self.message}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Finding:
        """The inverse of `to_json`."""
        return cls(**values)
