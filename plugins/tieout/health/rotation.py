"""How old a connection's secrets are: password, private key and passphrase, each on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tieout.health.model import AGES, KEY_AGE, PASSPHRASE_AGE, PASSWORD_AGE, SECRET, Check, Status
from tieout.health.policy import Rotation

ROTATED_ON = "rotated_on"
ROTATE_AFTER_DAYS = "rotate_after_days"
NOTES = (ROTATED_ON, ROTATE_AFTER_DAYS, "password_rotated_on", "key_rotated_on", "passphrase_rotated_on")
"""The extras that only say when something was changed: to edit one is not to change the connection."""

SPOKEN = {PASSWORD_AGE: "password", KEY_AGE: "private key", PASSPHRASE_AGE: "passphrase"}
_NOTED_AS = {PASSWORD_AGE: "password_rotated_on", KEY_AGE: "key_rotated_on", PASSPHRASE_AGE: "passphrase_rotated_on"}
_PASSWORDS = ("keyboard_interactive", "company_password", "basic_password")
_KEYS = ("private_key", "key_file")
_WORST_FIRST = (Status.FAILED, Status.WARNING, Status.UNKNOWN, Status.OK, Status.NOT_APPLICABLE)


@dataclass(frozen=True)
class Held:
    """Which secrets a connection holds. Never the secrets."""

    password: bool = False
    key: bool = False
    passphrase: bool = False

    @classmethod
    def by(cls, password: str | None, extra: Mapping[str, Any]) -> Held:
        """By an Airflow connection's password and extras."""
        return cls(
            password=bool(password) or any(extra.get(name) for name in _PASSWORDS),
            key=any(extra.get(name) for name in _KEYS),
            passphrase=bool(extra.get("private_key_passphrase")),
        )


def check_ages(held: Held, extra: Mapping[str, Any], rules: Rotation, today: date) -> list[Check]:
    """Judge the age of each secret, where the connection says when it was last changed, and the worst of them.

    Args:
        held: Which secrets there are.
        extra: The connection's extras: `password_rotated_on`, `key_rotated_on` and `passphrase_rotated_on` (ISO dates),
            `rotated_on` for those without a date of their own, and `rotate_after_days` instead of the rules' days.
        rules: What holds for the connection.
        today: The day to judge by.
    """
    there = {PASSWORD_AGE: held.password, KEY_AGE: held.key, PASSPHRASE_AGE: held.passphrase}
    days = {
        PASSWORD_AGE: rules.password_days, KEY_AGE: rules.key_days, PASSPHRASE_AGE: rules.passphrase_days,
    }  # fmt: skip
    ages = [
        _age(name, extra, days[name], rules, today) if there[name] else Check(name, Status.NOT_APPLICABLE)
        for name in AGES
    ]
    worst = min((check.status for check in ages), key=_WORST_FIRST.index)
    return [Check(SECRET, worst), *ages]


def _age(name: str, extra: Mapping[str, Any], days: int | None, rules: Rotation, today: date) -> Check:
    secret, key = SPOKEN[name], _NOTED_AS[name]
    noted = extra.get(key) or extra.get(ROTATED_ON)
    if not noted:
        sentence = f"Nobody noted when the {secret} was last changed; write {key} (YYYY-MM-DD) into the extra."
        return Check(name, Status.UNKNOWN, sentence)
    try:
        rotated = date.fromisoformat(str(noted))
        allowed = int(extra[ROTATE_AFTER_DAYS]) if extra.get(ROTATE_AFTER_DAYS) else days
        due = None if allowed is None else rotated + timedelta(days=allowed)
    except (ValueError, TypeError, OverflowError):
        wrong = f"The extras {key} (or {ROTATED_ON}) and {ROTATE_AFTER_DAYS} must be an ISO date and a number of days."
        return Check(name, Status.FAILED, wrong)
    age = f"The {secret} is {(today - rotated).days} days old"
    if due is None:
        return Check(name, Status.OK, f"{age}; by the rules it need not be changed.")
    duty = f" Whose duty: {rules.duty}." if rules.duty else ""
    if today >= due:
        return Check(name, Status.FAILED, f"{age}; its rotation was due on {due}.{duty}", due=due)
    if today >= due - timedelta(days=rules.notice_days):
        return Check(name, Status.WARNING, f"{age}; its rotation is due on {due}.{duty}", due=due)
    return Check(name, Status.OK, f"{age}; its rotation is due on {due}.", due=due)
