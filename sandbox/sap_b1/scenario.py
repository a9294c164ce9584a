"""The second day: a known handful of changes, for the demo and for rehearsals of a delta run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.sap_b1.company import Company, amount
from sandbox.sap_b1.documents import Draft, Line
from sandbox.sap_b1.money import rounded


def second_day(company: Company) -> dict[str, list[Any]]:
    """Does a day's work in the books and tells which keys it touched.

    Returns:
        What was done → keys: `customers_added`, `customers_updated`, `invoices_added`, `invoices_cancelled`,
        `mirrors_added`, `invoices_updated`, `credit_notes_added`, `payments_added`, `payments_cancelled`,
        `invoices_paid`, `invoices_reopened`.
    """
    with company.lock:
        done: dict[str, list[Any]] = {}
        customer = _new_customer(company)
        done["customers_added"] = [customer]
        done["customers_updated"] = [_rename_customer(company)]
        invoices = [_new_invoice(company, customer, number)["DocEntry"] for number in (1, 2, 3)]
        company.attach(invoices[0])
        done["invoices_added"] = invoices
        to_cancel, to_change, to_pay = _open_invoices(company, excluding=set(invoices))
        done["mirrors_added"] = [company.cancel_invoice(to_cancel)["DocEntry"]]
        done["invoices_cancelled"] = [to_cancel]
        company.update(
            "Invoices", to_change, {"Comments": "Second day: please deliver to the back entrance, thank you"}
        )
        done["invoices_updated"] = [to_change]
        done["credit_notes_added"] = [company.add_document("CreditNotes", _draft(company, customer, 9))["DocEntry"]]
        done["payments_added"] = [_pay(company, to_pay)]
        done["invoices_paid"] = [to_pay]
        done["payments_cancelled"], done["invoices_reopened"] = _cancel_a_payment(company)
        return done


def _new_customer(company: Company) -> str:
    code = f"D{len(company.tables['BusinessPartners']) + 1:05d}"
    company.insert(
        "BusinessPartners",
        {"CardCode": code, "CardName": "Deuxième Jour & Co, “Ltd”", "CardType": "cCustomer",
        "Currency": company.local_currency,
         "Valid": "tYES", "Frozen": "tNO", "EmailAddress": "day-two@example.test", "Country": "BE", "U_Segment": "New"},
    )  # fmt: skip
    return code


def _rename_customer(company: Company) -> str:
    table = company.tables["BusinessPartners"]
    code = next(
        key for key in table.keys if table.rows[key]["CardType"] == "cCustomer" and table.rows[key]["Valid"] == "tYES"
    )
    company.update("BusinessPartners", code, {"CardName": f"{table.rows[code]['CardName']} (renamed)"})
    return str(code)


def _draft(company: Company, customer: str, number: int) -> Draft:
    tax = ("O1", Decimal(21)) if company.tax_property == "VatGroup" else ("NY", Decimal("8.875"))
    lines = [
        Line(
            None, f"Consulting, day {number}", Decimal(number), Decimal("812.50"), tax[0], tax[1], account_code="705000"
        )
    ]
    return Draft(
        customer,
        "Deuxième Jour & Co, “Ltd”",
        company.local_currency,
        company.local_now().date(),
        lines,
        comments=f"Second day, {number}",
    )


def _new_invoice(company: Company, customer: str, number: int) -> dict[str, Any]:
    return company.add_document("Invoices", _draft(company, customer, number))


def _open_invoices(company: Company, excluding: set[int]) -> tuple[int, int, int]:
    """Three sound invoices that are open and unpaid, oldest first."""
    bad = {entry for entries in company.planted.values() for entry in entries}
    table = company.tables["Invoices"]
    found = [
        key
        for key in table.keys
        if key not in bad | excluding
        and table.rows[key]["CancelStatus"] == "csNo"
        and not table.rows[key]["PaidToDate"]
    ]
    if len(found) < 3:
        raise ValueError("Fewer than three invoices are open; start a sandbox with more invoices.")
    return found[0], found[1], found[2]


def _pay(company: Company, entry: int) -> int:
    invoice = company.tables["Invoices"].rows[entry]
    whole = rounded(amount(invoice["DocTotalFc"] or invoice["DocTotal"]), invoice["DocCurrency"])
    return int(company.add_payment(invoice["CardCode"], [(entry, whole)], reference="DAY-2")["DocEntry"])


def _cancel_a_payment(company: Company) -> tuple[list[int], list[int]]:
    """Cancels the oldest payment that settles invoices; none when there is none."""
    for payment in company.rows("IncomingPayments"):
        invoices = [row["DocEntry"] for row in payment["PaymentInvoices"] if row["InvoiceType"] == "it_Invoice"]
        if payment["Cancelled"] == "tNO" and payment["DocType"] == "rCustomer" and invoices:
            company.cancel_payment(payment["DocEntry"])
            return [payment["DocEntry"]], invoices
    return [], []
