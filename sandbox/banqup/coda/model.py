"""What an account statement says, and the account whose statements follow on one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from sandbox.banqup.belgian import ogm_digits

GLOBAL_TYPES = "0123"
"""Transaction types whose amounts move the balance; 5 to 9 are details of such an amount."""


@dataclass(frozen=True)
class Movement:
    """A movement; `amount` is positive when money comes in.

    Attributes:
        code: Transaction code: type, family (2), operation (2), category (3).
        ogm: Body of a structured communication, which takes the place of `communication`.
        value_date: None when the bank does not know it yet.
        details: What a globalised amount is made of; they add up to it.
        information: Lines of information records after the movement.
    """

    amount: Decimal
    code: str = "00150000"
    communication: str = ""
    ogm: int | None = None
    value_date: date | None = None
    counterparty: str = ""
    counterparty_name: str = ""
    counterparty_bic: str = ""
    customer_reference: str = ""
    bank_reference: str = ""
    details: tuple[Movement, ...] = ()
    information: tuple[str, ...] = ()

    @property
    def structured(self) -> str:
        """Type 101 with its twelve digits; empty for a free communication."""
        return "" if self.ogm is None else f"101{ogm_digits(self.ogm)}"


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        number: Its number within the account and year, which is also the paper one's.
        with_new_balance: Whether record 8 is written; banks may leave it out when nothing moved.
        free_messages: Texts of records 4.
    """

    account: str
    currency: str
    number: int
    day: date
    old_balance: Decimal
    old_day: date
    movements: tuple[Movement, ...] = ()
    holder: str = "Klant BV"
    enterprise_number: str = ""
    bic: str = "KREDBEBB"
    bank: int = 734
    duplicate: bool = False
    with_new_balance: bool = True
    free_messages: tuple[str, ...] = ()

    @property
    def debit(self) -> Decimal:
        """What went out, without a sign."""
        return -sum((entry.amount for entry in self.movements if entry.amount < 0), Decimal(0))

    @property
    def credit(self) -> Decimal:
        """What came in."""
        return sum((entry.amount for entry in self.movements if entry.amount > 0), Decimal(0))

    @property
    def new_balance(self) -> Decimal:
        """The balance after the movements."""
        return self.old_balance + self.credit - self.debit


@dataclass
class Account:
    """An account whose statements are made in sequence: numbers start again each year, balances go on."""

    iban: str
    currency: str = "EUR"
    holder: str = "Klant BV"
    enterprise_number: str = ""
    bic: str = "KREDBEBB"
    bank: int = 734
    balance: Decimal = Decimal("1000.00")
    last_day: date = date(2025, 12, 31)
    number: int = 0
    statements: list[Statement] = field(default_factory=list)

    def statement(self, day: date, movements: tuple[Movement, ...] = (), **options: object) -> Statement:
        """The next statement. Raises ValueError for a day before the last one."""
        if day < self.last_day:
            raise ValueError(f"The account's last statement is of {self.last_day}; {day} is before that.")
        self.number = 1 if day.year != self.last_day.year else self.number + 1
        statement = Statement(
            self.iban, self.currency, self.number, day, self.balance, self.last_day, movements, self.holder,
            self.enterprise_number, self.bic, self.bank, **options,  # type: ignore[arg-type]
        )  # fmt: skip
        self.balance, self.last_day = statement.new_balance, day
        self.statements.append(statement)
        return statement

    def quiet_days(self, count: int) -> list[Statement]:
        """So many statements of days on which nothing moved."""
        return [self.statement(self.last_day + timedelta(days=1)) for _ in range(count)]
