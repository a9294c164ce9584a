"""The outcome of `prepare`, kept in staging for the steps after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.integrations.sorting import Place, Sorted
from tieout.ledger import Tally
from tieout.staging import Folder


@dataclass
class Prepared:
    """What would be delivered of one entity, and what the ledger learns when it was.

    Attributes:
        base_version: The entity's version in the ledger when its records were sorted.
        watermark: Where the next run starts; None leaves it where it is.
        file_name: The file to send, given at the moment of delivery; empty when nothing is to be sent.
    """

    entity: str
    base_version: int
    mapping_version: str
    sorted: Sorted
    watermark: dict[str, Any] | None
    file_name: str = ""

    @property
    def preview(self) -> list[str]:
        """Header and first rows of the file."""
        return self.sorted.preview

    def summary(self) -> dict[str, Any]:
        """Counts for Airflow's page."""
        return {
            "entity": self.entity,
            **{place.name.lower(): tally.count for place, tally in self.sorted.tallies.items()},
            "file": self.file_name,
        }

    def to_json(self) -> bytes:
        """For staging."""
        outcome = self.sorted
        return json.dumps(
            {
                "entity": self.entity,
                "base_version": self.base_version,
                "mapping_version": self.mapping_version,
                "watermark": self.watermark,
                "tallies": {
                    place.name: {"count": tally.count, "totals": {c: str(a) for c, a in tally.totals.items()}}
                    for place, tally in outcome.tallies.items()
                },
                "settled": outcome.settled,
                "bytes": outcome.bytes,
                "sha256": outcome.sha256,
                "control_totals": {currency: str(amount) for currency, amount in outcome.control_totals.items()},
                "preview": outcome.preview,
            }
        ).encode()

    @staticmethod
    def forget(staging: Folder, entity: str) -> None:
        """What an earlier attempt prepared must not be taken for this one's."""
        for name in ("prepared.json", "unfit.json", "quality.json"):
            path = staging / entity / "prepared" / name
            if path.exists():
                path.unlink()

    @classmethod
    def load(cls, staging: Folder, entity: str) -> Prepared | None:
        """What `prepare` left in staging; None when it did not come to its end."""
        path = staging / entity / "prepared" / "prepared.json"
        if not path.exists():
            return None
        with path.open("rb") as file:
            data = json.loads(file.read())
        tallies = {
            Place[name]: Tally(tally["count"], {c: Decimal(a) for c, a in tally["totals"].items()})
            for name, tally in data["tallies"].items()
        }
        return cls(
            entity=data["entity"],
            base_version=data["base_version"],
            mapping_version=data["mapping_version"],
            watermark=data["watermark"],
            sorted=Sorted(
                tallies=tallies,
                settled=data["settled"],
                bytes=data["bytes"],
                sha256=data["sha256"],
                control_totals={c: Decimal(a) for c, a in data["control_totals"].items()},
                preview=data["preview"],
            ),
        )
