"""What the instances' files say, as far as the page shows it; read again only when a file has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from tieout.config import INSTANCE_NAME, include_folder
from tieout.errors import TieoutError
from tieout.yaml_file import load_yaml

Pair = tuple[str, str]
"""Integration and instance."""

_UTC = ZoneInfo("UTC")
_FILES_IN_MEMORY = 1_000


@dataclass(frozen=True)
class InstanceFacts:
    """What the page needs to know of an instance.

    Attributes:
        enabled: Whether it has a DAG of its own.
        timezone: Whose days and hours it goes by; UTC where its file names none that there is.
        partner: What people call the other side; empty where its file names nobody.
        clients: Of Banqup, the client of each entity: number and name.
    """

    enabled: bool = True
    timezone: ZoneInfo = _UTC
    partner: str = ""
    clients: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def configured() -> list[Pair]:
    """The enabled instances, in order; one with a broken file is among them, for it has a DAG that says so."""
    paths = sorted((include_folder() / "integrations").glob("*/*.yaml"))
    return [
        (path.parent.name, path.stem)
        for path in paths
        if INSTANCE_NAME.fullmatch(path.stem) and facts_of(path.parent.name, path.stem).enabled
    ]


def facts_of(integration: str, instance: str) -> InstanceFacts:
    """What an instance's file says; what it does not say, or a file that is gone or broken, is the default."""
    path = include_folder() / "integrations" / integration / f"{instance}.yaml"
    try:
        # The ledger's names may be of an instance that never had a file, with anything in them.
        state = path.stat()
    except (OSError, ValueError):
        return InstanceFacts()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=_FILES_IN_MEMORY)
def _read(path: Path, _changed: int, _bytes: int) -> InstanceFacts:
    try:
        content = load_yaml(path).content
    except TieoutError:
        return InstanceFacts()
    if not isinstance(content, dict):
        return InstanceFacts()
    partner = content.get("partner")
    return InstanceFacts(
        enabled=content.get("enabled", True) is not False,
        timezone=_zone(content.get("timezone")),
        partner=str(partner.get("partner_name") or "") if isinstance(partner, dict) else "",
        clients=MappingProxyType(_clients(content.get("clients"))),
    )


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(name) if isinstance(name, str) else _UTC
    except (OSError, ValueError, KeyError):
        return _UTC


def _clients(entries: object) -> dict[str, str]:
    """Number → number and name, as `BanqupClientConfig.title` has it."""
    known: list[Any] = entries if isinstance(entries, list) else []
    clients = [entry for entry in known if isinstance(entry, dict) and "external_id" in entry]
    return {str(entry["external_id"]): f"{entry['external_id']} {entry.get('name') or ''}".strip() for entry in clients}
