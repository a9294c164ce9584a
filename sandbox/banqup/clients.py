"""An accountant's clients: their ids, numbers, spaces and paths, and an instance file that names them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.banqup.belgian import enterprise_number

ACTIVATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""Since when the clients of the shipped instance file want their documents."""
INVOICE_PATH = "/invoice_import/[external_id]_[uen_number]/[invoice_type]"
STATEMENT_PATH = "/invoice_import/[external_id]_[uen_number]/[file_type]/[year]"
CONNECTION = "banqup"
_NAMES = (
    "Bakkerij De Korenbloem BV", "Garage Vermeulen NV", "Brasserie du Marché SRL", "Studio Lumière SA",
    "Bouwwerken Janssens BV", "Apotheek Centrum BV", "Transport Delvaux SA", "Hoeve 't Zwaluwnest CV",
)  # fmt: skip


@dataclass(frozen=True)
class BanqupClient:
    """One client as an instance file has it; the fields are its keys."""

    external_id: str
    name: str
    uen_number: str
    space_id: str
    conn_id: str
    activated_at: datetime
    invoice_path: str = INVOICE_PATH
    statement_path: str = STATEMENT_PATH

    def folder_of(self, folder: str, year: int) -> str:
        """Where documents of a Banqup folder (PURCHASES, SALES, BANK) must lie, `[year]` being this one."""
        values = {
            "external_id": self.external_id, "uen_number": self.uen_number, "file_type": "cod", "year": str(year),
            "invoice_type": "AP" if folder == "PURCHASES" else "AR",
        }  # fmt: skip
        path = self.statement_path if folder == "BANK" else self.invoice_path
        for name, value in values.items():
            path = path.replace(f"[{name}]", value)
        return path


def make_clients(count: int, activated_at: datetime = ACTIVATED_AT) -> list[BanqupClient]:
    """The first so many clients, always the same: C1001, C1002, …"""
    return [_client(index, activated_at) for index in range(1, count + 1)]


def _client(index: int, activated_at: datetime) -> BanqupClient:
    external_id = f"C{1000 + index}"
    return BanqupClient(
        external_id=external_id,
        name=_NAMES[index - 1] if index <= len(_NAMES) else f"Klant {index} BV",
        uen_number=enterprise_number(7_000_000 + 12_345 * index % 3_000_000),
        space_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://banqup.example/spaces/{external_id}")),
        conn_id=f"banqup_client_{index}",
        activated_at=activated_at,
    )


def instance_yaml(clients: Iterable[BanqupClient]) -> str:
    """An instance file of `banqup_to_sftp` for these clients."""
    lines = ["connections:", f"  source: {CONNECTION}", "clients:"]
    for client in clients:
        values = {
            **vars(client),
            "activated_at": client.activated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        # A JSON string is a YAML string too.
        pairs = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        lines += [f"  - {pairs[0]}", *(f"    {pair}" for pair in pairs[1:])]
    return "\n".join(lines) + "\n"
