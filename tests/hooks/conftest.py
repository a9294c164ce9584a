from __future__ import annotations

from tests.support.syspro_connection import add_connection, airflow_home, ledger, server

__all__ = ["add_connection", "airflow_home", "ledger", "server"]
