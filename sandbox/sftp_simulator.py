"""An SFTP server as a simulator of the sandbox: its connection and its faults."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.sftp import SftpSandbox, SftpUser
from sandbox.simulator import NotHandled


class SftpSimulator:
    """An SFTP server over a folder; a subclass gives its name, after which the connection is called unless it says so.

    Args:
        root: The folder that clients see as `/`.
        users: Who may log in; the first is the one in the connection.
    """

    name: str
    connection: str | None = None

    def __init__(self, root: Path, users: tuple[SftpUser, ...] = ()) -> None:
        self.server = SftpSandbox(root, list(users) or None)

    def start(self) -> None:
        """Starts serving."""
        self.server.start()

    def stop(self) -> None:
        """Stops serving."""
        self.server.stop()

    def environment(self) -> dict[str, str]:
        """`AIRFLOW_CONN_<CONNECTION>`, host key pinned."""
        user = next(iter(self.server.users.values()))
        connection = {
            "conn_type": "sftp", "host": self.server.host, "port": self.server.port, "login": user.name,
            "password": user.password, "extra": {"host_key": self.server.host_key},
        }  # fmt: skip
        return {f"AIRFLOW_CONN_{(self.connection or self.name).upper()}": json.dumps(connection)}

    def state(self) -> dict[str, Any]:
        """Log-ins, bytes and faults."""
        server = self.server
        return {
            "port": server.port,
            "root": str(server.root),
            "statistics": asdict(server.statistics),
            "faults": asdict(server.faults),
        }

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control path `faults`: GET, PATCH with the fields of `SftpFaults`, DELETE to heal."""
        match method, path:
            case "GET", []:
                return self.state()
            case "GET" | "PATCH", ["faults"]:
                return self.server.configure(**(body or {}))
            case "DELETE", ["faults"]:
                self.server.heal()
                return {}
        raise NotHandled


class PeakfloSftpSimulator(SftpSimulator):
    """The SFTP server in front of Peakflo's inbox."""

    name = "peakflo_sftp"
