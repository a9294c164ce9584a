from __future__ import annotations

from tests.support.syspro_connection import airflow_home

__all__ = ["airflow_home"]
