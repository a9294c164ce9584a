"""Whether a private key is strong enough, and closed by a passphrase where it has to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tieout.health.model import KEY_STRENGTH, Check, Status

if TYPE_CHECKING:
    from tieout.delivery import SftpTarget

# NIST SP 800-57 part 1, table 2: 2048 bits are 112 bits of security, which end with 2030; 3072 are 128.
LEAST_RSA_BITS = 3072
BROKEN_RSA_BITS = 2048


def check_key(target: SftpTarget, *, passphrase_required: bool) -> Check:
    """Judge the private key of an SFTP account; one that cannot be opened fails at the log-in.

    Args:
        target: The account.
        passphrase_required: A key that is not encrypted is worth a warning.
    """
    import asyncssh

    text = _text(target)
    if text is None:
        return Check(KEY_STRENGTH, Status.NOT_APPLICABLE if target.key_file is None else Status.UNKNOWN)
    try:
        key = asyncssh.import_private_key(text, target.passphrase)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return Check(KEY_STRENGTH, Status.UNKNOWN)
    weak = _weakness(key)
    if weak is not None:
        return weak
    if passphrase_required and not _encrypted(text):
        return Check(
            KEY_STRENGTH,
            Status.WARNING,
            "The private key has no passphrase, which the rules ask for: encrypt it (ssh-keygen -p) and put the "
            "passphrase into private_key_passphrase of the extra.",
        )
    return Check(KEY_STRENGTH, Status.OK)


def _text(target: SftpTarget) -> str | None:
    if target.private_key is not None or target.key_file is None:
        return target.private_key
    try:
        return Path(target.key_file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _weakness(key: Any) -> Check | None:
    kind = key.get_algorithm()
    if kind == "ssh-dss":
        return Check(KEY_STRENGTH, Status.FAILED, "The private key is a DSA key, which servers of today refuse: " + _DO)
    if kind != "ssh-rsa":
        return None
    bits = int(key.pyca_key.key_size)
    if bits >= LEAST_RSA_BITS:
        return None
    status = Status.FAILED if bits < BROKEN_RSA_BITS else Status.WARNING
    sentence = f"The private key is an RSA key of {bits} bits, fewer than {LEAST_RSA_BITS}: {_DO}"
    return Check(KEY_STRENGTH, status, sentence)


_DO = "make an ed25519 key and have the receiver add it; see docs/health.md."


def _encrypted(text: str) -> bool:
    """Whether the key cannot be opened without a passphrase."""
    import asyncssh

    try:
        asyncssh.import_private_key(text)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return True
    return False
