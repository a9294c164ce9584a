"""Cross-references: what a value of the source is called in the target's books.

One file per kind of value, `<name>.yaml` (or `.yaml.enc`), beside the other mapping files of an integration:

    cross_reference: accounts
    entries: {"6000": "_SYS00000000123"}
    otherwise: same
    when_empty: null

Light imports only: the command line and DAG files import this module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from tieout.errors import ConfigurationInvalid
from tieout.mapping.encryption import SUFFIX
from tieout.mapping.loader import load_yaml_or_encrypted
from tieout.mapping.model import Section, Text
from tieout.yaml_file import KeyPath, YamlFile

ANY_OTHER = "*"
"""The entry for every value that has none of its own."""

RECORD_ONLY = "record_only"
"""In `payment_methods`: payments of this method are counted and kept, but nothing is posted."""

TAX_CODES = "tax_codes"
PAYMENT_METHODS = "payment_methods"

Code = Annotated[Text, Field(min_length=1)]


class Target(Section):
    """What a value becomes.

    Attributes:
        code: The target's code.
        account: For tax codes: the account that the tax is posted to, where the target's tax code names none.
    """

    code: Code
    account: Code | None = None


def _target(value: object) -> object:
    return value if isinstance(value, dict) else {"code": value}


class CrossReferenceFile(Section):
    """A cross-reference file.

    Attributes:
        cross_reference: Its name, which is the file's name too.
        description: For readers.
        entries: Value of the source → code of the target; `"*"` stands for every other value.
        otherwise: A value without entry: `same` is taken as the target's own code, `hold` holds the record.
        when_empty: The target's code where the source says nothing; null: there is none.
    """

    cross_reference: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = ""
    entries: dict[str, Annotated[Target, BeforeValidator(_target)]] = Field(default_factory=dict)
    otherwise: Literal["same", "hold"] = "same"
    when_empty: Code | None = None

    @field_validator("entries")
    @classmethod
    def _entries_fit_the_kind(cls, entries: dict[str, Target], info: ValidationInfo) -> dict[str, Target]:
        # The texts name no value: this file may be an encrypted one.
        if info.data.get("cross_reference") != TAX_CODES and any(target.account for target in entries.values()):
            raise ValueError(f"`account` belongs to the entries of {TAX_CODES} only; write `value: code` here.")
        if any(key != key.strip() or not key for key in entries):
            raise ValueError("an entry's value is empty or has blanks around it; values are compared without them.")
        return entries


class _Discreet(YamlFile):
    """An encrypted file, whose messages name line and top-level key: deeper keys are the confidential values."""

    def problem(self, path: KeyPath, message: str) -> ConfigurationInvalid:
        """As of any file, but without the keys below the first."""
        key = f", {path[0]}" if path else ""
        return ConfigurationInvalid(f"{self.name}, line {self.line(path)}{key}: {message}")


@dataclass(frozen=True)
class Match:
    """A value and what it is in the target's books.

    Attributes:
        value: The source's value without blanks around it; empty when there was none.
        code: The target's code, or None: no value and no `when_empty`, or no entry where one is needed.
        account: The entry's account, for tax codes.
        missing: There is a value but no entry, and the file says `otherwise: hold`.
        hidden: The code comes from an encrypted file, so no message may show it.
    """

    value: str
    code: str | None
    account: str | None = field(default=None, repr=False)
    missing: bool = False
    hidden: bool = False

    def shown(self) -> str:
        """The value for a message, with its translation where that is another text and no secret.

        >>> Match("6000", "_SYS01").shown()
        '6000 (_SYS01 by cross-reference)'
        """
        if self.hidden or self.code is None or self.code == self.value:
            return self.value or "(empty)"
        return f"{self.value or '(empty)'} ({self.code} by cross-reference)"


@dataclass(frozen=True)
class CrossReference:
    """A cross-reference, ready for use.

    Attributes:
        name: Such as `accounts`.
        file_name: As people know it, for messages.
        version: SHA-256 of the content; comments and layout do not matter.
    """

    name: str
    file_name: str
    version: str
    entries: Mapping[str, Target] = field(repr=False)
    otherwise: Literal["same", "hold"] = "same"
    when_empty: str | None = field(default=None, repr=False)
    confidential: bool = False

    def match(self, value: object) -> Match:
        """Looks a value up; blanks around it do not count, upper and lower case do."""
        text = "" if value is None else str(value).strip()
        if not text:
            return Match("", self.when_empty, hidden=self.confidential)
        target = self.entries.get(text) or self.entries.get(ANY_OTHER)
        if target is not None:
            return Match(text, target.code, target.account, hidden=self.confidential)
        if self.otherwise == "hold":
            return Match(text, None, missing=True)
        return Match(text, text)

    def has_entry(self, value: object) -> bool:
        """Whether a value has an entry of its own."""
        return value is not None and str(value).strip() in self.entries


def load_cross_reference(path: Path | str) -> CrossReference:
    """Reads a cross-reference file, plain or encrypted.

    Raises:
        ConfigurationInvalid: One sentence per problem, each with file, line and key; of an encrypted file no value.
    """
    path = Path(path)
    file = load_yaml_or_encrypted(path)
    if file.confidential:
        file = _Discreet(file.name, file.content, file.lines, file.confidential)
    content = file.validate(CrossReferenceFile)
    expected = path.name.removesuffix(SUFFIX).removesuffix(".yaml")
    if content.cross_reference != expected:
        raise file.problem(
            ("cross_reference",),
            f"the file's name says {expected!r} and this key {content.cross_reference!r}. Make them the same.",
        )
    return CrossReference(
        content.cross_reference,
        file.name,
        content_version(content),
        content.entries,
        content.otherwise,
        content.when_empty,
        file.confidential,
    )


def content_version(content: Section) -> str:
    """SHA-256 of a file's content."""
    dumped = content.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return hashlib.sha256(json.dumps(dumped, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
