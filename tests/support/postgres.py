"""A private PostgreSQL server for tests: real binaries, a temporary folder, a free loopback port, no fsync.

Use it by importing the fixtures into a `conftest.py`:

    from tests.support.postgres import postgres_server, postgres_url  # noqa: F401

One server serves a pytest-xdist worker's whole session; `postgres_url` is a fresh database for each test.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.support.ports import kept_port

SUPERUSER = "tieout_test"
_PR_SET_PDEATHSIG = 1


@dataclass
class PostgresServer:
    """A running server.

    Attributes:
        port: On 127.0.0.1.
        bin: The folder of its binaries.
    """

    port: int
    password: str = field(repr=False)
    bin: Path

    def url(self, database: str) -> str:
        """SQLAlchemy URL of one of its databases."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> Any:
        """A psycopg2 connection in autocommit mode."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, password=self.password, dbname=database
        )
        connection.autocommit = True
        return connection

    def create_database(self, template: str = "template0") -> str:
        """Make a database, empty or as a copy of another one that nobody uses; returns its name."""
        name = f"test_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, with whatever still is connected to it."""
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private server; skips the test where PostgreSQL is not installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server binaries (initdb, postgres) are not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="tieout-pg-"))
    try:
        with running(binaries, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a fresh, empty database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


def find_binaries() -> Path | None:
    """The folder with PostgreSQL's server binaries, the newest version of them; None if there is none."""

    def version(folder: Path) -> tuple[int, ...]:
        return tuple(int(part) for part in folder.parent.name.split(".") if part.isdigit())

    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if installed:
        return max(installed, key=version)
    return Path(os.path.realpath(on_path)).parent if on_path else None


class running:
    """A server from initdb to its stop. PostgreSQL refuses to run as root, so root hands it to another user."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = _unprivileged()
            self._as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(folder, account.pw_uid, account.pw_gid)

    def __enter__(self) -> PostgresServer:
        password = secrets.token_urlsafe(16)
        data = self._folder / "data"
        self._initdb(data, password)
        with kept_port() as port:
            server = PostgresServer(port=port, password=password, bin=self._binaries)
            self._start(server, data)
        return server

    def _start(self, server: PostgresServer, data: Path) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(server.port),
            "unix_socket_directories": str(self._folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "100",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._log = (self._folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [str(self._binaries / "postgres"), "-D", str(data), *options],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            preexec_fn=_die_with_parent(),
            **self._as_user,
        )
        self._wait_until_ready(server)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGQUIT)  # at once: its data are thrown away anyway
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _initdb(self, data: Path, password: str) -> None:
        password_file = self._folder / "password"
        password_file.write_text(password)
        if self._as_user:
            os.chown(password_file, self._as_user["user"], self._as_user["group"])
        command = [str(self._binaries / "initdb"), "-D", str(data), "-U", SUPERUSER, "--no-sync"]
        command += ["--encoding=UTF8", "--no-locale", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, **self._as_user)
        password_file.unlink()
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stdout}\n{done.stderr}")

    def _wait_until_ready(self, server: PostgresServer) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                server.connect().close()
                return
            except psycopg2.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "server.log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{log}") from error
                time.sleep(0.05)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.")


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel stops the server also when the tests are killed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "prctl"):
        return None

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    return ask_kernel
