"""Logging in: one connection, one attempt per credential, no server trusted that was not pinned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacketLogger

from tieout.delivery.failures import describe, unreachable
from tieout.delivery.host_keys import PinnedHostKeys
from tieout.delivery.target import SftpTarget
from tieout.errors import ConfigurationInvalid, CredentialsRejected, ReceiverRefused, ReceiverUnavailable, TieoutError

# asyncssh tells every step of every connection at INFO, which would drown a task's log.
if logging.getLogger("asyncssh").level == logging.NOTSET:
    logging.getLogger("asyncssh").setLevel(logging.WARNING)

_KEEPALIVE_SECONDS = 15
_KEEPALIVES_MISSED = 4


async def connect(target: SftpTarget) -> asyncssh.SSHClientConnection:
    """Open an authenticated connection.

    Raises:
        CredentialsRejected: Password, key, passphrase or answers were refused; each was tried once.
        HostKeyMismatch: The server's host key is not pinned; no credential was sent.
        ReceiverUnavailable: The server could not be reached.
        ReceiverRefused: The server speaks no common algorithm.
        ConfigurationInvalid: A pinned key or the key file cannot be read.
    """
    pinned = PinnedHostKeys(target)
    # Opening an encrypted key takes a good part of a second by design; other connections share this event loop.
    client = _Client(target, pinned, await asyncio.to_thread(_private_key, target))
    try:
        async with asyncio.timeout(target.connect_timeout):
            connection, _ = await asyncssh.create_connection(
                lambda: client, target.host, target.port, config=None, options=_options(target, pinned)
            )
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _refused(target, pinned, client, error) from error
    _drop_ignore_packets(connection)
    return connection


def _drop_ignore_packets(connection: asyncssh.SSHClientConnection) -> None:
    """Send no SSH_MSG_IGNORE before each packet, which doubles the packets and system calls of an upload.

    They guard CBC ciphers against guessed initialisation vectors (RFC 4251, section 9.3.1); the other modes do not
    need them, and OpenSSH sends none either.
    """
    if "cbc" in str(connection.get_extra_info("send_cipher", "cbc")):
        return
    send = connection.send_packet

    def send_packet(pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        if pkttype != MSG_IGNORE:
            send(pkttype, *args, handler=handler)

    connection.send_packet = send_packet  # type: ignore[method-assign]


class _Client(asyncssh.SSHClient):
    """Answers the server's questions during log-in, each credential once."""

    def __init__(self, target: SftpTarget, pinned: PinnedHostKeys, key: asyncssh.SSHKey | None) -> None:
        self._target, self._pinned, self._key = target, pinned, key
        self._password = target.password
        self._answers = list(target.keyboard_interactive or ([target.password] if target.password else []))
        self._interactive_begun = False
        self.offered: asyncssh.SSHKey | None = None
        self.tried: list[str] = []
        self.unanswered: str = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = key
        return self._pinned.accepts(key)

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        key, self._key = self._key, None
        if key is not None:
            self.tried.append("key")
        return key

    def password_auth_requested(self) -> str | None:
        password, self._password = self._password, None
        if password is not None:
            self.tried.append("password")
            if not self._target.keyboard_interactive:
                self._answers = []
        return password

    def kbdint_auth_requested(self) -> str | None:
        if self._interactive_begun or not self._answers:
            return None
        self._interactive_begun = True
        return ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        if not prompts:
            return []
        if len(prompts) > len(self._answers):
            self.unanswered = prompts[len(self._answers)][0].strip()
            return None
        if "answers" not in self.tried:
            self.tried.append("answers")
        given, self._answers = self._answers[: len(prompts)], self._answers[len(prompts) :]
        if self._password in given:
            self._password = None
        return given


def _options(target: SftpTarget, pinned: PinnedHostKeys) -> asyncssh.SSHClientConnectionOptions:
    """Nothing of the machine's own SSH set-up; the fastest common cipher first."""
    order = ["publickey", "keyboard-interactive", "password"]
    if not target.keyboard_interactive:
        order = ["publickey", "password", "keyboard-interactive"]
    settings: dict[str, Any] = {
        "config": None,
        "known_hosts": ([], [], []),
        "server_host_key_algs": pinned.algorithms(),
        "username": target.username,
        "client_keys": None,
        "agent_path": None,
        "gss_host": None,
        "host_based_auth": False,
        "preferred_auth": order,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "encryption_algs": "^aes128-gcm@openssh.com",
        "compression_algs": ["none"],
        "connect_timeout": target.connect_timeout,
        "login_timeout": target.connect_timeout,
        "keepalive_interval": _KEEPALIVE_SECONDS,
        "keepalive_count_max": _KEEPALIVES_MISSED,
    }
    return asyncssh.SSHClientConnectionOptions(**settings)


def _private_key(target: SftpTarget) -> asyncssh.SSHKey | None:
    text = target.private_key
    if text is None and target.key_file is not None:
        try:
            text = Path(target.key_file).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationInvalid(
                f"The key file {target.key_file} for {target.label} cannot be read ({type(error).__name__})."
            ) from error
    if text is None:
        return None
    try:
        return asyncssh.import_private_key(text, target.passphrase)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise CredentialsRejected(
            f"The private key for {target.label} cannot be used ({error}): check the key and the extra"
            " 'private_key_passphrase' of the connection."
        ) from None


def _refused(target: SftpTarget, pinned: PinnedHostKeys, client: _Client, error: Exception) -> TieoutError:
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return pinned.mismatch(client.offered)
    if isinstance(error, asyncssh.PermissionDenied) or _too_many_failures(error):
        return _credentials(target, client)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        if "host key" in str(error):
            return pinned.mismatch(None)
        return ReceiverRefused(
            f"{target.host}:{target.port} and we have no algorithm in common ({describe(error)}): the server needs an"
            " update, or its allowed algorithms need one of today's."
        )
    if isinstance(error, (ConnectionResetError, asyncssh.ConnectionLost)):
        return ReceiverUnavailable(
            f"{target.host}:{target.port} closed the connection during log-in ({describe(error)}): the server is"
            " overloaded, restarting, or does not accept our address. It is tried again later."
        )
    return unreachable(target, error)


def _too_many_failures(error: Exception) -> bool:
    return isinstance(error, asyncssh.DisconnectError) and "authentication" in str(error.reason).lower()


def _credentials(target: SftpTarget, client: _Client) -> CredentialsRejected:
    names = {"key": "the private key", "password": "the password", "answers": "the keyboard-interactive answers"}
    tried = " and ".join(names[method] for method in client.tried)
    if client.unanswered:
        return CredentialsRejected(
            f"{target.label} asks {client.unanswered!r} and the connection has no answer for it: put one answer per"
            " prompt, in order, into the extra 'keyboard_interactive'."
        )
    if not tried:
        return CredentialsRejected(
            f"{target.label} accepts none of the ways to log in that the connection offers: give a password, a"
            " private key or keyboard-interactive answers, as the receiver asks."
        )
    return CredentialsRejected(
        f"{target.label} refused {tried}. It was tried once and is not tried again, so that the account is not locked:"
        " correct the connection, or ask the receiver about the account."
    )
