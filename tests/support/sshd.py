"""A real OpenSSH server, private to one test: own configuration, own host keys, a free loopback port.

It runs as root or as an ordinary user. PAM is off, so log-in is by key only; servers that ask for passwords,
and servers with faults, are in `tests.support.asyncssh_server`.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


@dataclass(frozen=True)
class SshServer:
    """A running sshd.

    Attributes:
        host: Loopback address.
        port: TCP port.
        host_key: The ed25519 host key as one `known_hosts` style text, `ssh-ed25519 AAAA…`.
        rsa_host_key: The RSA host key likewise.
        user: The user to log in as.
        root: A folder made for this server; remote paths are absolute, so `str(root / "inbound")` is one.
        client_key_pem: The private key (OpenSSH text) that the server accepts.
        client_key_file: The same key as a file with mode 600.
        pid: Process id of the listening daemon.
        log: The daemon's log file.
    """

    host: str
    port: int
    host_key: str
    rsa_host_key: str
    user: str
    root: Path
    client_key_pem: str = field(repr=False)
    client_key_file: Path
    pid: int
    log: Path

    def log_text(self) -> str:
        """What the server has logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def ssh_server(
    directory: Path, *, sftp_options: str = "", sftp_only: bool = False, extra_config: str = ""
) -> Iterator[SshServer]:
    """Start sshd in `directory` (a tmp_path) and stop it at the end.

    Args:
        directory: Keys, configuration, log and the root folder go here.
        sftp_options: Options of `internal-sftp`, for instance `-R` (read-only) or `-u 0077`.
        sftp_only: Refuse commands, as hardened receivers do (`ForceCommand internal-sftp`).
        extra_config: Further lines of sshd_config.
    """
    if SSHD is None:
        raise RuntimeError("sshd is not installed; install the package openssh-server")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    directory.mkdir(parents=True, exist_ok=True)
    root = directory / "root"
    root.mkdir(exist_ok=True)
    for name, kind in (("host_ed25519", "ed25519"), ("host_rsa", "rsa"), ("client", "ed25519")):
        _keygen(directory / name, kind)
    shutil.copy(directory / "client.pub", directory / "authorized_keys")
    log = directory / "sshd.log"
    process, port = _start(directory, log, sftp_options, sftp_only, extra_config)
    try:
        yield SshServer(
            host="127.0.0.1",
            port=port,
            host_key=_public(directory / "host_ed25519.pub"),
            rsa_host_key=_public(directory / "host_rsa.pub"),
            user=getpass.getuser(),
            root=root,
            client_key_pem=(directory / "client").read_text(encoding="ascii"),
            client_key_file=directory / "client",
            pid=process.pid,
            log=log,
        )
    finally:
        _stop(process)


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _keygen(path: Path, kind: str) -> None:
    if path.exists():
        return
    bits = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-C", "test", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _public(path: Path) -> str:
    kind, blob, *_ = path.read_text(encoding="ascii").split()
    return f"{kind} {blob}"


def _start(
    directory: Path, log: Path, sftp_options: str, sftp_only: bool, extra_config: str
) -> tuple[subprocess.Popen[bytes], int]:
    """Another process may take the free port between probe and bind, hence the few attempts."""
    for _ in range(5):
        port = free_port()
        config = directory / "sshd_config"
        config.write_text(_config(directory, port, sftp_options, sftp_only, extra_config), encoding="utf-8")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(SSHD), "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if _listening(process, port):
            return process, port
        _stop(process)
    raise RuntimeError(f"sshd did not start: {log.read_text(encoding='utf-8', errors='replace')}")


def _config(directory: Path, port: int, sftp_options: str, sftp_only: bool, extra_config: str) -> str:
    force = f"ForceCommand internal-sftp {sftp_options}\n" if sftp_only else ""
    return (
        f"Port {port}\nListenAddress 127.0.0.1\n"
        f"HostKey {directory}/host_ed25519\nHostKey {directory}/host_rsa\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nPidFile none\n"
        "StrictModes no\nPermitRootLogin yes\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPubkeyAuthentication yes\nUseDNS no\nPrintMotd no\n"
        "MaxStartups 100:30:200\nLogLevel VERBOSE\nMaxAuthTries 20\n"
        f"Subsystem sftp internal-sftp {sftp_options}\n{force}{extra_config}\n"
    )


def _listening(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as peer:
            return peer.recv(4) == b"SSH-"
        time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The daemon first, then whatever sessions are left in its process group."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
