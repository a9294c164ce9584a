"""What an extraction hands on: a small record of the staged parts, for XCom and the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tieout.odata.layout import CustomFields
from tieout.staging import Part


@dataclass(frozen=True)
class ExtractManifest:
    """The outcome of one extraction.

    Attributes:
        entity: The entity set that was read.
        records: Staged records (elements, where records are elements of a parent's collection).
        source_rows: Rows of the entity set that they come from.
        parts: The part files, in key order.
        max_key: Greatest integer key read, or the last text key in the server's order; None without records.
        max_values: Greatest value per change column, as text; a column without any value is absent.
        custom_fields: Custom field names per level (`header`, names of collections), sorted.
        server_time: The server's clock when the session began, ISO 8601 in UTC; None if the source does not tell.
        requests: HTTP requests that pages and counts took, repetitions after failures not counted.
        vanished: Rows that were read and gone again when the count was checked.
        missing_keys: Keys that were asked for by name and no longer exist.
    """

    entity: str
    records: int
    source_rows: int
    parts: tuple[Part, ...]
    max_key: str | None = None
    max_values: Mapping[str, str] = field(default_factory=dict)
    custom_fields: CustomFields = field(default_factory=dict)
    server_time: str | None = None
    requests: int = 0
    vanished: int = 0
    missing_keys: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all parts."""
        return sum(part.bytes for part in self.parts)

    @property
    def part_names(self) -> list[str]:
        """Names of the parts in their folder, in key order."""
        return [part.name for part in self.parts]

    @property
    def server_date(self) -> str | None:
        """The UTC date of `server_time`, `YYYY-MM-DD`."""
        return self.server_time[:10] if self.server_time else None

    def to_json(self) -> str:
        """As JSON text with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ExtractManifest:
        """Reads what `to_json` wrote."""
        values = json.loads(text)
        values["parts"] = tuple(Part(**part) for part in values["parts"])
        values["custom_fields"] = {level: tuple(names) for level, names in values["custom_fields"].items()}
        values["missing_keys"] = tuple(values["missing_keys"])
        return cls(**values)
