"""A system's session, shared by tasks through the ledger, encrypted with Airflow's Fernet key."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tieout.errors import ConfigurationInvalid
from tieout.ledger import Ledger
from tieout.systems.common.sessions import Session

S = TypeVar("S", bound=Session)


def airflow_cipher() -> MultiFernet:
    """Airflow's own Fernet keys, newest first.

    Raises:
        ConfigurationInvalid: Airflow has none, or one that is no Fernet key.
    """
    from airflow.sdk.configuration import conf

    keys = [key.strip() for key in conf.get("core", "fernet_key", fallback="").split(",") if key.strip()]
    if not keys:
        raise ConfigurationInvalid(
            "Airflow has no Fernet key, so a session cannot be kept safely between tasks. Set "
            "AIRFLOW__CORE__FERNET_KEY to the output of: python -c "
            '"from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        )
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ConfigurationInvalid(
            "AIRFLOW__CORE__FERNET_KEY holds a value that is no Fernet key (32 bytes in URL-safe base64)."
        ) from None


class LedgerSessionStore(Generic[S]):
    """`SessionStore` of a system's client over the ledger: one login, seen by every worker.

    Args:
        ledger: Where the session is kept.
        name: The session's name; whoever uses the same one shares it.
        kind: The system's `StoredSession`.
        cipher: By default Airflow's own.

    Raises:
        ConfigurationInvalid: Airflow has no usable Fernet key.
    """

    def __init__(self, ledger: Ledger, name: str, kind: type[S], cipher: MultiFernet | None = None) -> None:
        self._ledger = ledger
        self._name = name
        self._kind = kind
        self._cipher = cipher or airflow_cipher()

    def load(self) -> S | None:
        """The session, or None when nobody has logged in, it was closed, or its key is gone."""
        return self._load()[0]

    def _load(self) -> tuple[S | None, int]:
        """The usable session, and the generation that a save must name."""
        row = self._ledger.load_session(self._name)
        if row is None:
            return None, 0
        if row.closed:
            return None, row.generation
        try:
            return self._kind.from_bytes(self._cipher.decrypt(row.secret), row.generation), row.generation
        except InvalidToken:
            return None, row.generation

    def save(self, session: S, expected_generation: int) -> int:
        """Keep a new login; the generation says which one is newest."""
        usable, generation = self._load()
        return self._ledger.save_session(
            self._name,
            self._cipher.encrypt(session.to_bytes()),
            expected_generation=generation if usable is None else expected_generation,
        )

    def close(self) -> None:
        """Forget the session."""
        self._ledger.close_session(self._name)

    def lock(self) -> AbstractContextManager[object]:
        """One login at a time, over all workers."""
        return self._ledger.lock(f"login:{self._name}", holder=f"{os.getpid()}")
