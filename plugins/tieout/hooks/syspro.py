"""The hook behind the connection type `syspro`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from tieout.hooks.connections import syspro_settings

if TYPE_CHECKING:
    from tieout.systems.syspro.client import SysproClient


class SysproHook(BaseHook):
    """A SYSPRO server, for Airflow's connection form and its Test button."""

    conn_name_attr = "syspro_conn_id"
    default_conn_name = "syspro"
    conn_type = "syspro"
    hook_name = "SYSPRO"

    def __init__(self, syspro_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = syspro_conn_id

    def get_conn(self) -> SysproClient:
        """A client with a session of its own, which ends any other of the same operator; a context manager."""
        from tieout.systems.syspro.client import SysproClient

        return SysproClient(syspro_settings(self.conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Log on, read one journal and log off. A run that reads just now has to log on again, which it does."""
        from tieout.systems.syspro.tables import GEN_JOURNAL_CTL

        try:
            with self.get_conn() as client:
                client.login()
                client.probe(GEN_JOURNAL_CTL)
        except Exception as error:  # the form shows whatever went wrong
            return False, str(error)
        return True, f"Read the table {GEN_JOURNAL_CTL.name} of SYSPRO."
