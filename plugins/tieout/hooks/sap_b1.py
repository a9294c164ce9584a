"""The hook behind the connection type `sap_b1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from tieout.hooks.connections import sap_b1_settings

if TYPE_CHECKING:
    from tieout.systems.sap_b1.client import SapB1Client


class SapB1Hook(BaseHook):
    """A SAP Business One Service Layer, for Airflow's connection form and its Test button."""

    conn_name_attr = "sap_b1_conn_id"
    default_conn_name = "sap_b1"
    conn_type = "sap_b1"
    hook_name = "SAP Business One Service Layer"

    def __init__(self, sap_b1_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = sap_b1_conn_id

    def get_conn(self) -> SapB1Client:
        """A client with a session of its own; call `logout()` when done."""
        from tieout.systems.sap_b1.client import SapB1Client
        from tieout.systems.sap_b1.sessions import MemorySessionStore

        return SapB1Client(sap_b1_settings(self.conn_id), MemorySessionStore())

    def test_connection(self) -> tuple[bool, str]:
        """Log in and out again."""
        try:
            client = self.get_conn()
            client.login()
        except Exception as error:  # the form shows whatever went wrong
            return False, str(error)
        client.logout()
        return True, "Logged in to SAP Business One and out again."
