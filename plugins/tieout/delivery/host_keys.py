"""Pinned host keys: reading them, comparing them, and showing their fingerprints."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging

import asyncssh

from tieout.delivery.target import SftpTarget
from tieout.errors import ConfigurationInvalid, HostKeyMismatch

log = logging.getLogger(__name__)


def fingerprint(blob: bytes) -> str:
    """`SHA256:…` as OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


class PinnedHostKeys:
    """The host keys that a target accepts.

    Raises:
        ConfigurationInvalid: A pinned key is no public key.
    """

    def __init__(self, target: SftpTarget) -> None:
        self._target = target
        self._blobs = [_blob(text, target) for text in target.host_keys]

    def algorithms(self) -> list[str]:
        """Host key algorithms to offer: those of the pinned keys first, then the usual ones.

        The others stay on offer so that a server that has changed to another type of key shows it, and the
        message can say which; the key itself is accepted only if it is pinned.
        """
        usual = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
        usual += ["rsa-sha2-512", "rsa-sha2-256"]
        pinned: list[str] = []
        for blob in self._blobs:
            kind = _key_type(blob)
            pinned += ["rsa-sha2-512", "rsa-sha2-256"] if kind == "ssh-rsa" else [kind]
        return list(dict.fromkeys(pinned + usual))

    def accepts(self, offered: asyncssh.SSHKey) -> bool:
        """Whether to go on with the server that offered this key."""
        if self._blobs:
            return offered.public_data in self._blobs
        if self._target.no_host_key_check or not self._target.production:
            log.warning(
                "No host key is pinned for %s: whoever answers there is trusted. It offered %s; pin it in the"
                " connection's extra 'host_key'.",
                self._target.label,
                fingerprint(offered.public_data),
            )
            return True
        return False

    def not_used(self, offered: asyncssh.SSHKey) -> tuple[str, ...]:
        """Fingerprints of the pinned keys that the server did not offer: announced ones, or those of the past."""
        return tuple(fingerprint(blob) for blob in self._blobs if blob != offered.public_data)

    def mismatch(self, offered: asyncssh.SSHKey | None) -> HostKeyMismatch:
        """The error that says which key was offered, which are pinned, and how to pin."""
        shown = fingerprint(offered.public_data) if offered else "a key of a type that is not supported"
        pin = f' "{_public_text(offered)}"' if offered else ""
        if not self._blobs:
            return HostKeyMismatch(
                f"No host key is pinned for {self._target.label}, so nothing was sent. The server offers {shown}:"
                f" compare it with the receiver's published fingerprint, then put{pin} into the connection's extra"
                " 'host_key'."
            )
        pinned = ", ".join(fingerprint(blob) for blob in self._blobs)
        return HostKeyMismatch(
            f"The host key of {self._target.label} is not the pinned one, so nothing was sent: the server offers"
            f" {shown}, pinned is {pinned}. Ask the receiver whether the key has changed; only if so, put{pin} into"
            " the connection's extra 'host_key' (several keys with commas during a rotation)."
        )


def _blob(text: str, target: SftpTarget) -> bytes:
    """The key's bytes out of `ssh-ed25519 AAAA… comment`, a known_hosts line, or the bare base64."""
    for word in text.split():
        if word.startswith("AAAA"):
            try:
                blob = base64.b64decode(word, validate=True)
                _key_type(blob)
            except (binascii.Error, ValueError):
                continue
            return blob
    raise ConfigurationInvalid(
        f"A pinned host key of {target.label} cannot be read: {text[:40]!r}. Write it as 'ssh-ed25519 AAAA…', the way"
        " ssh-keyscan prints it."
    )


def _key_type(blob: bytes) -> str:
    length = int.from_bytes(blob[:4], "big")
    name = blob[4 : 4 + length].decode("ascii")
    if not 0 < length <= 64 or len(name) != length or len(blob) <= 4 + length:
        raise ValueError("not a public key")
    asyncssh.import_public_key(f"{name} {base64.b64encode(blob).decode('ascii')}")
    return name


def _public_text(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key("openssh").decode("ascii").split()[:2])
