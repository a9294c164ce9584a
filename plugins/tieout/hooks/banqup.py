"""The hook behind the connection type `banqup`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from tieout.hooks.connections import banqup_settings

if TYPE_CHECKING:
    from tieout.systems.banqup import BanqupClient


class BanqupHook(BaseHook):
    """Banqup's API, for Airflow's connection form and its Test button."""

    conn_name_attr = "banqup_conn_id"
    default_conn_name = "banqup"
    conn_type = "banqup"
    hook_name = "Banqup"

    def __init__(self, banqup_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = banqup_conn_id

    def get_conn(self) -> BanqupClient:
        """A client; a context manager."""
        from tieout.systems.banqup import BanqupClient

        return BanqupClient(banqup_settings(self.conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Get a token and list the spaces."""
        from tieout.systems.banqup import NOT_WHITELISTED

        try:
            with self.get_conn() as client:
                spaces = client.spaces()
        except Exception as error:  # the form shows whatever went wrong
            return False, str(error)
        if not spaces:
            return False, NOT_WHITELISTED
        return True, f"Banqup lets the application into {len(spaces)} space{'s' if len(spaces) > 1 else ''}."
