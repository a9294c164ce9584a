"""The outcome of `prepare`, kept in staging for the steps after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from tieout.integrations.sorting import Place
from tieout.integrations.syspro_to_legacy_erp.gl.writers import Numbers
from tieout.ledger import Tally
from tieout.staging import Folder, write_bytes_atomically

PREPARED = "prepared.json"


@dataclass(frozen=True)
class Output:
    """One data file that would go.

    Attributes:
        part: Its folder below the entity's, and the period it is of: YYYYPP.
        bytes: Its size.
        sha256: Its digest, hex.
        records: How many source records are in it.
        control_totals: As the manifest has them, decimal text.
        numbers: The numbers that are written in it.
        supplementary: Postings of a period that was sent before.
        name: Of a file that is sent again: the name it had.
    """

    part: str
    bytes: int
    sha256: str
    records: int
    control_totals: Mapping[str, Any]
    numbers: Numbers
    supplementary: bool = False
    name: str = ""


@dataclass
class Prepared:
    """What would be delivered of one entity, and what the ledger learns when it was.

    Attributes:
        entity: The entity.
        base_version: Its version in the ledger when its records were judged.
        mapping_version: The mapping that was used.
        tallies: Count and money of each place.
        outputs: The files, in the order of delivery.
        settled: Keys with an open held record that are not held any more and not sent either.
        watermark: Where the next run starts; None leaves it where it is.
        missing: Per period: records that were sent and are not in SYSPRO any more.
        preview: The first lines of the files.
    """

    entity: str
    base_version: int
    mapping_version: str
    tallies: dict[Place, Tally] = field(default_factory=lambda: {place: Tally() for place in Place})
    outputs: list[Output] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    watermark: dict[str, Any] | None = None
    missing: dict[str, int] = field(default_factory=dict)
    preview: list[str] = field(default_factory=list)

    def add(self, place: Place, tally: Tally) -> None:
        """Records of a further period."""
        self.tallies[place] = self.tallies[place] + tally

    def summary(self) -> dict[str, Any]:
        """Counts for Airflow's page."""
        counts = {place.name.lower(): tally.count for place, tally in self.tallies.items()}
        return {"entity": self.entity, **counts, "files": len(self.outputs)}

    def save(self, folder: Folder) -> None:
        """Into the entity's folder of prepared files."""
        content = asdict(self) | {
            "tallies": {
                place.name: {"count": tally.count, "totals": {c: str(a) for c, a in tally.totals.items()}}
                for place, tally in self.tallies.items()
            }
        }
        write_bytes_atomically(folder / PREPARED, [json.dumps(content).encode()])

    @classmethod
    def load(cls, folder: Folder) -> Prepared | None:
        """What `prepare` left in staging; None when it did not come to its end."""
        path = folder / PREPARED
        if not path.exists():
            return None
        with path.open("rb") as file:
            data = json.loads(file.read())
        tallies = {
            Place[name]: Tally(tally["count"], {c: Decimal(a) for c, a in tally["totals"].items()})
            for name, tally in data["tallies"].items()
        }
        outputs = [Output(**{**each, "numbers": Numbers(**each["numbers"])}) for each in data["outputs"]]
        return cls(**{**data, "tallies": tallies, "outputs": outputs})

    @staticmethod
    def forget(folder: Folder) -> None:
        """What an earlier attempt prepared must not be taken for this one's."""
        for name in (PREPARED, "unfit.json"):
            path = folder / name
            if path.exists():
                path.unlink()
