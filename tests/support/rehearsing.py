"""What rehearsals of integrations share: the sandbox's systems as our own clients take them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sandbox.world import Sandbox
from tieout.delivery import SftpTarget
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.sessions import MemorySessionStore
from tieout.systems.sap_b1.settings import SapB1Settings


def sap_settings(sandbox: Sandbox) -> SapB1Settings:
    """Where the sandbox's Service Layer is; quick to give up, small pages."""
    fields = json.loads(sandbox.env["AIRFLOW_CONN_SAP_B1"])
    return SapB1Settings.from_connection(
        host=fields["host"],
        login=fields["login"],
        password=fields["password"],
        extra={**fields["extra"], "retry_seconds": 2, "page_size": 50},
    )


def sftp_target(sandbox: Sandbox, conn_id: str, changes: Mapping[str, Any] | None = None) -> SftpTarget:
    """Where one of the sandbox's SFTP servers is; `changes` may have a `password` and `extra`."""
    fields = json.loads(sandbox.env[f"AIRFLOW_CONN_{conn_id.upper()}"])
    other = changes or {}
    return SftpTarget.from_connection(
        host=fields["host"],
        port=fields["port"],
        login=fields["login"],
        password=other.get("password", fields["password"]),
        extra={**fields["extra"], **other.get("extra", {})},
        production=True,
    )


@contextmanager
def one_session(settings: SapB1Settings) -> Iterator[SapB1Client]:
    """One session, as a run has."""
    client = SapB1Client(settings, MemorySessionStore())
    try:
        yield client
    finally:
        client.logout()
        client.close()
