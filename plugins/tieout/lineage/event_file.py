"""Where OpenLineage events go by default: a file of JSON lines that many processes append to, and that stays bounded.

OpenLineage's own file transport appends without a lock and for ever. This one takes a lock for each event, and when the
file is full it becomes `<name>.1`, in place of the one that was full before: at most twice `max_bytes` are on the disk.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attr
from openlineage.client.serde import Serde
from openlineage.client.transport.transport import Config, Transport

if TYPE_CHECKING:
    from openlineage.client.client import Event

MOST_BYTES = 100_000_000


@attr.define
class EventFileConfig(Config):
    """`{"type": "tieout.lineage.event_file.EventFile", "path": …, "max_bytes": …}`.

    Attributes:
        path: The file; its folder is made when it is missing.
        max_bytes: When it is full; 0 for never.
    """

    path: str
    max_bytes: int = MOST_BYTES

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> EventFileConfig:
        """From the transport's JSON.

        Raises:
            ValueError: `path` is missing, or `max_bytes` is no number from 0 on.
        """
        most = params.get("max_bytes", MOST_BYTES)
        if not params.get("path"):
            raise ValueError("The transport tieout.lineage.event_file.EventFile needs `path`: the file for the events.")
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise ValueError(f"`max_bytes` of the lineage transport is {most!r}; write whole bytes, 0 for no limit.")
        return cls(str(params["path"]), most)


class EventFile(Transport):
    """Appends each event as a line."""

    kind = "tieout_event_file"
    config_class = EventFileConfig

    def __init__(self, config: EventFileConfig) -> None:
        self._path = Path(config.path)
        self._max_bytes = config.max_bytes

    def emit(self, event: Event) -> None:
        """Append one event, whole."""
        line = Serde.to_json(event).encode() + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._make_room(len(line))
            with self._path.open("ab") as file:
                file.write(line)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else writes meanwhile. The lock has a file of its own: the other one changes its name."""
        descriptor = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_room(self, needed: int) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        if self._max_bytes and size and size + needed > self._max_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
