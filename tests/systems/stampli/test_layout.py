"""Layout files: what is right, and that everything wrong is named with file, line and key."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.systems.stampli.support import FOLDER, INVOICE, INVOICES, LAYOUTS, layout_file, one, table
from tieout.errors import ConfigurationInvalid
from tieout.mapping.encryption import encrypt_file
from tieout.systems.stampli import Layouts, load_layout, load_layouts
from tieout.systems.stampli.columns import RECORD_KINDS, Kind


@pytest.mark.parametrize("entity", RECORD_KINDS)
def test_the_projects_layouts_name_every_column_and_change_no_default(entity: str) -> None:
    layout = LAYOUTS.for_entity(entity)
    kind = RECORD_KINDS[entity]
    assert list(layout.settings.columns) == list(kind.columns)
    assert layout.key == kind.key
    assert layout.required == frozenset(kind.required)
    assert {c for c, k in kind.columns.items() if k is Kind.TIMESTAMP} == set(layout.settings.timestamps)


def test_files_find_their_layout() -> None:
    names = {
        "invoices_C1_20261121T080000Z.csv": "invoices",
        "INVOICES_C1.XML": "invoices",
        "vendors_.csv": "vendors",
        "payments_1.xml": "payments",
        "invoices.csv": None,
        "old_invoices_1.csv": None,
        "invoices_1.csv.done": None,
    }
    found = {name: layout.entity if (layout := LAYOUTS.for_file(name)) else None for name in names}
    assert found == names


def test_two_layouts_that_claim_a_name(tmp_path: Path) -> None:
    layouts = Layouts(
        {
            "invoices": layout_file(tmp_path, "layout: invoices\nfiles: ['export_*']"),
            "vendors": layout_file(tmp_path, "layout: vendors\nfiles: ['*_v.csv']", "vendors"),
        }
    )
    with pytest.raises(ConfigurationInvalid, match=r"'export_v\.csv' fits .* invoices\.yaml and vendors\.yaml"):
        layouts.for_file("export_v.csv")


def test_a_layout_of_a_customer(tmp_path: Path) -> None:
    layout = layout_file(
        tmp_path,
        """
layout: invoices
files: ["AP export*"]
key: [vendor_id, invoice_number]
required: [invoice_date, total_amount, currency]
columns:
  stampli_invoice_id: null
  invoice_number: [Invoice No, Invoice Number]
  vendor_id: Supplier
  invoice_date: Date
  due_date: Fällig
  approved_at: null
  total_amount: Total
  line_amount: Net
  invoice_type: Type
defaults: {currency: EUR, status: APPROVED, tax_amount: "0,00"}
values: {invoice_type: {Bill: INVOICE}}
dates: ["%d.%m.%Y"]
timestamps: [due_date]
amounts: {decimal_mark: ",", thousands_separator: "."}
encoding: windows-1252
csv: {delimiter: semicolon}
""",
    )
    data = " INVOICE NUMBER ;Supplier;date;Fällig;Total;Net;Type;Else\r\nN;1;V 1;2.1.2026;2026-02-03T04:05;1.234,50;"
    data = data.replace("N;1", '"N;1"') + "-1,5;Bill;é\r\n"
    record = one(data.encode("cp1252"), "AP export 7.txt", layout)
    assert record.problem is None
    assert record.source_key == "V 1|N;1"
    header = {name: value for name, value in record.header.items() if value is not None}
    assert header == {
        "invoice_number": "N;1",
        "vendor_id": "V 1",
        "invoice_date": "2026-01-02",
        "due_date": "2026-02-03",
        "total_amount": Decimal("1234.50"),
        "tax_amount": Decimal("0.00"),
        "currency": "EUR",
        "status": "APPROVED",
        "invoice_type": "INVOICE",
    }
    assert record.lines[0]["line_amount"] == Decimal("-1.5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layout: vendors", r"invoices\.yaml, line 1, layout: the file's name says 'invoices'"),
        ("layout: bills", r"line 1, layout: .*'invoices'"),
        ("layout: invoices\ncolums: {}", r"line 2, colums: this key is not known here\. Did you mean `columns`"),
        ("layout: invoices\ncolumns:\n  vendor: x", r"line 3, columns\.vendor: 'vendor' is no column of invoices"),
        ("layout: invoices\ncolumns:\n  terms: []", r"line 3, columns\.terms: this list is empty"),
        ("layout: invoices\nrequired: [total_amount, totl]", r"line 2, required\[1\]: 'totl' is no column"),
        ("layout: invoices\ndefaults: {x: y}", r"line 2, defaults\.x: 'x' is no column"),
        ("layout: invoices\nvalues: {x: {y: z}}", r"line 2, values\.x: 'x' is no column"),
        ("layout: invoices\ncolumns: {terms: Status}", r"columns\.terms: status and terms have the same name"),
        (
            "layout: invoices\ncolumns: {stampli_invoice_id: null}",
            r"columns\.stampli_invoice_id: .* the files must have it",
        ),
        ("layout: invoices\nkey: []", r"line 2, key: this list is empty"),
        ("layout: invoices\nkey: [line_number]", r"line 2, key\[0\]: this column differs from line to line"),
        (
            "layout: invoices\ndefaults: {stampli_invoice_id: x}",
            r"defaults\.stampli_invoice_id: .* cannot have a default",
        ),
        ("layout: invoices\ndefaults: {due_date: soon}", r"defaults\.due_date: this value is not a date"),
        ("layout: invoices\ncolumns: {status: null}\nrequired: [status]", r"line 3, required\[0\]: `columns` says"),
        ("layout: invoices\ntimestamps: [terms]", r"line 2, timestamps\[0\]: this column holds no date"),
        ("layout: invoices\nencoding: shift_jis", r"line 2, encoding: this encoding is not known, or"),
        ("layout: invoices\nencoding: rot13", r"line 2, encoding:"),
        ("layout: invoices\ndates: ['%d/%m/%Y', '%m/%d/%Y']", r"line 2, dates: two date formats read the same text"),
        ("layout: invoices\ndates: [YYYY]", r"line 2, dates: a date format has %Y"),
        ("layout: invoices\ndates: []", r"line 2, dates: this list is empty"),
        (
            "layout: invoices\namounts: {decimal_mark: ',', thousands_separator: ','}",
            r"thousands_separator: this is the",
        ),
        ("layout: invoices\nflags: {'yes': [ja], 'no': [Ja]}", r"line 2, flags: a word stands under both"),
        ("layout: invoices\ncsv: {delimiter: ':'}", r"line 2, csv\.delimiter: "),
        ("layout: invoices\nxml: {root_attributes: {a: b}}", r"xml\.root_attributes\.a: 'b' is no column"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=message):
        layout_file(tmp_path, text)


@pytest.mark.parametrize(
    "name", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "iso-8859-15", "windows-1250", "ascii", "koi8-r"]
)
def test_encodings_that_files_may_have(tmp_path: Path, name: str) -> None:
    layout_file(tmp_path, f"layout: invoices\nencoding: {name}")


@pytest.mark.parametrize(
    "name", ["gbk", "big5", "utf-7", "iso-2022-jp", "euc-jp", "raw_unicode_escape", "cp037", "hex", "x"]
)
def test_encodings_that_cannot_be_split(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="encoding"):
        layout_file(tmp_path, f"layout: invoices\nencoding: {name}")


def test_an_encrypted_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    plain = tmp_path / "invoices.yaml"
    plain.write_bytes((FOLDER / "invoices.yaml").read_bytes())
    encrypt_file(plain)
    with pytest.raises(ConfigurationInvalid, match="plain and encrypted"):
        load_layouts(tmp_path)
    plain.unlink()
    layouts = load_layouts(tmp_path)
    assert list(layouts.by_entity) == ["invoices"]
    assert layouts.for_entity("invoices").version == INVOICES.version
    with pytest.raises(ConfigurationInvalid, match=r"no layout file vendors\.yaml"):
        layouts.for_entity("vendors")


def test_an_encrypted_layouts_values_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    plain = tmp_path / "invoices.yaml"
    plain.write_text("layout: invoices\nrequired: [hush]\ndefaults: {due_date: hush}\nencoding: hush\ndates: [hush]\n")
    encrypted = encrypt_file(plain)
    plain.unlink()
    with pytest.raises(ConfigurationInvalid) as caught:
        load_layout(encrypted)
    assert "line 2, required[0]" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_folder_without_layouts(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"none of the layout files invoices\.yaml, vendors\.yaml"):
        load_layouts(tmp_path)


def test_the_version_is_that_of_the_content(tmp_path: Path) -> None:
    one_layout = layout_file(tmp_path, "layout: invoices")
    commented = layout_file(tmp_path, "# comment\nlayout: invoices\n")
    other = layout_file(tmp_path, "layout: invoices\ndates: ['%d.%m.%Y']")
    assert one_layout.version == commented.version != other.version
    assert Layouts({"invoices": one_layout}).version != Layouts({"invoices": other}).version


def test_nothing_but_the_names_is_needed(tmp_path: Path) -> None:
    record = one(table([INVOICE]), layout=layout_file(tmp_path, "layout: invoices"))
    assert record.problem is None
    assert record.header["approved_at"] == "2026-11-21"
