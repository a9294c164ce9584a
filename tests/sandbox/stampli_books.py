"""Codes of a small company, for tests that need no company."""

from __future__ import annotations

from decimal import Decimal

from sandbox.stampli.books import Account, Books, Supplier, TaxCode

BOOKS = Books(
    local_currency="EUR",
    accounts=(
        Account("600000", "600000"),
        Account("610000", "_SYS00000610000"),
        Account("617000", "617000", needs_cost_centre=True),
        Account("618000", "618000", needs_project=True),
    ),
    tax_codes=(TaxCode("I1", Decimal(21), "411000"), TaxCode("I2", Decimal(6), "411200")),
    cost_centres=("CC-100", "CC-200"),
    projects=("PRJ-100",),
    suppliers=(
        Supplier("V00041", "Nordlys\tFisk", "EUR", email="old@example.test"),
        Supplier("V00042", "山田商事 日本", "##"),
        Supplier("V00043", 'The "Blue" Door, Ltd.', "USD"),
        Supplier("V00044", "Brouwerij De Molen", "EUR", tax_id="BE0123456789", city="Gent"),
    ),
)
