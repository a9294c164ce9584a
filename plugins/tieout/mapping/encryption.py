"""Encrypted mapping files: `<name>.yaml.enc`, a Fernet token of the YAML text.

The keys come from `TIEOUT_MAPPING_KEY`, comma-separated, newest first: the first one encrypts, all decrypt. To rotate,
put a new key in front, run `rotate` over the files, then drop the old key. Keys and contents never appear in messages.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tieout.errors import ConfigurationInvalid
from tieout.yaml_file import display_name

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY_VARIABLE = "TIEOUT_MAPPING_KEY"
SUFFIX = ".enc"
_MAKE_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


def encrypt_file(path: Path | str, *, keys: str | None = None) -> Path:
    """Writes `<path>.enc` next to a plain file; the plain one stays, remove it when the new one is checked.

    Args:
        path: A plain file.
        keys: Comma-separated keys, newest first; by default those of the environment.

    Returns:
        The encrypted file.

    Raises:
        ConfigurationInvalid: There is no key or a malformed one, or the file cannot be read.
    """
    path = Path(path)
    if path.suffix == SUFFIX:
        raise ConfigurationInvalid(
            f"{display_name(path)} is encrypted already; use rotate to encrypt it with a new key."
        )
    target = path.with_name(path.name + SUFFIX)
    _replace(target, _cipher(keys, path).encrypt(_read(path)))
    return target


def decrypt_file(path: Path | str, *, keys: str | None = None) -> bytes:
    """The plain content of an encrypted file; nothing is written.

    Raises:
        ConfigurationInvalid: No key fits, or the file is damaged or cannot be read.
    """
    from cryptography.fernet import InvalidToken

    path = Path(path)
    try:
        return _cipher(keys, path).decrypt(_read(path))
    except InvalidToken:
        raise ConfigurationInvalid(_no_key_fits(path)) from None


def rotate(path: Path | str, *, keys: str | None = None) -> None:
    """Encrypts an encrypted file anew with the newest key.

    Raises:
        ConfigurationInvalid: No key fits, or the file is damaged or cannot be read.
    """
    from cryptography.fernet import InvalidToken

    path = Path(path)
    try:
        _replace(path, _cipher(keys, path).rotate(_read(path)))
    except InvalidToken:
        raise ConfigurationInvalid(_no_key_fits(path)) from None


def _cipher(keys: str | None, path: Path) -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet

    text = os.environ.get(KEY_VARIABLE, "") if keys is None else keys
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigurationInvalid(
            f"{display_name(path)}: {KEY_VARIABLE} is not set, so the file can be neither encrypted nor decrypted. "
            f"Set it to the key (make a new one with: {_MAKE_KEY})."
        )
    ciphers = []
    for position, part in enumerate(parts, 1):
        try:
            ciphers.append(Fernet(part))
        except ValueError:
            raise ConfigurationInvalid(
                f"{KEY_VARIABLE}: key {position} of {len(parts)} is not a Fernet key (32 bytes in URL-safe base64, "
                f"44 characters; it has {len(part)}). Make one with: {_MAKE_KEY}."
            ) from None
    return MultiFernet(ciphers)


def _no_key_fits(path: Path) -> str:
    return (
        f"{display_name(path)}: none of the keys in {KEY_VARIABLE} decrypts this file, or the file is damaged. "
        f"Add the key it was encrypted with behind the newest one (comma-separated), or restore the file."
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationInvalid(f"{display_name(path)}: the file cannot be read ({error.strerror}).") from None


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all: an interrupted rotation must not cost the mapping."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
