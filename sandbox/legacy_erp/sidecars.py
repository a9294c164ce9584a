"""What stands beside a data file: its manifest, its checksum, its trigger; each compared with what was really read."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any

from sandbox.legacy_erp.findings import Findings
from sandbox.legacy_erp.received import ReceivedFile
from sandbox.legacy_erp.settings import Settings

_KEYS = ("file", "bytes", "sha256", "records", "period", "control_totals")
KINDS = ("checksum", "manifest", "trigger")
"""In the order in which they come after the data."""


class Sidecars:
    """The files beside one data file, as far as they are there.

    Args:
        path: The data file.
        names: What stands in its folder: lower-case name → name. A partner may want names in capitals.
    """

    def __init__(self, path: Path, settings: Settings, names: dict[str, str]) -> None:
        self._path = path
        self._settings = settings
        self.found: dict[str, Path] = {}
        for kind in KINDS:
            name = names.get((path.name + getattr(settings, f"{kind}_suffix")).lower())
            if name is not None:
                self.found[kind] = path.with_name(name)

    def missing(self) -> list[str]:
        """Which of those that must come are not there yet."""
        return [kind for kind in KINDS if getattr(self._settings, kind) == "required" and kind not in self.found]

    def check(self, received: ReceivedFile, findings: Findings) -> None:
        """Compares all that is there with the file."""
        if received.status != "resent":
            self._check_order(findings)
        if "checksum" in self.found:
            _check_checksum(self.found["checksum"].read_bytes(), received, findings)
        if "trigger" in self.found and self.found["trigger"].stat().st_size:
            findings.add("The trigger must be empty.")
        if "manifest" in self.found:
            _check_manifest(self.found["manifest"].read_bytes(), received, findings)

    def _check_order(self, findings: Findings) -> None:
        """Data, checksum, manifest, trigger: each must have got its name after the one before."""
        order = [("data", self._path), *((kind, self.found[kind]) for kind in KINDS if kind in self.found)]
        # The inode's change is the renaming to the final name; what was written first says nothing.
        times = [(kind, path.stat().st_ctime_ns) for kind, path in order]
        for (earlier, first), (later, second) in pairwise(times):
            if second < first:
                findings.add(f"The {later} came before the {earlier} and must come after it.")


def is_sidecar(name: str, settings: Settings) -> bool:
    """Whether a name ends like something that stands beside a data file."""
    suffixes = [getattr(settings, f"{kind}_suffix") for kind in KINDS]
    return name.lower().endswith(tuple(suffix.lower() for suffix in suffixes))


def data_name(name: str, settings: Settings) -> str:
    """The name of the data file that a sidecar belongs to, in lower case."""
    for kind in KINDS:
        suffix = getattr(settings, f"{kind}_suffix").lower()
        if name.lower().endswith(suffix):
            return name.lower().removesuffix(suffix)
    return name.lower()


def _check_checksum(content: bytes, received: ReceivedFile, findings: Findings) -> None:
    """`<hex>`, alone or as sha256sum writes it: two blanks (or blank and star) and the name behind."""
    text = content.decode("ascii", errors="replace")
    found = re.fullmatch(r"([0-9a-fA-F]{64})(?: [ *](.+?))?\r?\n?", text)
    if found is None:
        findings.add(f"The checksum {text[:80]!r} is no SHA-256 as sha256sum writes it.")
    elif found[1].lower() != received.sha256:
        findings.add(f"The checksum says {found[1]} and the file has {received.sha256}.")
    elif found[2] not in (None, received.name):
        findings.add(f"The checksum names {found[2]!r}.")


def _check_manifest(content: bytes, received: ReceivedFile, findings: Findings) -> None:
    try:
        manifest = json.loads(content)
    except (ValueError, UnicodeDecodeError) as error:
        findings.add(f"The manifest is no JSON: {error}.")
        return
    if not isinstance(manifest, dict):
        findings.add("The manifest is no JSON object.")
        return
    missing = [key for key in _KEYS if key not in manifest]
    if missing:
        findings.add(f"The manifest says nothing of {', '.join(missing)}.")
    expected = {"file": received.name, "bytes": received.bytes, "sha256": received.sha256, "records": received.records}
    if received.status == "unreadable":
        del expected["records"]
    for key, value in expected.items():
        if key in manifest and (manifest[key] != value or isinstance(manifest[key], bool)):
            findings.add(f"The manifest's {key} is {manifest[key]!r} and the file's is {value!r}.")
    _check_period(manifest.get("period"), received, findings)
    if "control_totals" in manifest and "records" in expected:
        _check_totals(manifest["control_totals"], received, findings)


def _check_period(said: Any, received: ReceivedFile, findings: Findings) -> None:
    """YYYYPP, or YYYY-PP: the one in the file's name."""
    if said is None:
        return
    period = re.sub(r"[^0-9]", "", said) if isinstance(said, str) else ""
    if len(period) != 6:
        findings.add(f"The manifest's period {said!r} is no text of year and period.")
    elif received.period is not None and period != received.period:
        findings.add(f"The manifest's period is {said} and the file's name says {received.period}.")


def _check_totals(said: Any, received: ReceivedFile, findings: Findings) -> None:
    """Every figure that was counted must be said, as decimal text, and be equal; others are not known here."""
    if not isinstance(said, dict):
        findings.add("The manifest's control_totals is no JSON object.")
        return
    expected = dict(_leaves(received.totals))
    found = {path: value for path, value in _leaves(said) if path[0] in ("debit", "credit", "by_cost_centre", "amount")}
    if received.unchecked:
        expected, found = {}, {}
    for path in sorted(set(expected) | set(found)):
        name = " ".join(path)
        if path not in found:
            findings.add(f"The manifest's control_totals lack {name}; the file gives {expected[path]}.")
        elif path not in expected:
            findings.add(f"The manifest's control_totals have {name} {found[path]!r}, which the file does not give.")
        elif (value := _decimal(found[path])) is None:
            findings.add(f"The manifest's {name} is {found[path]!r}, which is no decimal text.")
        elif value != Decimal(expected[path]):
            findings.add(f"The manifest's {name} is {found[path]} and the file gives {expected[path]}.")


def _leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, str(key)))]
    return [(path, value)] if path else []


def _decimal(value: Any) -> Decimal | None:
    if not isinstance(value, str) or re.fullmatch(r"-?\d+(\.\d+)?", value, re.ASCII) is None:
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None
