"""The legacy ERP as a simulator of the sandbox: its SFTP server, its inbox, and their control paths."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.legacy_erp.inbox import LegacyErpInbox
from sandbox.legacy_erp.settings import Settings
from sandbox.sftp import SftpUser
from sandbox.sftp_simulator import SftpSimulator


class LegacyErpSimulator(SftpSimulator):
    """The parent company's ERP behind its SFTP server.

    Args:
        root: The folder that clients see as `/`.
        users: Who may log in.
        settings: What is agreed with the partner.
        now: The sandbox's time.
        poll_seconds: See `LegacyErpInbox`.
    """

    name = "legacy_erp"
    connection = "legacy_erp_sftp"

    def __init__(
        self,
        root: Path,
        users: tuple[SftpUser, ...] = (),
        *,
        now: Callable[[], datetime],
        settings: Settings | None = None,
        poll_seconds: float | None = None,
    ) -> None:
        super().__init__(root, users)
        self.inbox = LegacyErpInbox(root, settings, now=now, poll_seconds=poll_seconds)

    def start(self) -> None:
        """Makes the folders and starts serving."""
        self.inbox.start()
        super().start()

    def stop(self) -> None:
        """Stops serving, then reading."""
        super().stop()
        self.inbox.stop()

    def state(self) -> dict[str, Any]:
        """Also what the inbox holds."""
        return {**super().state(), **self.inbox.summary()}

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control paths.

        `faults`; `load`; `settings`; `files`, `files/<name>`; `totals`, `totals/<year>/<period>`;
        `documents/<entity>`, `documents/<entity>/<key>`; `answers`; `void`.
        """
        inbox = self.inbox
        match method, path:
            case "POST", ["load"]:
                return [received.as_dict() for received in inbox.load()]
            case "GET" | "PATCH", ["settings"]:
                return inbox.settings.configure(**(body or {}))
            case "GET", ["files"]:
                return [received.as_dict() for received in inbox.files]
            case "GET", ["files", name]:
                return inbox.file(name).as_dict()
            case "GET", ["totals"]:
                return inbox.postings.totals().as_dict()
            case "GET", ["totals", year, period]:
                return inbox.postings.totals(int(year), int(period)).as_dict()
            case "GET", ["documents", entity]:
                return {key: document.rows for key, document in inbox.documents[entity].items()}
            case "GET", ["documents", entity, key]:
                return inbox.documents[entity][key].rows
            case "GET", ["answers"]:
                return [vars(answer) for answer in inbox.answers]
            case "POST", ["answers"]:
                return [vars(answer) for answer in inbox.answer(body["file"], body["answer"])]
            case "POST", ["void"]:
                inbox.numbers.voided |= {int(number) for number in body["numbers"]}
                return {"void": sorted(inbox.numbers.voided)}
        return super().control(method, path, body)
