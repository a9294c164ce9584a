"""Facts are read in whatever form a document has; two independent readers see the same money."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.ubl.invoices import BILLING, Document, Line, build, changed
from tieout.formats.ubl import Party, UblUnreadable, money_of, read_facts


def prefixed(data: bytes, root: str = "inv", aggregate: str = "x1", basic: str = "_b") -> bytes:
    """The same document with a prefix for everything, none of them usual."""
    text = data.decode()
    text = re.sub(r"xmlns=", f"xmlns:{root}=", text)
    text = text.replace("xmlns:cac=", f"xmlns:{aggregate}=").replace("xmlns:cbc=", f"xmlns:{basic}=")
    text = text.replace("cac:", f"{aggregate}:").replace("cbc:", f"{basic}:")
    return re.sub(r"(</?)(Invoice|CreditNote)\b", rf"\1{root}:\2", text).encode()


def swapped(data: bytes) -> bytes:
    """The same document with each usual prefix bound to the other namespace."""
    return (
        prefixed(data, aggregate="cbc_", basic="cac_")
        .replace(b"cbc_:", b"cbc:")
        .replace(b"cac_:", b"cac:")
        .replace(b"xmlns:cbc_=", b"xmlns:cbc=")
        .replace(b"xmlns:cac_=", b"xmlns:cac=")
    )


def encoded(data: bytes, declared: str, codec: str) -> bytes:
    return data.decode().replace('encoding="UTF-8"', f'encoding="{declared}"').encode(codec)


INVOICE = build(Document(allowance=Decimal("10.00"), charge=Decimal("2.50"), attachment="QUJD", notes=("é",)))
FORMS = {
    "default namespace": INVOICE,
    "prefixes of its own": prefixed(INVOICE),
    "prefixes swapped": swapped(INVOICE),
    "byte order mark": b"\xef\xbb\xbf" + INVOICE,
    "UTF-16": encoded(INVOICE, "UTF-16", "utf-16"),
    "ISO-8859-1": encoded(INVOICE, "ISO-8859-1", "latin-1"),
    "windows-1252": encoded(INVOICE, "windows-1252", "cp1252"),
    "no declaration": INVOICE.split(b"\n", 1)[1],
}


def test_all_facts_of_an_invoice() -> None:
    facts = read_facts(INVOICE)
    assert facts.kind == "invoice"
    assert facts.customization == BILLING
    assert facts.profile == "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
    assert (facts.number, facts.type_code, facts.currency) == ("2026-0001", "380", "EUR")
    assert (facts.issue_date, facts.due_date) == ("2026-01-15", "2026-02-14")
    assert str(facts.tax_exclusive) == "242.50"
    assert str(facts.tax_amount) == "43.43"
    assert str(facts.tax_inclusive) == str(facts.payable_amount) == "285.93"
    assert facts.seller == Party("Leverancier NV", "0208", "0479899778", "0479899778", "BE0479899778")
    assert facts.buyer == Party("Klant BV", "0208", "0739484052", "0739484052", "BE0739484052")
    assert facts.payment_reference == "+++010/8068/17183+++"
    assert (facts.lines, facts.attachments, facts.invoice_references) == (2, 1, ())


def test_a_credit_note_has_its_due_date_among_the_means_of_payment_and_its_invoices() -> None:
    data = changed(
        build(Document("CreditNote")),
        "</cbc:PaymentMeansCode>",
        "</cbc:PaymentMeansCode><cbc:PaymentDueDate>2026-03-01</cbc:PaymentDueDate>",
    )
    facts = read_facts(data)
    assert (facts.kind, facts.type_code, facts.due_date) == ("credit_note", "381", "2026-03-01")
    assert facts.invoice_references == ("2025-0099",)
    assert facts.lines == 2
    assert money_of(data) == ("EUR", Decimal("295.00"))


@pytest.mark.parametrize("form", FORMS)
def test_the_form_makes_no_difference(form: str) -> None:
    assert read_facts(FORMS[form]) == read_facts(INVOICE)
    assert money_of(FORMS[form]) == ("EUR", Decimal("285.93"))


def test_missing_things_are_none() -> None:
    empty = b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>'
    facts = read_facts(empty)
    assert [facts.number, facts.currency, facts.payable_amount, facts.tax_amount, facts.due_date] == [None] * 5
    assert facts.seller == Party()
    assert (facts.lines, facts.attachments) == (0, 0)
    assert money_of(empty) is None


def test_vat_is_the_amount_in_the_documents_own_currency() -> None:
    accounting = '<cac:TaxTotal><cbc:TaxAmount currencyID="SEK">999.00</cbc:TaxAmount></cac:TaxTotal><cac:TaxTotal>'
    assert read_facts(changed(INVOICE, "<cac:TaxTotal>", accounting)).tax_amount == Decimal("43.43")


@pytest.mark.parametrize("text", ["1e3", "1,00", "NaN", "Infinity", "", "٣", "1 000"])
def test_what_is_no_decimal_number_is_no_money(text: str) -> None:
    data = changed(INVOICE, ">285.93</cbc:TaxInclusiveAmount>", f">{text}</cbc:TaxInclusiveAmount>")
    assert read_facts(data).tax_inclusive is None
    assert money_of(data) is None


def test_two_totals_are_no_total() -> None:
    twice = '<cbc:TaxInclusiveAmount currencyID="EUR">1</cbc:TaxInclusiveAmount><cbc:TaxInclusiveAmount'
    assert money_of(changed(INVOICE, "<cbc:TaxInclusiveAmount", twice)) is None


def test_only_the_documents_own_total_counts() -> None:
    """The same elements in an extension, or on another level, are somebody else's."""
    extension = (
        '<ext:UBLExtensions xmlns:ext="urn:oasis:names:specification:ubl:schema:xsd:CommonExtensionComponents-2">'
        "<ext:UBLExtension><ext:ExtensionContent><cac:LegalMonetaryTotal>"
        '<cbc:TaxInclusiveAmount currencyID="USD">1.00</cbc:TaxInclusiveAmount></cac:LegalMonetaryTotal>'
        "</ext:ExtensionContent></ext:UBLExtension></ext:UBLExtensions><cbc:CustomizationID>"
    )
    data = changed(INVOICE, "<cbc:CustomizationID>", extension)
    assert money_of(data) == ("EUR", Decimal("285.93"))
    assert read_facts(data).tax_inclusive == Decimal("285.93")


def test_the_amount_of_another_kind_of_document_is_not_an_invoices() -> None:
    order = re.sub(rb"\bInvoice(-2)?(?=[ >\"])", rb"Order\1", INVOICE)
    assert b"<Order " in order and b"</Order>" in order
    assert money_of(order) is None


def test_comments_within_a_value_do_not_cut_it() -> None:
    data = changed(INVOICE, ">285.93</cbc:TaxInclusiveAmount>", "> 28<!-- -->5.93 </cbc:TaxInclusiveAmount>")
    assert read_facts(data).tax_inclusive == Decimal("285.93")
    assert money_of(data) == ("EUR", Decimal("285.93"))


@pytest.mark.parametrize(
    ("data", "rule", "words"),
    [
        (b"", "XML", "is empty"),
        (b" \n", "XML", "is empty"),
        (b"%PDF-1.7\n", "XML", "not well-formed"),
        (INVOICE[:-12], "XML", "not well-formed"),
        (INVOICE.replace(b"UTF-8", b"x-martian"), "XML", "encoding"),
        (b"<Order xmlns='urn:oasis:names:specification:ubl:schema:xsd:Order-2'/>", "XSD", "Order-2}Order"),
        (b"<Invoice/>", "XSD", "neither a UBL 2.1 Invoice nor a CreditNote"),
    ],
    ids=["empty", "blanks", "PDF", "cut off", "unknown encoding", "order", "no namespace"],
)
def test_what_is_no_ubl_document_is_said_so(data: bytes, rule: str, words: str) -> None:
    with pytest.raises(UblUnreadable, match=re.escape(words)) as caught:
        read_facts(data)
    assert caught.value.rule == rule
    assert money_of(data) is None


def test_the_line_of_an_error_is_told() -> None:
    with pytest.raises(UblUnreadable) as caught:
        read_facts(changed(INVOICE, "</cac:TaxTotal>", "</cac:Wrong>"))
    assert caught.value.line == INVOICE[: INVOICE.index(b"</cac:TaxTotal>")].count(b"\n") + 1


amounts = st.decimals("-99999", "99999", places=2)


@given(
    st.lists(st.tuples(amounts, st.sampled_from(["6", "12", "21"])), min_size=1, max_size=5),
    st.sampled_from(["Invoice", "CreditNote"]),
)
def test_both_readers_see_the_same_money(lines: list[tuple[Decimal, str]], kind: str) -> None:
    document = Document(kind, tuple(Line(Decimal(1), price, ("S", rate)) for price, rate in lines))  # type: ignore[arg-type]
    data = prefixed(build(document))
    assert money_of(data) == ("EUR", document.with_tax) == (read_facts(data).currency, read_facts(data).tax_inclusive)
