"""Journal entries for invoices and payments.

An invoice debits the coded accounts and the tax accounts and credits the vendor (`ShortName`, from which SAP derives
the control account). A credit is the same entry the other way round. A payment debits the vendor and credits the
clearing account of its method. Source: the project's contract, and the reference's notes on journal entries
(`AutoVAT` off, local and foreign amounts on every line of an entry in foreign currency, no system-currency amounts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tieout.integrations.stampli_to_sap_b1.checks import Findings, InvoiceAmounts, Money, text
from tieout.integrations.stampli_to_sap_b1.coding import Coder, Coding
from tieout.integrations.stampli_to_sap_b1.legs import ZERO, Leg, Unbalanced, lines, mirrored, shares
from tieout.integrations.stampli_to_sap_b1.references import References
from tieout.integrations.stampli_to_sap_b1.rules import InvoiceRules, PaymentRules, filled
from tieout.mapping.cross_reference import Match
from tieout.systems.stampli.records import SourceRecord

EXCHANGE_RATE_MISSING = "EXCHANGE_RATE_MISSING"
TAX_ACCOUNT_UNKNOWN = "TAX_ACCOUNT_UNKNOWN"
TAX_CODE_MISSING = "TAX_CODE_MISSING"
UNBALANCED = "UNBALANCED"

MEMO_LENGTH = 50
"""Most characters (as UTF-16 code units, which is how the databases count) of `Memo` and `LineMemo`."""


def cut(value: str, longest: int = MEMO_LENGTH) -> str:
    """A text's beginning that fits, never half a character.

    >>> cut("x" * 60) == "x" * 50
    True
    """
    units = value.encode("utf-16-le")[: 2 * longest]
    return units.decode("utf-16-le", "ignore").rstrip()


@dataclass(frozen=True)
class Head:
    """What an entry says in its head and on every line.

    Attributes:
        day: Posting date, `YYYY-MM-DD`.
        due: Due date.
        document_day: The document's own date.
        memo: Text.
        reference: `Reference`, and `Reference1` of the lines.
        reference2: `Reference2`.
    """

    day: str
    due: str
    document_day: str
    memo: str
    reference: str
    reference2: str

    def entry(self, entry_lines: list[dict[str, Any]]) -> dict[str, Any]:
        """The JournalEntry, all but `Reference3`."""
        return {
            "ReferenceDate": self.day,
            "DueDate": self.due,
            "TaxDate": self.document_day,
            "Memo": self.memo,
            "Reference": self.reference,
            "Reference2": self.reference2,
            "AutoVAT": "tNO",
            "JournalEntryLines": entry_lines,
        }

    def line(self, identity: Mapping[str, Any], memo: str = "") -> dict[str, Any]:
        """Properties of a line: who or what it is for, its text, the references."""
        return {
            **identity,
            "LineMemo": cut(memo) or self.memo,
            "Reference1": self.reference,
            "Reference2": self.reference2,
        }


@dataclass(frozen=True)
class EntryMaker:
    """Makes the entry of one record.

    Attributes:
        coder: Translates its codes.
        money: Its currency and total.
        partner: The vendor's `CardCode`.
        head: What the entry says.
        found: Takes the problems.
    """

    coder: Coder
    money: Money
    partner: str
    head: Head
    found: Findings

    @property
    def references(self) -> References:
        """What SAP has."""
        return self.coder.references

    def invoice(
        self,
        record: SourceRecord,
        codings: Sequence[Coding | None],
        amounts: InvoiceAmounts,
        rules: InvoiceRules,
        *,
        credit: bool,
    ) -> dict[str, Any] | None:
        """The entry of an invoice or credit, or None when something is not as it must be.

        Amounts of a credit may be positive or negative in the file: a credit always debits the vendor.
        """
        sign = -1 if credit and self.money.total < 0 else 1
        rounding = self._rounding_legs(rules, sign * amounts.rounding)
        self._check_rate()
        coded = [coding for coding in codings if coding is not None]
        # Without the lines' tax codes nobody can say what is wrong with the tax.
        if len(coded) != len(codings) or rounding is None:
            return None
        tax = self._tax_legs(coded, amounts, sign)
        if self.found:
            return None
        legs = [
            Leg(sign * amount, "Debit", self._line_properties(coding, self._line_memo(record, line, rules)))
            for line, amount, coding in zip(record.lines, amounts.lines, coded, strict=True)
        ]
        if not rounding and amounts.rounding:
            legs = _onto_the_greatest(legs, sign * amounts.rounding)
        partner = Leg(
            -sign * self.money.total,
            "Credit",
            {**self.head.line({"ShortName": self.partner}), "DueDate": self.head.due},
            is_partner=True,
        )
        legs = [*legs, *tax, *rounding, partner]
        return self._balanced(mirrored(legs) if credit else legs)

    def payment(self, record: SourceRecord, method: Match, rules: PaymentRules) -> dict[str, Any] | None:
        """The entry of a payment, or None when something is not as it must be."""
        account = self.coder.account("method", method)
        self._check_rate()
        if account is None or self.found:
            return None
        memo = filled(rules.line_memo, payment_values(record))
        total = self.money.total
        vendor = Leg(total, "Debit", self.head.line({"ShortName": self.partner}, memo), is_partner=True)
        clearing = Leg(-total, "Credit", self.head.line({"AccountCode": account}, memo))
        return self._balanced([vendor, clearing])

    def _balanced(self, legs: Sequence[Leg]) -> dict[str, Any] | None:
        currency, local = self.money.currency, self.references.local_currency
        rate = self.references.rate(currency, self.head.day)
        try:
            return self.head.entry(lines(legs, currency, local, rate))
        except Unbalanced as error:
            self.found.add(
                UNBALANCED,
                f"no balanced journal entry can be made of it: {error}.",
                "This is a fault in Tieout; report it with the original record (`bin/tieout held show`).",
                owner="data engineer",
            )
            return None

    def _check_rate(self) -> None:
        if self.references.rate_is_missing(self.money.currency, self.head.day):
            self.found.add(
                EXCHANGE_RATE_MISSING,
                f"SAP Business One has no exchange rate for {self.money.currency} on {self.head.day}.",
                "In SAP Business One, Administration > Exchange Rates and Indexes, enter the rate; the record is tried "
                "again by itself.",
            )

    # -- lines ------------------------------------------------------------------------------------------------------

    def _line_properties(self, coding: Coding, memo: str) -> dict[str, Any]:
        properties = {**self.head.line({"AccountCode": coding.account}, memo), **coding.properties}
        if coding.tax is not None:
            properties[self.references.tax_property] = coding.tax.code
        return properties

    def _line_memo(self, record: SourceRecord, line: Mapping[str, Any], rules: InvoiceRules) -> str:
        return filled(rules.line_memo, {**record.header, **line})

    def _rounding_legs(self, rules: InvoiceRules, rounding: Decimal) -> list[Leg] | None:
        """The leg for a small difference, none where there is none or the greatest line takes it, None on a problem."""
        if not rounding or rules.rounding.to == "largest_line":
            return []
        code = rules.rounding.account or ""
        account = self.coder.account("rounding.account", Match(code, code))
        return None if account is None else [Leg(rounding, "Debit", self.head.line({"AccountCode": account}))]

    # -- tax --------------------------------------------------------------------------------------------------------

    def _tax_legs(self, codings: Sequence[Coding], amounts: InvoiceAmounts, sign: int) -> list[Leg]:
        """One leg per tax code with its share of the invoice's tax; none when the invoice has no tax."""
        if not amounts.tax:
            return []
        bases: dict[str, Decimal] = {}
        codes: dict[str, Match] = {}
        for coding, amount in zip(codings, amounts.lines, strict=True):
            if coding.tax is not None and coding.tax.code:
                codes.setdefault(coding.tax.code, coding.tax)
                bases[coding.tax.code] = bases.get(coding.tax.code, ZERO) + sign * amount
        if not bases:
            self.found.add(
                TAX_CODE_MISSING,
                f"it has {amounts.tax:f} {self.money.currency} of tax, but no line has a tax code.",
                "In Stampli, give the taxed lines their tax code and export the invoice again; or set `when_empty` in "
                "tax_codes.yaml.",
            )
            return []
        tax = sign * amounts.tax
        parts = shares(tax, self._tax_weights(bases, tax), self.money.currency)
        legs = [self._tax_leg(codes[code], part, bases[code]) for code, part in zip(bases, parts, strict=True) if part]
        return [leg for leg in legs if leg is not None]

    def _tax_weights(self, bases: Mapping[str, Decimal], tax: Decimal) -> list[Decimal]:
        """The tax of each code by its rate; where no rate says anything, by what it is reckoned on."""
        weights = []
        for code, base in bases.items():
            known = self.coder.known_tax(code)
            rate = known.rate_on(self.head.document_day) if known is not None else None
            weights.append(base * (rate or ZERO) / 100)
        if any(weights):
            return weights
        whole = sum(bases.values(), ZERO)
        return [tax * base / whole if whole else ZERO for base in bases.values()]

    def _tax_leg(self, tax: Match, part: Decimal, base: Decimal) -> Leg | None:
        code = tax.code or ""
        known = self.coder.known_tax(code)
        if tax.account:
            account = Match(f"of tax code {tax.value}", tax.account, hidden=tax.hidden)
        elif known is not None and known.account:
            account = Match(known.account, known.account)
        else:
            self.found.add(
                TAX_ACCOUNT_UNKNOWN,
                f"nobody has said to which account the tax of tax code {tax.shown()} is posted.",
                "In tax_codes.yaml, write the entry as `code` and `account`; or give the tax code its tax account in "
                "SAP Business One, Administration > Setup > Financials > Tax.",
                owner="data engineer",
            )
            return None
        internal = self.coder.account("tax account", account)
        if internal is None:
            return None
        properties = {
            **self.head.line({"AccountCode": internal}),
            self.references.tax_property: code,
            "VatLine": "tYES",
        }
        return Leg(part, "Debit", properties, base=base)


def _onto_the_greatest(legs: Sequence[Leg], difference: Decimal) -> list[Leg]:
    greatest = max(range(len(legs)), key=lambda position: abs(legs[position].amount))
    return [
        replace(leg, amount=leg.amount + difference) if position == greatest else leg
        for position, leg in enumerate(legs)
    ]


def payment_values(record: SourceRecord) -> dict[str, Any]:
    """What a payment's templates may name."""
    numbers = [text(line, "invoice_number") or text(line, "stampli_invoice_id") for line in record.lines]
    reference = text(record.header, "reference") or text(record.header, "payment_id")
    return {**record.header, "reference": reference, "invoices": ", ".join(filter(None, numbers))}
