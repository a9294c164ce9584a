"""Where the ledger is: the connection `tieout_ledger`, else SQLite in Airflow's home.

The order:

1. `AIRFLOW_CONN_TIEOUT_LEDGER`: an SQLAlchemy URL, an Airflow connection URI, or Airflow's JSON form.
2. The connection `tieout_ledger` in Airflow's metadata database or secrets backend. Importing Airflow costs more than
   a second, so the database is first asked, directly, whether there is such a row at all; Airflow is imported only
   when there is one, or when only Airflow can tell (a secrets backend, a database address that a command gives).
3. `sqlite:///$AIRFLOW_HOME/ledger.db`.

A connection that exists but cannot be read is an error and not a reason to go on to SQLite: an empty ledger in the
wrong place would let everything be sent a second time. Only the standard library is imported at module level.
"""

from __future__ import annotations

import configparser
import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from tieout.errors import ConfigurationInvalid

CONN_ID = "tieout_ledger"
ENVIRONMENT = "AIRFLOW_CONN_TIEOUT_LEDGER"
METADATA = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_ASK = "SELECT 1 FROM connection WHERE conn_id = 'tieout_ledger'"
# What Airflow puts in place of the database's address where tasks run: they must ask its API instead.
_NOT_ALLOWED = "airflow-db-not-allowed"
_PROCESS_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"
_POSTGRES = ("postgres", "postgresql")


def airflow_home() -> Path:
    """`AIRFLOW_HOME`, by default `.airflow/` in the project's root."""
    configured = os.environ.get("AIRFLOW_HOME", "")
    return Path(configured).expanduser().absolute() if configured else Path(__file__).resolve().parents[2] / ".airflow"


def ledger_url() -> str:
    """The ledger's SQLAlchemy URL. It may hold a password: never log it.

    Raises:
        ConfigurationInvalid: The connection exists but cannot be read, or is not one to a database.
    """
    configured = os.environ.get(ENVIRONMENT, "").strip()
    if configured:
        return sqlalchemy_url(configured)
    if _may_be_in_airflow():
        fields = _from_airflow()
        if fields is not None:
            return _from_fields(fields)
    return f"sqlite:///{airflow_home() / 'ledger.db'}"


def sqlalchemy_url(connection: str) -> str:
    """Turn any form of a connection into an SQLAlchemy URL.

    Args:
        connection: `postgresql://…`, `sqlite:////…`, or `{"conn_type": "postgres", "host": …}`.

    Raises:
        ConfigurationInvalid: It is neither; the message does not quote it.
    """
    if connection.startswith("{"):
        return _from_json(connection)
    scheme, separator, _ = connection.partition("://")
    if not separator or not scheme:
        raise ConfigurationInvalid(
            f"The connection {CONN_ID} is neither a URL such as postgresql://user:password@host/database "
            f"nor Airflow's JSON form. Correct it; {ENVIRONMENT} overrides it."
        )
    if scheme == "sqlite":
        return unquote(connection)
    return _without_airflow_extras(connection)


def _from_json(text: str) -> str:
    try:
        fields = json.loads(text)
    except ValueError:
        raise ConfigurationInvalid(
            f"The connection {CONN_ID} starts like JSON but is none. Correct {ENVIRONMENT}."
        ) from None
    return _from_fields(fields)


def _from_fields(fields: Mapping[str, object]) -> str:
    kind = str(fields.get("conn_type") or "").lower()
    if kind == "sqlite":
        return f"sqlite:///{fields.get('host') or fields.get('schema') or ''}"
    if not kind:
        raise ConfigurationInvalid(f"The connection {CONN_ID} has no conn_type. Use postgres or sqlite.")
    return _network_url("postgresql" if kind in _POSTGRES else kind, fields)


def _network_url(scheme: str, fields: Mapping[str, object]) -> str:
    login, password = (quote(str(fields.get(name) or ""), safe="") for name in ("login", "password"))
    credentials = f"{login}:{password}@" if password else f"{login}@" if login else ""
    host = str(fields.get("host") or "")
    port = f":{fields['port']}" if fields.get("port") else ""
    extra = fields.get("extra") or {}
    options = json.loads(extra) if isinstance(extra, str) else extra
    query = urlencode(options) if isinstance(options, Mapping) else ""
    return urlunsplit((scheme, f"{credentials}{host}{port}", f"/{fields.get('schema') or ''}", query, ""))


def _without_airflow_extras(url: str) -> str:
    """Airflow may add `__extra__={json}` to a URI; a database driver does not know it."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    extra = options.pop("__extra__", None)
    if extra is None:
        return url
    return urlunsplit(parts._replace(query=urlencode({**options, **json.loads(extra)})))


def _may_be_in_airflow() -> bool:
    """Whether Airflow has, or may have, a connection of our name: without importing Airflow."""
    if os.environ.get("AIRFLOW__SECRETS__BACKEND") or os.environ.get("AIRFLOW__WORKERS__SECRETS_BACKEND"):
        return True
    settings = _settings()
    if settings.get("secrets", "backend", fallback=""):
        return True
    url = os.environ.get(METADATA, "") or settings.get("database", "sql_alchemy_conn", fallback="")
    if not url and _given_by_command(settings):
        return True
    url = url or f"sqlite:///{airflow_home() / 'airflow.db'}"
    if url.startswith(_NOT_ALLOWED):
        return "airflow.sdk" in sys.modules
    return _row_in_sqlite(url) if url.startswith("sqlite") else _row_in_database(url)


def _settings() -> configparser.ConfigParser:
    settings = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    file = Path(os.environ.get("AIRFLOW_CONFIG", "") or airflow_home() / "airflow.cfg")
    try:
        settings.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        raise ConfigurationInvalid(f"{file} cannot be read as Airflow's configuration. Correct or remove it.") from None
    return settings


def _given_by_command(settings: configparser.ConfigParser) -> bool:
    return any(
        os.environ.get(METADATA + suffix.upper()) or settings.get("database", f"sql_alchemy_conn{suffix}", fallback="")
        for suffix in ("_cmd", "_secret")
    )


def _row_in_sqlite(url: str) -> bool:
    path = Path(unquote(urlsplit(url).path)[1:].replace("{AIRFLOW_HOME}", str(airflow_home())))
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60)) as database:
            return database.execute(_ASK).fetchone() is not None
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # Airflow has not prepared its database yet.
            return False
        raise ConfigurationInvalid(f"{path}, Airflow's metadata database, cannot be read ({error}).") from None


def _row_in_database(url: str) -> bool:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import ProgrammingError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        with create_engine(url, poolclass=NullPool).connect() as database:
            return database.execute(text(_ASK)).first() is not None
    except ProgrammingError:  # Airflow has not prepared its database yet: there is no such table.
        return False
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigurationInvalid(
            f"Airflow's metadata database does not answer ({type(error).__name__}), so nobody knows where the "
            f"ledger is. Start it, or set {ENVIRONMENT}."
        ) from None


@contextmanager
def _with_metadata_database() -> Iterator[None]:
    """Outside of its own processes Airflow looks into its database only when told so; a task asks its API anyway."""
    if _PROCESS_CONTEXT in os.environ:
        yield
        return
    os.environ[_PROCESS_CONTEXT] = "server"
    try:
        yield
    finally:
        os.environ.pop(_PROCESS_CONTEXT, None)


def _from_airflow() -> Mapping[str, object] | None:
    """Ask Airflow; None when it has no such connection."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        with _with_metadata_database():
            found = Connection.get(CONN_ID)
    except AirflowNotFoundException:
        return None
    except Exception as error:
        raise ConfigurationInvalid(
            f"Airflow cannot read the connection {CONN_ID} ({type(error).__name__}). Correct it, or set {ENVIRONMENT}."
        ) from None
    names = ("conn_type", "host", "login", "password", "schema", "port")
    return {**{name: getattr(found, name) for name in names}, "extra": found.extra_dejson}
