"""Airflow connections, read once and turned into what our systems and the delivery engine take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tieout.config import is_production
from tieout.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from tieout.delivery import SftpTarget
    from tieout.systems.banqup.settings import BanqupSettings
    from tieout.systems.sap_b1.settings import SapB1Settings
    from tieout.systems.syspro.settings import SysproSettings


def connection(conn_id: str) -> Connection:
    """The Airflow connection.

    Raises:
        ConfigurationInvalid: there is none of this id.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationInvalid(
            f"There is no Airflow connection {conn_id!r}. Define it in the UI under Admin > Connections, with "
            f"`bin/airflow connections add`, or as the environment variable AIRFLOW_CONN_{conn_id.upper()}."
        ) from None


def sap_b1_settings(conn_id: str) -> SapB1Settings:
    """Where and as whom to log in to a Service Layer, by a connection of type `sap_b1` or `http`.

    Raises:
        ConfigurationInvalid: there is no such connection, or a field of it is missing or wrong.
    """
    from tieout.systems.sap_b1.settings import SapB1Settings

    return SapB1Settings.from_connection(**_http_fields(conn_id))


def syspro_settings(conn_id: str) -> SysproSettings:
    """Where and as whom to log on to SYSPRO, by a connection of type `syspro` or `http`.

    Raises:
        ConfigurationInvalid: there is no such connection, or a field of it is missing or wrong.
    """
    from tieout.systems.syspro.settings import SysproSettings

    return SysproSettings.from_connection(**_http_fields(conn_id))


def banqup_settings(conn_id: str) -> BanqupSettings:
    """Where and as which application to read Banqup, by a connection of type `banqup` or `http`.

    Raises:
        ConfigurationInvalid: there is no such connection, or a field of it is missing or wrong.
    """
    from tieout.systems.banqup.settings import BanqupSettings

    return BanqupSettings.from_connection(**_http_fields(conn_id))


def _http_fields(conn_id: str) -> dict[str, Any]:
    """What a system's settings take of a connection; the same for its own type and for `http`."""
    found = connection(conn_id)
    return {
        "host": found.host,
        "port": found.port,
        "schema": found.schema,
        "login": found.login,
        "password": found.password,
        "extra": found.extra_dejson,
        "name": conn_id,
    }


def sftp_target(conn_id: str) -> SftpTarget:
    """Where and as whom to deliver."""
    from tieout.delivery import SftpTarget

    found = connection(conn_id)
    return SftpTarget.from_connection(
        host=found.host,
        port=found.port,
        login=found.login,
        password=found.password,
        extra=found.extra_dejson,
        production=is_production(),
    )
