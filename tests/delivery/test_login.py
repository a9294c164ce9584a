from __future__ import annotations

import dataclasses
import logging
import socket
from pathlib import Path

import asyncssh
import pytest

from tests.delivery.helpers import PARTNER, PASSWORD
from tests.support.asyncssh_server import Account, AsyncSshServer
from tests.support.sshd import SshServer
from tieout.delivery import SftpSession, SftpTarget
from tieout.errors import (
    ConfigurationInvalid,
    CredentialsRejected,
    HostKeyMismatch,
    ReceiverUnavailable,
    TieoutError,
)

OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_PUBLIC = " ".join(OTHER_KEY.export_public_key().decode().split()[:2])


def log_in(target: SftpTarget, **fields: object) -> None:
    with SftpSession(dataclasses.replace(target, **fields)) as session:  # type: ignore[arg-type]
        session.probe()


def refused(error: type[TieoutError], target: SftpTarget, **fields: object) -> str:
    with pytest.raises(error) as caught:
        log_in(target, **fields)
    return str(caught.value)


# Host keys


@pytest.mark.parametrize("form", ["{kind} {blob}", "{blob}", "{kind} {blob} sftp@partner", "host {kind} {blob}"])
def test_forms_of_a_pinned_key(sshd: SshServer, target: SftpTarget, form: str) -> None:
    kind, blob = sshd.host_key.split()
    log_in(target, host_keys=(form.format(kind=kind, blob=blob),))


def test_a_pinned_rsa_key_is_negotiated(sshd: SshServer, target: SftpTarget) -> None:
    log_in(target, host_keys=(sshd.rsa_host_key,))


def test_any_of_several_pinned_keys_will_do(sshd: SshServer, target: SftpTarget) -> None:
    log_in(target, host_keys=(OTHER_PUBLIC, sshd.host_key))


def test_another_host_key_is_refused_before_any_credential(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    text = refused(HostKeyMismatch, partner_target, host_keys=(OTHER_PUBLIC,))
    offered = asyncssh.import_public_key(partner.host_key).get_fingerprint()
    assert offered in text
    assert OTHER_KEY.get_fingerprint() in text
    assert "host_key" in text
    assert partner.account.password_attempts == 0


def test_another_type_of_key_than_the_pinned_one_shows_what_is_offered(
    partner: AsyncSshServer, partner_target: SftpTarget
) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_public_key().decode()
    text = refused(HostKeyMismatch, partner_target, host_keys=(rsa,))
    assert asyncssh.import_public_key(partner.host_key).get_fingerprint() in text


def test_no_pinned_key_in_production(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    text = refused(HostKeyMismatch, partner_target, host_keys=())
    assert partner.host_key in text
    assert partner.account.password_attempts == 0


@pytest.mark.parametrize("fields", [{"production": False}, {"no_host_key_check": True}])
def test_accepted_without_a_pinned_key_but_with_a_warning(
    partner_target: SftpTarget, fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        log_in(partner_target, host_keys=(), **fields)
    assert "No host key is pinned" in caplog.text


def test_a_pinned_key_is_enforced_whatever_no_host_key_check_says(partner_target: SftpTarget) -> None:
    refused(HostKeyMismatch, partner_target, host_keys=(OTHER_PUBLIC,), no_host_key_check=True, production=False)


@pytest.mark.parametrize("text", ["ssh-ed25519", "AAAA", "nonsense", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"])
def test_an_unreadable_pinned_key(partner_target: SftpTarget, text: str) -> None:
    assert "cannot be read" in refused(ConfigurationInvalid, partner_target, host_keys=(text,))


# Credentials


def test_a_wrong_password_is_tried_once(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    text = refused(CredentialsRejected, partner_target, password="wrong-XX")
    assert partner.account.password_attempts == 1
    assert partner.account.interactive_attempts == 0
    assert "XX" not in text


def test_a_wrong_password_is_not_repeated_as_an_interactive_answer(
    partner: AsyncSshServer, partner_target: SftpTarget
) -> None:
    partner.account.prompts = [("Password: ", PASSWORD)]
    refused(CredentialsRejected, partner_target, password="wrong")
    assert partner.account.password_attempts + partner.account.interactive_attempts == 1


def test_a_password_answers_a_single_prompt(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    partner.account.password = None
    partner.account.prompts = [("Enter your secret: ", PASSWORD)]
    log_in(partner_target)
    assert partner.account.interactive_attempts == 1


@pytest.mark.parametrize("one_by_one", [False, True])
def test_several_prompts_are_answered_in_order(
    partner: AsyncSshServer, partner_target: SftpTarget, one_by_one: bool
) -> None:
    partner.account.prompts = [("Password: ", PASSWORD), ("Code: ", "123456")]
    partner.account.one_by_one = one_by_one
    log_in(partner_target, keyboard_interactive=(PASSWORD, "123456"))
    assert partner.account.password_attempts == 0


def test_wrong_answers_are_given_once(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    partner.account.prompts = [("Password: ", PASSWORD), ("Code: ", "123456")]
    text = refused(CredentialsRejected, partner_target, keyboard_interactive=(PASSWORD, "000000"))
    assert partner.account.interactive_attempts == 1
    assert partner.account.password_attempts == 0
    assert "000000" not in text


def test_a_prompt_without_an_answer_is_named(partner: AsyncSshServer, partner_target: SftpTarget) -> None:
    partner.account.prompts = [("Password: ", PASSWORD), ("Code: ", "123456")]
    partner.account.password = None
    text = refused(CredentialsRejected, partner_target, keyboard_interactive=(PASSWORD,))
    assert "'Code:'" in text


def test_a_foreign_private_key(target: SftpTarget) -> None:
    key = OTHER_KEY.export_private_key().decode()
    assert "the private key" in refused(CredentialsRejected, target, private_key=key)


def test_key_file(sshd: SshServer, target: SftpTarget, tmp_path: Path) -> None:
    log_in(target, private_key=None, key_file=str(sshd.client_key_file))
    text = refused(ConfigurationInvalid, target, private_key=None, key_file=str(tmp_path / "nope"))
    assert "nope" in text


@pytest.mark.parametrize("passphrase", [None, "wrong"])
def test_passphrase(sshd: SshServer, target: SftpTarget, passphrase: str | None) -> None:
    encrypted = (
        asyncssh.import_private_key(sshd.client_key_pem).export_private_key("pkcs8-pem", passphrase="right").decode()
    )
    log_in(target, private_key=encrypted, passphrase="right")
    assert "passphrase" in refused(CredentialsRejected, target, private_key=encrypted, passphrase=passphrase)


def test_no_credential_at_all(target: SftpTarget) -> None:
    assert "none of the ways" in refused(CredentialsRejected, target, private_key=None)


def test_the_users_own_ssh_files_and_agent_are_not_consulted(
    sshd: SshServer, target: SftpTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text(sshd.client_key_pem, encoding="ascii")
    (home / ".ssh" / "known_hosts").write_text(f"[{sshd.host}]:{sshd.port} {sshd.host_key}\n", encoding="ascii")
    (home / ".ssh" / "config").write_text("Host *\n  ProxyCommand false\n", encoding="ascii")
    monkeypatch.setenv("HOME", str(home))
    log_in(target)
    refused(CredentialsRejected, target, private_key=None)
    refused(HostKeyMismatch, target, host_keys=())


# Reaching the server


def test_nobody_listens(target: SftpTarget) -> None:
    assert "refuses connections" in refused(ReceiverUnavailable, target, port=1)


def test_unknown_name(target: SftpTarget) -> None:
    assert "host name" in refused(ReceiverUnavailable, target, host="sftp.invalid")


def test_a_server_that_says_nothing(target: SftpTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = refused(ReceiverUnavailable, target, port=silent.getsockname()[1], connect_timeout=0.3)
    assert "0.3 seconds" in text


def test_a_key_only_account(tmp_path: Path) -> None:
    key = " ".join(OTHER_KEY.export_public_key().decode().split()[:2])
    with AsyncSshServer(tmp_path, Account(PARTNER, authorized_key=key)) as server:
        target = SftpTarget(
            host=server.host,
            port=server.port,
            username=PARTNER,
            private_key=OTHER_KEY.export_private_key().decode(),
            host_keys=(server.host_key,),
        )
        log_in(target)
        assert server.account.password_attempts == 0
