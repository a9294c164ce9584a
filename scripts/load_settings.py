"""Apply airflow_settings.yaml (pools, variables, connections) to Airflow's metadata database, in one process.

Loading twice changes nothing; what is in the database and not in the file stays. `${NAME}` stands for an environment
variable. Connections and variables whose environment is incomplete are left out and named, pools always apply.

    .venv/bin/python scripts/load_settings.py [FILE]      # under bin/airflow's environment
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ROOT / "airflow_settings.yaml"
PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
CONNECTION_KEYS = {
    "conn_id", "conn_type", "conn_host", "conn_schema", "conn_login", "conn_password", "conn_port", "conn_uri",
    "conn_extra", "conn_description",
}  # fmt: skip
POOL_KEYS = {"pool_name", "pool_slots", "pool_description", "pool_include_deferred"}
VARIABLE_KEYS = {"variable_name", "variable_value", "variable_description"}


class SettingsInvalid(Exception):
    """The settings file cannot be applied as it is; the message says where and why."""


@dataclass(frozen=True)
class Settings:
    """A settings file whose placeholders are filled in.

    `skipped` names what was left out, and the environment variables that would have been needed.
    """

    pools: list[dict[str, Any]] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list, repr=False)
    connections: list[dict[str, Any]] = field(default_factory=list, repr=False)
    skipped: list[str] = field(default_factory=list)


def read_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read and check a settings file.

    Raises:
        SettingsInvalid: It is not YAML, or has keys or values that cannot be meant.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsInvalid(f"{path} does not exist.") from None
    except yaml.YAMLError as error:
        raise SettingsInvalid(f"{path} is not valid YAML: {error}") from None
    airflow = content.get("airflow") if isinstance(content, dict) else None
    if not isinstance(airflow, dict):
        raise SettingsInvalid(f"{path}: the top-level key `airflow` is missing.")
    unknown = set(airflow) - {"pools", "variables", "connections"}
    if unknown:
        raise SettingsInvalid(f"{path}: airflow.{min(unknown)} is not one of pools, variables, connections.")
    settings = Settings(pools=_entries(path, airflow, "pools", "pool_name", POOL_KEYS))
    for pool in settings.pools:
        slots = pool.get("pool_slots")
        if isinstance(slots, bool) or not isinstance(slots, int) or slots == 0 or slots < -1:
            raise SettingsInvalid(
                f"{path}: pool {pool['pool_name']!r} has pool_slots {slots!r}; "
                "give a positive number, or -1 for no limit."
            )
    groups = (
        ("variables", "variable_name", VARIABLE_KEYS, settings.variables),
        ("connections", "conn_id", CONNECTION_KEYS, settings.connections),
    )
    for group, name_key, keys, target in groups:
        for entry in _entries(path, airflow, group, name_key, keys):
            missing = sorted(name for name in _placeholders(entry) if not environ.get(name))
            if missing:
                settings.skipped.append(f"{group[:-1]} {entry[name_key]} (not set: {', '.join(missing)})")
            else:
                target.append(_filled(entry, environ))
    for connection in settings.connections:
        if not connection.get("conn_type") and not connection.get("conn_uri"):
            raise SettingsInvalid(f"{path}: connection {connection['conn_id']!r} needs conn_type or conn_uri.")
    return settings


def _entries(path: Path, airflow: dict[str, Any], group: str, name_key: str, keys: set[str]) -> list[dict[str, Any]]:
    entries = airflow.get(group) or []
    if not isinstance(entries, list):
        raise SettingsInvalid(f"{path}: airflow.{group} must be a list.")
    for position, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get(name_key), str) or not entry[name_key]:
            raise SettingsInvalid(f"{path}: entry {position} of airflow.{group} has no {name_key}.")
        unknown = set(entry) - keys
        if unknown:
            raise SettingsInvalid(
                f"{path}: {min(unknown)!r} in {entry[name_key]!r} of airflow.{group} "
                f"is none of {', '.join(sorted(keys))}."
            )
    return entries


def _placeholders(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(PLACEHOLDER.findall(value))
    if isinstance(value, dict):
        return {name for item in value.values() for name in _placeholders(item)}
    if isinstance(value, list):
        return {name for item in value for name in _placeholders(item)}
    return set()


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda match: environ[match[1]], value)
    if isinstance(value, dict):
        return {key: _filled(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, environ) for item in value]
    return value


def apply_settings(settings: Settings) -> None:
    """Write pools, variables and connections to the metadata database that Airflow is configured with."""
    # The models of the metadata database: airflow.sdk, for tasks, has nothing that stores.
    from airflow.models.connection import Connection
    from airflow.models.pool import Pool
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    for pool in settings.pools:
        Pool.create_or_update_pool(
            name=pool["pool_name"],
            slots=pool["pool_slots"],
            description=pool.get("pool_description", ""),
            include_deferred=bool(pool.get("pool_include_deferred", False)),
        )
    with create_session() as session:
        for variable in settings.variables:
            value = variable.get("variable_value", "")
            text = value if isinstance(value, str) else json.dumps(value)
            Variable.set(
                variable["variable_name"], text, description=variable.get("variable_description"), session=session
            )
        for entry in settings.connections:
            connection = Connection(**_connection_arguments(entry))
            known = session.scalar(select(Connection.id).where(Connection.conn_id == connection.conn_id))
            if known is not None:
                connection.id = known
            session.merge(connection)


def _connection_arguments(entry: dict[str, Any]) -> dict[str, Any]:
    extra = entry.get("conn_extra")
    uri = entry.get("conn_uri")
    if uri:
        return {"conn_id": entry["conn_id"], "uri": uri, "description": entry.get("conn_description")}
    port = entry.get("conn_port")
    return {
        "conn_id": entry["conn_id"],
        "conn_type": entry["conn_type"],
        "description": entry.get("conn_description"),
        "host": entry.get("conn_host"),
        "schema": entry.get("conn_schema"),
        "login": entry.get("conn_login"),
        "password": entry.get("conn_password"),
        "port": int(port) if port not in (None, "") else None,
        "extra": json.dumps(extra) if isinstance(extra, dict) and extra else extra or None,
    }


def main(arguments: list[str]) -> int:
    """Load one file; returns the process's exit status."""
    try:
        settings = read_settings(Path(arguments[0]) if arguments else SETTINGS, os.environ)
    except SettingsInvalid as error:
        print(error, file=sys.stderr)
        return 1
    apply_settings(settings)
    counts = (
        f"{len(settings.pools)} pools, {len(settings.variables)} variables, {len(settings.connections)} connections"
    )
    print(f"{counts} loaded")
    for name in settings.skipped:
        print(f"left out: {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
