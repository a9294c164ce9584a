"""A server on which our account is nobody special, so that permissions count also where the tests run as root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.sshd import ssh_server
from tieout.delivery import SftpTarget

NOBODY = "nobody"


@dataclass(frozen=True)
class Outsider:
    """An account without rights of its own, and a folder that it may use."""

    target: SftpTarget
    folder: Path

    def owns(self, path: Path) -> Path:
        """Give a file or folder to the account."""
        if os.geteuid() == 0:
            shutil.chown(path, NOBODY)
        return path


@contextmanager
def outsider_server() -> Iterator[Outsider]:
    """Its files are not under pytest's folder, which nobody else may enter."""
    with tempfile.TemporaryDirectory(prefix="tieout-sshd-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with ssh_server(directory) as server:
            user = NOBODY if os.geteuid() == 0 else server.user
            for path in (directory / "root", directory / "authorized_keys"):
                path.chmod(0o755)
            target = SftpTarget(
                host=server.host,
                port=server.port,
                username=user,
                private_key=server.client_key_pem,
                host_keys=(server.host_key,),
            )
            folder = server.root / "outbound"
            folder.mkdir()
            yield Outsider(target, Outsider(target, folder).owns(folder))
            for path in [folder, *folder.rglob("*")]:
                path.chmod(0o700)
