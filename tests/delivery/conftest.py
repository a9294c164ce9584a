from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.helpers import PARTNER, PASSWORD
from tests.support.asyncssh_server import Account, AsyncSshServer
from tests.support.sshd import SshServer, ssh_server
from tieout.delivery import SftpTarget


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def target(sshd: SshServer) -> SftpTarget:
    return SftpTarget(
        host=sshd.host,
        port=sshd.port,
        username=sshd.user,
        private_key=sshd.client_key_pem,
        host_keys=(sshd.host_key,),
    )


@pytest.fixture
def inbox(sshd: SshServer, tmp_path: Path) -> Path:
    """A folder of this test's own on the OpenSSH server; its path is the remote path."""
    folder = sshd.root / tmp_path.parent.name / tmp_path.name
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[AsyncSshServer]:
    """A server with a password and faults; remote `/` is its `root`."""
    root = tmp_path / "partner"
    (root / "in").mkdir(parents=True)
    with AsyncSshServer(root, Account(PARTNER, password=PASSWORD)) as server:
        yield server


@pytest.fixture
def partner_target(partner: AsyncSshServer) -> SftpTarget:
    return SftpTarget(
        host=partner.host, port=partner.port, username=PARTNER, password=PASSWORD, host_keys=(partner.host_key,)
    )


@pytest.fixture
def changed(target: SftpTarget) -> object:
    """`changed(port=1)`: the target with other fields."""
    return lambda **fields: dataclasses.replace(target, **fields)
