"""What the legacy ERP expects of its partner, and how it answers."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

GL_COLUMNS = (
    "cost_centre", "account", "source_gl_code", "year", "period", "journal", "entry", "date", "source", "reference",
    "description", "debit", "credit",
)  # fmt: skip
ANSWERS = ("auto", "A", "E", "P", "R", "silent")


@dataclass(frozen=True)
class DocumentRules:
    """How records that are no G/L lines are told apart and summed.

    Attributes:
        key: Columns that tell one document from the next.
        total: The column that holds a document's amount.
        factors: Instead: quantity and unit price of its lines.
        has_lines: Whether a document may have several rows.
    """

    key: tuple[str, ...] = ()
    total: str | None = None
    factors: tuple[str, str] | None = None
    has_lines: bool = True

    @property
    def has_amounts(self) -> bool:
        """Whether such documents have amounts at all."""
        return self.total is not None or self.factors is not None


def _documents() -> dict[str, DocumentRules]:
    return {
        "invoices": DocumentRules(("supplier", "invoice_number"), total="total_amount"),
        "purchase_orders": DocumentRules(("purchase_order",), factors=("quantity", "unit_price")),
        "suppliers": DocumentRules(("supplier",), has_lines=False),
        "items": DocumentRules(("stock_code",), has_lines=False),
    }


def _prefixes() -> dict[str, str]:
    return {
        "GL": "gl_postings",
        "INV": "invoices",
        "PO": "purchase_orders",
        "SUP": "suppliers",
        "ITEM": "items",
    }


@dataclass
class Settings:
    """The agreement with the partner, as the receiver keeps it.

    Attributes:
        name_pattern: A regular expression that file names match, with the groups `prefix`, `seq`, and where the names
            have them `company` and `period` (YYYYPP).
        name_length: Longest name.
        prefixes: What names begin with → what such files hold.
        numbering: Whether one sequence counts the files of the `partner`, or one those of each `prefix`.
        first_number: The number from which none may be missing; null: the lowest that came.
        manifest, checksum, trigger: `required`, or `optional`: checked where it is there.
        manifest_suffix, checksum_suffix, trigger_suffix: What is put behind the data file's name.
        line_number_digits: Digits of a fixed-width detail's line number; records have 94 bytes more.
        fixed_width_encoding: Of fixed-width files: cp1252, or an EBCDIC such as cp037.
        record_separator: What ends fixed-width records; empty: nothing.
        delimiter, line_end, header, encoding, decimal_mark: Of CSV files.
        gl_columns: The columns of G/L lines as CSV, in order.
        documents: How other records are told apart and summed.
        x12_encoding: Of X12 files.
        test_indicator: What ISA15 must be; null: either.
        sender, receiver: What ISA06 and ISA08 must be; null: anything.
        answer: How X12 files are acknowledged: `auto` says what was found, `A` accepts, `E` accepts with errors, `P`
            accepts all sets but the last, `R` rejects, `silent` says nothing.
    """

    name_pattern: str = r"(?P<prefix>[A-Za-z0-9]+)_(?P<company>.+)_(?P<period>\d{6})_(?P<seq>\d{6,})\.[A-Za-z0-9]+"
    name_length: int = 64
    prefixes: dict[str, str] = field(default_factory=_prefixes)
    numbering: str = "partner"
    first_number: int | None = None
    manifest: str = "required"
    checksum: str = "optional"
    trigger: str = "optional"
    manifest_suffix: str = ".manifest.json"
    checksum_suffix: str = ".sha256"
    trigger_suffix: str = ".done"
    line_number_digits: int = 9
    fixed_width_encoding: str = "cp1252"
    record_separator: str = "\r\n"
    delimiter: str = ","
    line_end: str = "\r\n"
    header: bool = True
    encoding: str = "utf-8"
    decimal_mark: str = "."
    gl_columns: tuple[str, ...] = GL_COLUMNS
    documents: dict[str, DocumentRules] = field(default_factory=_documents)
    x12_encoding: str = "ascii"
    test_indicator: str | None = "T"
    sender: str | None = None
    receiver: str | None = None
    answer: str = "auto"

    def configure(self, **changes: Any) -> dict[str, Any]:
        """Changes settings and returns all of them.

        Raises:
            ValueError: A setting is unknown, or its value makes no sense.
        """
        known = {one.name for one in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"Unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
        for name, value in changes.items():
            _check(name, value)
        made = {name: _made(name, value) for name, value in changes.items()}
        for name, value in made.items():
            setattr(self, name, value)
        return self.as_dict()

    def as_dict(self) -> dict[str, Any]:
        """All settings."""
        return asdict(self)


_CHOICES: dict[str, tuple[str, ...]] = {
    "answer": ANSWERS,
    "numbering": ("partner", "prefix"),
    **dict.fromkeys(("manifest", "checksum", "trigger"), ("required", "optional")),
    "line_end": ("\r\n", "\n"),
}


def _check(name: str, value: Any) -> None:
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, _CHOICES[name]))}.")
    if name == "name_pattern":
        try:
            groups = re.compile(value).groupindex
        except re.error as error:
            raise ValueError(f"name_pattern {value!r} is no regular expression: {error}.") from None
        if not {"prefix", "seq"} <= set(groups):
            raise ValueError("name_pattern must have the groups 'prefix' and 'seq'.")


def _made(name: str, value: Any) -> Any:
    """Values as they come by JSON, in the setting's own type."""
    if name == "gl_columns":
        return tuple(value)
    if name == "documents":
        return {entity: rules if isinstance(rules, DocumentRules) else _rules(rules) for entity, rules in value.items()}
    return value


def _rules(value: dict[str, Any]) -> DocumentRules:
    unknown = sorted(set(value) - {one.name for one in fields(DocumentRules)})
    if unknown:
        raise ValueError(f"The rules of documents have no {', '.join(unknown)}.")
    factors = value.get("factors")
    quantity_and_price = (str(factors[0]), str(factors[1])) if factors else None
    lines = bool(value.get("has_lines", True))
    return DocumentRules(tuple(value.get("key", ())), value.get("total"), quantity_and_price, lines)
