"""Accounts with statements in sequence, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from sandbox.banqup.belgian import iban
from sandbox.banqup.coda.model import Account, Movement, Statement

_TEXTS = ("Factuur 2026/0113", "Loon januari", "Huur Kerkstraat 1, 9000 Gent", "Café € 12,50 « merci »", "")
_NAMES = ("Bakkerij De Smet NV", "Garage Peeters BV", "Électricité Dubois SA", "Telecom NV")


def account(seed: object, **options: object) -> Account:
    """A Belgian account with a balance; `options` are fields of `Account`."""
    rng = random.Random(f"account {seed}")
    bank = rng.choice((734, 1, 363, 293))
    return Account(
        iban(bank, rng.randrange(10**7)), bank=bank, balance=_money(rng, 5_000_000) - 10_000, **options,  # type: ignore[arg-type]
    )  # fmt: skip


def movements(seed: object, day: date, count: int) -> tuple[Movement, ...]:
    """So many movements of all kinds: plain and structured ones, collected ones with details, costs taken off."""
    rng = random.Random(f"movements {seed}")
    return tuple(rng.choice(KINDS)(rng, day) for _ in range(count))


def statement(seed: object, of: Account, day: date) -> Statement:
    """The account's next statement with some movements; one in six has none, and half of those no record 8."""
    rng = random.Random(f"statement {seed}")
    if rng.random() < 1 / 6:
        return of.statement(day, with_new_balance=rng.random() < 0.5)
    messages = ("Uw bankier wenst u een goed jaar.", "Vanaf 1 maart gelden nieuwe tarieven.")
    return of.statement(
        day, movements(seed, day, rng.randrange(1, 7)), free_messages=messages[: rng.choice((0, 0, 1, 2))]
    )


def _money(rng: random.Random, most: int) -> Decimal:
    """Some cents, as an amount with two decimals."""
    return Decimal(rng.randrange(1, most)) / 100


def _plain(rng: random.Random, day: date) -> Movement:
    sign = rng.choice((1, -1))
    return Movement(
        sign * _money(rng, 500_000), code="00150000" if sign > 0 else "00101000", communication=rng.choice(_TEXTS),
        value_date=rng.choice((day, day, None)), counterparty=iban(1, rng.randrange(10**7)),
        counterparty_name=rng.choice(_NAMES), counterparty_bic="GEBABEBB",
        customer_reference=f"REF{rng.randrange(999)}",
    )  # fmt: skip


def _structured(rng: random.Random, day: date) -> Movement:
    return Movement(
        _money(rng, 900_000), ogm=rng.randrange(10**10), value_date=day, counterparty=iban(363, rng.randrange(10**7)),
        counterparty_name=rng.choice(_NAMES), information=(rng.choice(_NAMES), "Korte Nieuwstraat 3, 2000 Antwerpen"),
    )  # fmt: skip


def _collected(rng: random.Random, day: date) -> Movement:
    """A sum that the client had collected (type 1), with its parts (type 5)."""
    parts = tuple(
        Movement(
            -_money(rng, 300_000), code="50101000", communication=rng.choice(_TEXTS), value_date=day,
            counterparty=iban(734, rng.randrange(10**7)), counterparty_name=rng.choice(_NAMES),
            information=(rng.choice(_NAMES),) * rng.choice((0, 1)),
        )
        for _ in range(rng.randrange(2, 5))
    )  # fmt: skip
    total = sum((part.amount for part in parts), Decimal(0))
    return Movement(total, code="10101000", value_date=day, details=parts)


def _with_costs(rng: random.Random, day: date) -> Movement:
    """A payment from which costs were taken off (type 3), with the sum and the costs (type 8)."""
    gross, costs = _money(rng, 400_000) + 50, _money(rng, 2_000)
    parts = (
        Movement(gross, code="84150100", value_date=day),
        Movement(-costs, code="84137006", communication="Kosten", value_date=day),
    )
    return Movement(gross - costs, code="34150000", communication="/INV/2061260", value_date=day, details=parts)


def _costs(rng: random.Random, day: date) -> Movement:
    text = "Beheerskosten, betalingen en kaarten: afrekening van het voorbije kwartaal volgens de geldende tarieven"
    return Movement(-_money(rng, 5_000), code="03537000", communication=text + " van de bank", value_date=day)


KINDS: tuple[Callable[[random.Random, date], Movement], ...] = (
    _plain,
    _plain,
    _structured,
    _collected,
    _with_costs,
    _costs,
)
"""Ways to make a movement."""
