"""File sequence numbers and control numbers: none is used twice, and of the files' none is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.legacy_erp.findings import Findings
from sandbox.legacy_erp.settings import Settings
from sandbox.legacy_erp.x12.interchange import Interchange


@dataclass(frozen=True)
class NameParts:
    """What a file's name says."""

    prefix: str
    company: str | None
    period: str | None
    sequence: int


def name_parts(name: str, settings: Settings, findings: Findings) -> NameParts | None:
    """Takes a name apart; says what is wrong with it."""
    if len(name) > settings.name_length:
        findings.add(f"The name has {len(name)} characters; {settings.name_length} are agreed.")
    if re.fullmatch(r"[A-Za-z0-9._-]+", name, re.ASCII) is None:
        findings.add("The name has characters other than letters, digits, point, underscore and hyphen.")
    found = re.fullmatch(settings.name_pattern, name, re.ASCII)
    if found is None:
        findings.add("The name does not follow the agreed pattern.")
        return None
    groups = found.groupdict()
    return NameParts(groups["prefix"], groups.get("company"), groups.get("period"), int(groups["seq"]))


class Numbers:
    """The numbers that have come."""

    def __init__(self) -> None:
        self.voided: set[int] = set()
        """Sequence numbers that the partner has declared void: they need not come."""
        self._files: dict[tuple[str, int], str] = {}
        self._interchanges: dict[tuple[str, str, str], str] = {}
        self._groups: dict[tuple[str, str, str, str], str] = {}

    def take_file(self, name: str, parts: NameParts, settings: Settings, findings: Findings) -> None:
        """Notes a file's number."""
        scope = parts.prefix.upper() if settings.numbering == "prefix" else ""
        owner = self._files.setdefault((scope, parts.sequence), name)
        if owner != name:
            findings.add(f"The sequence number {parts.sequence} was used before, by {owner}.")
        if parts.sequence in self.voided:
            findings.add(f"The sequence number {parts.sequence} was declared void.")

    def take_interchange(self, name: str, interchange: Interchange, findings: Findings) -> None:
        """Notes control numbers: ISA13 per sender and receiver, GS06 for them and the functional id."""
        parties = (interchange.sender[1], interchange.receiver[1])
        owner = self._interchanges.setdefault((*parties, interchange.control), name)
        if owner != name:
            findings.add(f"The interchange control number {interchange.control} was used before, by {owner}.")
            interchange.code = "025"
        for group in interchange.groups:
            owner = self._groups.setdefault((*parties, group.functional_id, group.control), name)
            if owner != name:
                findings.add(f"The group control number {group.control} was used before, by {owner}.")

    def gaps(self, settings: Settings) -> list[str]:
        """What is missing between the first number and the last, in sentences."""
        sentences = []
        for scope in sorted({scope for scope, _ in self._files}):
            came = {number for one, number in self._files if one == scope}
            first = min(came) if settings.first_number is None else settings.first_number
            missing = sorted(set(range(first, max(came))) - came - self.voided)
            if missing:
                files = f"files {scope}" if scope else "files"
                shown = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
                sentences.append(f"Sequence numbers of {files} are missing: {shown}.")
        return sentences
