"""What payments are worth and to which invoices they go: money, so every rule has its cases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.mapping.support import applied, cells, codes, payment, run
from tieout.errors import ConfigurationInvalid

D = Decimal
NUMBERS = {"11": "1011", "12": "1012"}


def usd(**more: Any) -> dict[str, Any]:
    return payment(**{"DocCurrency": "USD", "DocRate": D("0.8"), "TransferSum": D(0), **more})


CASES = [
    pytest.param(payment(), "121.00", [("", "121.00")], id="on account"),
    pytest.param(payment(PaymentInvoices=[applied(11, "121")]), "121.00", [("1011", "121.00")], id="one invoice"),
    pytest.param(
        payment(PaymentInvoices=[applied(11, "21"), applied(12, "100")]),
        "121.00",
        [("1011", "21.00"), ("1012", "100.00")],
        id="two invoices",
    ),
    pytest.param(
        payment(PaymentInvoices=[applied(11, "20"), applied(11, "1"), applied(12, "99.5")]),
        "121.00",
        [("1011", "21.00"), ("1012", "99.50"), ("", "0.50")],
        id="instalments are one, the rest is on account",
    ),
    pytest.param(
        payment(PaymentInvoices=[applied(11, "100"), applied(5, "21", kind="it_JournalEntry")]),
        "121.00",
        [("1011", "100.00"), ("", "21.00")],
        id="journal entries count as on account",
    ),
    pytest.param(
        payment(PaymentInvoices=[applied(11, "151"), applied(5, "30", kind="it_CredItnote")]),
        "121.00",
        [("1011", "151.00"), ("", "-30.00")],
        id="credit note, positive",
    ),
    pytest.param(
        payment(PaymentInvoices=[applied(11, "151"), applied(5, "-30", kind="it_CredItnote")]),
        "121.00",
        [("1011", "151.00"), ("", "-30.00")],
        id="credit note, negative",
    ),
    pytest.param(payment(TransferSum=D(0)), "0.00", [("", "0.00")], id="nothing at all is one row"),
    pytest.param(
        payment(TransferSum=D("57663.59"), PaymentInvoices=[applied(11, "57663.59", "64070.66")]),
        "57663.59",
        [("1011", "57663.59")],
        id="local money for a foreign invoice",
    ),
    pytest.param(
        payment(
            TransferSum=D(1),
            CashSum=D(2),
            BillOfExchangeAmount=D(4),
            PaymentChecks=[{"CheckSum": D(8)}, {"CheckSum": D(16)}],
            PaymentCreditCards=[{"CreditSum": D(32)}],
        ),
        "63.00",
        [("", "63.00")],
        id="all means",
    ),
    pytest.param(
        usd(TransferSum=D(100), PaymentInvoices=[applied(11, "80", "100")]),
        "100.00",
        [("1011", "100.00")],
        id="foreign, header in its own currency",
    ),
    pytest.param(
        usd(TransferSum=D(150), PaymentInvoices=[applied(11, "80", "100")]),
        "150.00",
        [("1011", "100.00"), ("", "50.00")],
        id="foreign, rest on account",
    ),
    pytest.param(
        usd(TransferSum=D(80), PaymentInvoices=[applied(11, "80", "100")]),
        "100.00",
        [("1011", "100.00")],
        id="foreign, header is local and pays less than applied",
    ),
    pytest.param(
        usd(DocRate=D("1.25"), TransferSum=D(125), PaymentInvoices=[applied(11, "125", "100")]),
        "100.00",
        [("1011", "100.00")],
        id="foreign, header is exactly the local sum",
    ),
    pytest.param(
        usd(TransferSum=D(88), PaymentInvoices=[applied(11, "80", "100")]),
        "110.00",
        [("1011", "100.00"), ("", "10.00")],
        id="foreign, header is local and not all is applied",
    ),
    pytest.param(
        usd(CashSum=D(80), CashSumFC=D(100), PaymentInvoices=[applied(11, "80", "100")]),
        "100.00",
        [("1011", "100.00")],
        id="foreign cash",
    ),
    pytest.param(
        usd(DocRate=D("1.25"), CashSum=D(125), CashSumFC=D(100), PaymentInvoices=[applied(11, "62.5", "50")]),
        "100.00",
        [("1011", "50.00"), ("", "50.00")],
        id="foreign cash, rest on account",
    ),
    pytest.param(
        usd(CashSum=D(40), CashSumFC=D(50), TransferSum=D(50), PaymentInvoices=[applied(11, "80", "100")]),
        "100.00",
        [("1011", "100.00")],
        id="foreign cash and transfer",
    ),
    pytest.param(
        usd(
            DocRate=D("1.1"),
            CashSum=D(55),
            CashSumFC=D(50),
            TransferSum=D("60.5"),
            PaymentInvoices=[applied(11, "115.5", "105")],
        ),
        "105.00",
        [("1011", "105.00")],
        id="foreign cash and local transfer",
    ),
    pytest.param(
        usd(DocRate=D("1.25"), CashSum=D(125), CashSumFC=D(100), PaymentInvoices=[applied(11, "125", "98")]),
        "100.00",
        [("1011", "98.00"), ("", "2.00")],
        id="foreign cash is known whatever the local sums say",
    ),
    pytest.param(usd(CashSum=D(8), CashSumFC=D(10)), "10.00", [("", "10.00")], id="foreign cash on account"),
    pytest.param(usd(TransferSum=D(10)), "10.00", [("", "10.00")], id="foreign transfer on account"),
    pytest.param(
        payment(
            DocCurrency="JPY", DocRate=D("0.006"), TransferSum=D("60"), PaymentInvoices=[applied(11, "60", "10000")]
        ),
        "10000",
        [("1011", "10000")],
        id="yen, header local",
    ),
]


@pytest.mark.parametrize(("record", "amount", "rows"), CASES)
def test_amount_and_rows(record: dict[str, Any], amount: str, rows: list[tuple[str, str]]) -> None:
    compiled, mapped = run("payments", [record], lookups={"invoice_numbers": NUMBERS})
    assert mapped.held == {}
    found = cells(compiled, mapped)
    assert {row["amount"] for row in found} == {amount}
    assert [(row["invoiceNumber"], row["appliedAmount"]) for row in found] == rows
    # The rows of a payment always add up to it.
    assert sum(D(row["appliedAmount"]) for row in found) == D(amount)
    assert mapped.amount.to_pylist() == [D(amount)]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        pytest.param(payment(PaymentInvoices=[applied(11, "121.01")]), "PAYMENT_OVER_APPLIED", id="a cent too much"),
        pytest.param(
            payment(PaymentInvoices=[applied(11, "152"), applied(5, "30", kind="it_CredItnote")]),
            "PAYMENT_OVER_APPLIED",
            id="more than payment and credit note",
        ),
        pytest.param(
            usd(DocRate=D("0.8"), TransferSum=D(70), PaymentInvoices=[applied(11, "80", "100")]),
            "PAYMENT_OVER_APPLIED",
            id="foreign",
        ),
        pytest.param(
            usd(DocRate=D(0), TransferSum=D(88), PaymentInvoices=[applied(11, "80", "100")]),
            "PAYMENT_AMOUNT_UNCLEAR",
            id="no rate",
        ),
        pytest.param(payment(PaymentInvoices=[applied(99, "121")]), "MAPPING_MISSING", id="invoice never sent"),
        pytest.param(payment(DocType=None), "MISSING_VALUE", id="no type"),
        pytest.param(payment(DocCurrency=None), "MISSING_VALUE", id="no currency"),
    ],
)
def test_held(record: dict[str, Any], code: str) -> None:
    _, mapped = run("payments", [payment(5), record, payment(6)], lookups={"invoice_numbers": NUMBERS})
    assert set(mapped.held) == {1}
    assert code in codes(mapped)[1]


@pytest.mark.parametrize(
    ("means", "method"),
    [
        ({"TransferSum": D(1)}, "BANK_TRANSFER"),
        ({"CashSum": D(1)}, "CASH"),
        ({"PaymentChecks": [{"CheckSum": D(1)}]}, "CHECK"),
        ({"PaymentCreditCards": [{"CreditSum": D(1)}]}, "CREDIT_CARD"),
        ({"BillOfExchangeAmount": D(1)}, "BILL_OF_EXCHANGE"),
        ({"TransferSum": D(1), "CashSum": D(1)}, "MIXED"),
        ({}, ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_method(means: dict[str, Any], method: str) -> None:
    compiled, mapped = run("payments", [payment(**{"TransferSum": None, **means})], lookups={"invoice_numbers": {}})
    assert cells(compiled, mapped)[0]["paymentMethod"] == method


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        ({"TransferReference": "T", "CounterReference": "C"}, "reference", "T"),
        ({"TransferReference": "", "CounterReference": "C"}, "reference", "C"),
        ({"Reference1": "R"}, "reference", "R"),
        ({"Cancelled": "tYES"}, "status", "CANCELLED"),
        ({}, "status", "ACTIVE"),
    ],
    ids=["transfer", "counter", "reference", "cancelled", "active"],
)
def test_columns(change: dict[str, Any], column: str, value: str) -> None:
    compiled, mapped = run("payments", [payment(**change)], lookups={"invoice_numbers": {}})
    assert cells(compiled, mapped)[0][column] == value


@pytest.mark.parametrize("kind", ["rSupplier", "rAccount"])
def test_payments_of_others_are_excluded(kind: str) -> None:
    _, mapped = run("payments", [payment(DocType=kind), payment(2)], lookups={"invoice_numbers": {}})
    assert mapped.excluded == {0: "not a customer's payment"}


def test_lookup_may_be_asked_for_the_batch_only() -> None:
    asked: list[list[str]] = []

    def numbers(keys: list[str]) -> dict[str, str]:
        asked.append(list(keys))
        return NUMBERS

    run(
        "payments",
        [payment(PaymentInvoices=[applied(12, "100"), applied(11, "1")])],
        lookups={"invoice_numbers": numbers},
    )
    assert asked == [["12", "11"]]


def test_missing_run_time_lookup_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationInvalid, match="invoice_numbers"):
        run("payments", [payment(PaymentInvoices=[applied(12, "100")])])
