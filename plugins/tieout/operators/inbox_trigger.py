"""What Airflow's triggerer does for `WaitForFiles`. Apart, as a DAG file needs none of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from airflow.triggers.base import BaseTrigger, TriggerEvent

from tieout.errors import TieoutError


class InboxTrigger(BaseTrigger):
    """Looks at a folder on an SFTP server until its files are complete; fires once.

    The event is `{"complete": […], "growing": […]}` with files as `RemoteFile.to_json` gives them, or
    `{"error": <class of tieout.errors>, "message": …}`.

    Args:
        conn_id: Airflow connection of the server; it is read where the trigger runs, so no secret is stored with it.
        folder: Absolute remote path.
        patterns: As of `tieout.delivery.complete_files`, like all that follow.
        complete_when: `stable` or `trigger_file`.
        trigger_suffix: Of trigger files.
        settle_seconds: Between two looks.
        patience_seconds: How long files may grow.
        wait_seconds: How long to wait for a first file.
        held_only: A run over held records needs no files, so nothing is looked at; Airflow's templates give a text.
    """

    def __init__(
        self,
        *,
        conn_id: str,
        folder: str,
        patterns: Sequence[str],
        complete_when: Literal["stable", "trigger_file"],
        trigger_suffix: str,
        settle_seconds: float,
        patience_seconds: float,
        wait_seconds: float,
        held_only: bool | str = False,
    ) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.folder = folder
        self.patterns = list(patterns)
        self.complete_when = complete_when
        self.trigger_suffix = trigger_suffix
        self.settle_seconds = settle_seconds
        self.patience_seconds = patience_seconds
        self.wait_seconds = wait_seconds
        self.held_only = held_only

    def _looking(self) -> dict[str, Any]:
        """The arguments of `complete_files`."""
        return {
            "patterns": self.patterns,
            "complete_when": self.complete_when,
            "trigger_suffix": self.trigger_suffix,
            "settle_seconds": self.settle_seconds,
            "patience_seconds": self.patience_seconds,
            "wait_seconds": self.wait_seconds,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow stores to make the trigger again in the triggerer."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"conn_id": self.conn_id, "folder": self.folder, "held_only": self.held_only, **self._looking()},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, and tell what was found or what went wrong."""
        yield TriggerEvent(await self._look())

    async def _look(self) -> dict[str, Any]:
        if str(self.held_only).lower() == "true":
            return {"complete": [], "growing": []}
        try:
            # In a thread: reading a connection may ask Airflow's API, a secrets backend or the disk. Airflow's own
            # asynchronous way does not find connections of the database in `airflow dags test`.
            target = await asyncio.to_thread(_target, self.conn_id)
            from tieout.delivery import complete_files

            inbox = await complete_files(target, self.folder, **self._looking())
        except TieoutError as error:
            return {"error": type(error).__name__, "message": str(error)}
        return {
            "complete": [file.to_json() for file in inbox.complete],
            "growing": [file.to_json() for file in inbox.growing],
        }


def _target(conn_id: str) -> Any:
    """Together with the import of the SSH library, which takes long enough to hold up other triggers."""
    from tieout.hooks.connections import sftp_target

    return sftp_target(conn_id)
