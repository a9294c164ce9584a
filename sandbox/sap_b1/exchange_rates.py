"""Exchange rates of the simulated company, direct quotation: units of local currency per foreign unit."""

from __future__ import annotations

from decimal import Decimal

from sandbox.sap_b1.errors import rate_missing
from sandbox.sap_b1.money import EUR_PER_UNIT, exchange_rate


class ExchangeRates:
    """Rates by currency and day. Until told otherwise every day has the rate that the generated documents use."""

    def __init__(self, local_currency: str) -> None:
        self.local_currency = local_currency
        self._rates: dict[tuple[str, str], Decimal | None] = {}
        self._without: set[str] = set()

    def set(self, currency: str, day: str, rate: Decimal | float | str | None) -> None:
        """Enters the rate of one day, `YYYY-MM-DD`; None takes it away.

        Raises:
            ValueError: The rate is not above zero.
        """
        exact = None if rate is None else Decimal(str(rate))
        if exact is not None and exact <= 0:
            raise ValueError(f"The rate of {currency} on {day} is {exact}; it must be above zero.")
        self._rates[currency, day] = exact

    def forget(self, currency: str) -> None:
        """Takes all rates of a currency away, as where nobody enters them; `set` still enters single days."""
        self._without.add(currency)
        self._rates = {key: rate for key, rate in self._rates.items() if key[0] != currency}

    def get(self, currency: str, day: str) -> Decimal | None:
        """The rate of a day; None where nobody entered one."""
        if currency == self.local_currency:
            return Decimal(1)
        if (currency, day) in self._rates:
            return self._rates[currency, day]
        if currency in self._without or currency not in EUR_PER_UNIT:
            return None
        return exchange_rate(currency, self.local_currency)

    def needed(self, currency: str, day: str) -> Decimal:
        """As `get`. Raises ServiceLayerError (400/-4006) where there is none."""
        rate = self.get(currency, day)
        if rate is None:
            raise rate_missing(currency)
        return rate
