"""Column types that keep the ledger's values exact: UTC timestamps, money, plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeDecorator, TypeEngine

from tieout.ledger.tally import decimal_text, totals_text

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
Identity64 = BigInteger().with_variant(Integer, "sqlite")


class Unstorable(DontWrapMixin, ValueError):
    """A value that would be stored as a guess; raised as it is, not as a database's error."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite has no such type: there it is sortable ISO text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the database's own type."""
        return dialect.type_descriptor(String(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Turn into UTC; refuse a datetime without a time zone, which would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise Unstorable(f"{value.isoformat()} has no time zone; the ledger keeps aware datetimes only.")
        utc = value.astimezone(UTC)
        return iso_microseconds(utc) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give back an aware datetime in UTC."""
        if value is None:
            return None
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
        return parsed.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """One exact amount, kept as decimal text: SQLite would make a float of a NUMERIC."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Write plain digits."""
        if value is not None and not isinstance(value, Decimal):
            raise Unstorable(f"Money must be a Decimal, not {type(value).__name__}: {value!r}.")
        return None if value is None else decimal_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Read plain digits."""
        return None if value is None else Decimal(value)


class TotalsColumn(TypeDecorator[Mapping[str, Decimal]]):
    """Money per currency, as a JSON object of decimal strings."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Decimal] | None, dialect: Dialect) -> dict[str, str]:
        """Write decimal strings; a float in the totals is refused."""
        totals = value or {}
        for currency, amount in totals.items():
            if not isinstance(amount, Decimal):
                raise Unstorable(f"Money must be a Decimal, not {type(amount).__name__}: {currency} {amount!r}.")
        return totals_text(totals)

    def process_result_value(self, value: dict[str, str] | None, dialect: Dialect) -> dict[str, Decimal]:
        """Read decimal strings."""
        return {currency: Decimal(text) for currency, text in (value or {}).items()}


class Words(TypeDecorator[str]):
    """Text for people, which may quote a broken source: what a database cannot store becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace NUL (PostgreSQL cannot store it) and lone surrogates (UTF-8 cannot)."""
        if value is None:
            return None
        return value.replace("\x00", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def iso_microseconds(value: datetime) -> str:
    """Write an aware datetime in UTC with six decimals, so that text order is time order."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def iso_z(value: datetime | None) -> str | None:
    """Write an aware datetime as ISO 8601 in UTC with `Z`, as the contract's JSON rows have it."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain_json(value: Any, *, floats: bool = True) -> Any:
    """Turn a value into what JSON can carry: `Decimal` to text, datetimes to ISO text, tuples to lists.

    Args:
        value: Any nesting of mappings, sequences and scalars.
        floats: Whether floats may pass; False where the values are money.

    Raises:
        TypeError: The value holds something JSON has no place for, or a float that may not pass.
    """
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return iso_z(value)
    if isinstance(value, Mapping):
        return {str(key): plain_json(item, floats=floats) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain_json(item, floats=floats) for item in items]
    if value is None or isinstance(value, str | int) or (floats and isinstance(value, float)):
        return value
    raise TypeError(f"The ledger cannot keep a {type(value).__name__} as JSON: {value!r}.")
