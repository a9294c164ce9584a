"""`gl_postings.yaml`: how a SYSPRO G/L code becomes the receiver's cost centre and account, and the CSV's columns.

The file may be encrypted (`gl_postings.yaml.enc`), as may the cross-references that it names. Light imports only: the
command line reads these files too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from tieout.errors import ConfigurationInvalid
from tieout.mapping.cross_reference import CrossReference, Match, content_version, load_cross_reference
from tieout.mapping.encryption import SUFFIX
from tieout.mapping.loader import find_mapping, load_yaml_or_encrypted
from tieout.mapping.model import Section, Text

GL_RULES = "gl_postings"
COST_CENTRES = "cost_centres"
ACCOUNTS = "accounts"

SOURCES: dict[str, str] = {
    "cost_centre": "GenJournalDetail.GlCode",
    "account": "GenJournalDetail.GlCode",
    "source_gl_code": "GenJournalDetail.GlCode",
    "company": "company_id",
    "year": "GenJournalDetail.GlYear",
    "period": "GenJournalDetail.GlPeriod",
    "journal": "GenJournalDetail.Journal",
    "entry": "GenJournalDetail.EntryNumber",
    "voucher": "GenJournalDetail.GlYear, GlPeriod, Journal",
    "date": "GenJournalDetail.EntryDate, else GenJournalCtl.JournalDate",
    "source": "GenJournalDetail.Source, else GenJournalCtl.Source",
    "reference": "GenJournalDetail.Reference",
    "description": "GenJournalDetail.Comment",
    "amount": "GenJournalDetail.EntryValue",
    "debit": "GenJournalDetail.EntryValue",
    "credit": "GenJournalDetail.EntryValue",
    "currency": "source.currency",
}
"""What a posting consists of: the name that columns and record specs use → where it comes from."""


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression ({error})") from None
    if groups > 1:
        raise ValueError(f"{text!r} has {groups} groups; have one, around the part that is wanted")
    return text


class Part(Section):
    """How a part is taken out of a G/L code.

    Attributes:
        method: `whole` takes the code as it is, `split` a part between separators, `slice` some characters, `regex`
            what a pattern finds, `lookup` the code's own entry in the cross-reference.
        separator: For `split`.
        index: For `split`: the part's number from 0; negative ones count from the end.
        start: For `slice`: the first character, from 0.
        length: For `slice`.
        pattern: For `regex`: found anywhere in the code; its group, or all of it where there is none.
        on_no_match: Where the code has no such part: `hold` (or `fail`) holds the journal, any other text is a bucket
            of that name.
    """

    method: Literal["whole", "split", "slice", "regex", "lookup"] = "whole"
    separator: str = Field(default="-", min_length=1, max_length=5)
    index: int = 0
    start: int = Field(default=0, ge=0)
    length: int | None = Field(default=None, ge=1)
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    on_no_match: Text = "hold"

    @model_validator(mode="after")
    def _method_has_its_own_keys(self) -> Part:
        own = {"split": {"separator", "index"}, "slice": {"start", "length"}, "regex": {"pattern"}}
        given = self.model_fields_set - {"method", "on_no_match"}
        foreign = sorted(given - own.get(self.method, set()))
        if foreign:
            raise ValueError(f"method {self.method} does not take {', '.join(foreign)}; remove it.")
        if self.method == "regex" and self.pattern is None:
            raise ValueError("method regex needs `pattern`.")
        if not self.on_no_match.strip():
            raise ValueError("on_no_match is empty; write hold, or the name of a bucket.")
        return self

    @property
    def bucket(self) -> str | None:
        """What stands for a part that is not there; None: the journal is held."""
        return None if self.on_no_match in ("hold", "fail") else self.on_no_match

    def of(self, code: str) -> str:
        """The part of one code, without blanks around it; empty where there is none."""
        match self.method:
            case "split":
                parts = code.split(self.separator)
                found = parts[self.index] if -len(parts) <= self.index < len(parts) else ""
            case "slice":
                end = None if self.length is None else self.start + self.length
                found = code[self.start : end]
                found = found if self.length is None or len(found) == self.length else ""
            case "regex":
                hit = re.search(self.pattern or "", code)
                found = (hit[hit.re.groups] or "") if hit else ""
            case _:
                found = code
        return found.strip()


class GlColumn(Section):
    """A column of the CSV."""

    name: str = Field(min_length=1)
    from_: str | None = Field(default=None, alias="from")

    @model_validator(mode="after")
    def _is_known(self) -> GlColumn:
        if self.source not in SOURCES:
            raise ValueError(f"{self.source!r} is nothing that a posting has; it has {', '.join(SOURCES)}.")
        return self

    @property
    def source(self) -> str:
        """What of the posting it shows."""
        return self.from_ or self.name


class GlRulesFile(Section):
    """The file.

    Attributes:
        gl_postings: Its name, for whoever reads it.
        cost_centre: Where in the G/L code the cost centre stands.
        account: Where the account stands; the whole code by default.
        columns: The CSV's columns.
        hold_whole_journals: A journal of which one posting is held is held as a whole: what is sent always balances.
    """

    gl_postings: str
    cost_centre: Part
    account: Part = Part()
    columns: tuple[GlColumn, ...] = Field(min_length=1)
    hold_whole_journals: bool = True

    @model_validator(mode="after")
    def _columns_differ(self) -> GlRulesFile:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two columns {', '.join(twice)}; keep one of each.")
        return self


@dataclass(frozen=True)
class Coded:
    """What one G/L code becomes.

    Attributes:
        cost_centre: The receiver's cost centre; None where there is none.
        account: The receiver's account; None where there is none.
        problem: Why postings to it are held: code, message, hint; empty when all is well.
    """

    cost_centre: str | None
    account: str | None
    problem: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class GlRules:
    """The rules, ready for use.

    Attributes:
        file: What the file says.
        file_name: As people know it, for messages.
        cost_centres: SYSPRO's cost centre → the receiver's.
        accounts: SYSPRO's account → the receiver's.
        version: Changes with the content of any of the files.
    """

    file: GlRulesFile
    file_name: str
    cost_centres: CrossReference
    accounts: CrossReference
    version: str

    def code(self, gl_code: str) -> Coded:
        """What a G/L code becomes."""
        if not gl_code.strip():
            return Coded(None, None, ("MISSING_VALUE", "The posting has no G/L code.", _IN_SYSPRO))
        centre = self._translated(gl_code, self.file.cost_centre, self.cost_centres, "cost centre")
        account = self._translated(gl_code, self.file.account, self.accounts, "account")
        found = [each.code for each in (centre, account) if isinstance(each, Match)]
        if len(found) < 2:
            return Coded(None, None, next(each for each in (centre, account) if isinstance(each, tuple)))
        return Coded(found[0], found[1])

    def _translated(
        self, gl_code: str, part: Part, reference: CrossReference, what: str
    ) -> Match | tuple[str, str, str]:
        taken = part.of(gl_code)
        if not taken or (part.method == "lookup" and not reference.has_entry(taken)):
            if part.bucket is not None:
                return Match(gl_code, part.bucket)
            key = what.replace(" ", "_")
            return (
                f"NO_{key.upper()}",
                f"The G/L code {gl_code} has no {what} where {self.file_name} looks for it ({part.method}).",
                f"In SYSPRO, correct the G/L code by a new journal; or correct `{key}` in {self.file_name}.",
            )
        match = reference.match(taken)
        if match.code is None:
            return (
                "MAPPING_MISSING",
                f"The {what} {match.value} of the G/L code {gl_code} has no entry in {reference.file_name}.",
                f"Add the receiver's code for {match.value} to {reference.file_name}.",
            )
        return match


_IN_SYSPRO = "In SYSPRO, look at the journal and correct it by a new one."


def load_gl_rules(folder: Path) -> GlRules:
    """The rules of a mapping folder, with their cross-references.

    Raises:
        ConfigurationInvalid: One of the files is missing or wrong; says file, line and key.
    """
    path = find_mapping(folder, GL_RULES)
    file = load_yaml_or_encrypted(path)
    content = file.validate(GlRulesFile)
    references = [load_cross_reference(find_mapping(folder, name)) for name in (COST_CENTRES, ACCOUNTS)]
    versions = [content_version(content), *(reference.version for reference in references)]
    return GlRules(content, file.name, references[0], references[1], "-".join(version[:16] for version in versions))


def read_gl_rules(path: Path) -> GlRulesFile:
    """One file of rules, plain or encrypted, without what it refers to.

    Raises:
        ConfigurationInvalid: It is wrong; says line and key.
    """
    if path.name.removesuffix(SUFFIX) != f"{GL_RULES}.yaml":
        raise ConfigurationInvalid(f"{path.name}: G/L rules are in a file {GL_RULES}.yaml. Rename it.")
    return load_yaml_or_encrypted(path).validate(GlRulesFile)
