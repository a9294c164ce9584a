"""Finding, reading, decrypting mappings; lookups from files; versions; lineage; light imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.mapping.support import MAPPINGS, cells, codes, inline, project, run
from tieout.errors import ConfigurationInvalid
from tieout.mapping.encryption import decrypt_file, encrypt_file, rotate
from tieout.mapping.lineage import ColumnLineage, Kind, column_lineage
from tieout.mapping.loader import find_mapping, list_mappings, load_mapping
from tieout.odata.schema import FieldType

ENTITIES = [path.stem for path in list_mappings(MAPPINGS)]
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()

TEXT = """
entity: things
source: {entity_set: Things, key: Id, fields: {Id: integer, Kind: text}}
columns:
  - {name: id, from: Id}
  - {name: kind, from: Kind, lookup: {file: lookups/kinds.%s}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lookups").mkdir()
    (tmp_path / "lookups/kinds.yaml").write_text("a: Alpha\nNO: Norway\n0012: zero-twelve\n")
    (tmp_path / "lookups/kinds.csv").write_text("from,to\na,Alpha\nNO,Norway\n0012,zero-twelve\n")
    (tmp_path / "things.yaml").write_text(TEXT % "yaml")
    return tmp_path


def test_the_nine_entities() -> None:
    continuous = ["customers", "contacts", "invoices", "invoice_pdfs", "payments", "credit_notes"]
    assert sorted(ENTITIES) == sorted([*continuous, "taxes", "chart_of_accounts", "inventory"])


@pytest.mark.parametrize("kind", ["yaml", "csv"])
def test_lookup_from_a_file(folder: Path, kind: str) -> None:
    (folder / "things.yaml").write_text(TEXT % kind)
    records = [{"Id": n, "Kind": value} for n, value in enumerate(["a", "NO", "0012", None, "z"])]
    compiled, mapped = run(load_mapping(folder / "things.yaml"), records)
    assert [row["kind"] for row in cells(compiled, mapped)][:4] == ["Alpha", "Norway", "zero-twelve", ""]
    assert codes(mapped) == {4: ["MAPPING_MISSING"]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("kinds.csv", "from,to\na,b,c\n", r"kinds\.csv, line 2: a lookup has two columns"),
        ("kinds.csv", "from,to\na,b\na,c\n", r"kinds\.csv, line 3: .* given above already"),
        ("kinds.yaml", "a: b\na: c\n", r"kinds\.yaml, line 2, a: this key is already given in line 1"),
        ("kinds.yaml", "a: b\nc: [d]\n", r"kinds\.yaml, line 2, c: a lookup's value must be a plain text"),
        ("kinds.yaml", "- a\n", r"kinds\.yaml, line 1: a lookup file holds lines"),
    ],
)
def test_bad_lookup_file(folder: Path, name: str, text: str, message: str) -> None:
    (folder / "lookups" / name).write_text(text)
    (folder / "things.yaml").write_text(TEXT % name.split(".")[1])
    with pytest.raises(ConfigurationInvalid, match=message):
        load_mapping(folder / "things.yaml")


def test_version_follows_the_content_and_not_the_layout(folder: Path) -> None:
    path = folder / "things.yaml"
    version = load_mapping(path).version
    path.write_text("# a comment\n" + TEXT % "yaml" + "\n\n")
    assert load_mapping(path).version == version
    (folder / "lookups/kinds.yaml").write_text("a: Beta\n")
    assert load_mapping(path).version != version


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_column_has_its_lineage(entity: str) -> None:
    mapping = project(entity)
    found = column_lineage(mapping, with_alternative=False)
    assert {entry.target for entry in found} >= {column.name for column in mapping.columns}
    assert all(entry.source and entry.transformation for entry in found)
    for entry in found:
        assert not entry.source.startswith("None")


def test_lineage_follows_values_to_the_source() -> None:
    found = column_lineage(project("invoices"), ["U_Region", "line.U_Lot"])
    known = {(entry.source, entry.target) for entry in found}
    assert ("Invoices.DocumentLines.RowTotalFC", "lineTotal") in known
    assert ("Invoices.PaidToDateFC", "amountDue") in known
    lot = "DocumentLines.U_Lot"
    assert ColumnLineage(f"Invoices.{lot}", lot, "line.U_Lot", "pass through", Kind.IDENTITY) in found
    assert ColumnLineage("Invoices.U_Region", "U_Region", "U_Region", "pass through", Kind.IDENTITY) in found
    contacts = {(entry.source, entry.target) for entry in column_lineage(project("contacts"))}
    assert ("BusinessPartners.CardCode", "customerRef") in contacts
    assert ("BusinessPartners.ContactEmployees.Name", "isMainContact") in contacts
    assert any(entry.source == "SalesTaxCodes.Rate" for entry in column_lineage(project("taxes")))


def test_schema_and_select() -> None:
    schema = project("invoices").record_schema()
    assert schema.fields["DocTotal"] is FieldType.NUMBER
    assert schema.custom_levels() == ("header", "DocumentLines")
    assert project("invoices").select() is None
    contacts = project("contacts")
    assert contacts.select() == [
        "ContactEmployees",
        "CardCode",
        "CardType",
        "ContactPerson",
        "UpdateDate",
        "CreateDate",
    ]
    assert contacts.record_schema().parent_fields["CardCode"] is FieldType.TEXT
    items = project("inventory").select()
    assert items is not None
    assert {"ItemCode", "ItemPrices", "UpdateDate"} <= set(items)
    # Synthetic properties are not asked of the source.
    assert "allocations" not in project("payments").record_schema().collections
    assert "sha256" not in (project("invoice_pdfs").select() or ())


@pytest.mark.parametrize("suffix", ["", ".enc"])
def test_find(folder: Path, suffix: str) -> None:
    (folder / "things.yaml").rename(folder / f"things.yaml{suffix}")
    assert find_mapping(folder, "things").name == f"things.yaml{suffix}"
    with pytest.raises(ConfigurationInvalid, match="no such mapping"):
        find_mapping(folder, "other")


def test_plain_and_encrypted_side_by_side_are_refused(folder: Path) -> None:
    encrypt_file(folder / "things.yaml", keys=NEW)
    with pytest.raises(ConfigurationInvalid, match="plain and encrypted"):
        find_mapping(folder, "things")


def test_encrypted_mapping_with_encrypted_lookup(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_mapping(folder / "things.yaml")
    for name in ("things.yaml", "lookups/kinds.yaml"):
        encrypt_file(folder / name, keys=OLD)
        (folder / name).unlink()
    assert b"Norway" not in (folder / "lookups/kinds.yaml.enc").read_bytes()
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", f"{NEW}, {OLD}")
    assert load_mapping(folder / "things.yaml.enc").version == plain.version


def test_rotation_lets_the_old_key_go(folder: Path) -> None:
    path = encrypt_file(folder / "things.yaml", keys=OLD)
    rotate(path, keys=f"{NEW},{OLD}")
    assert decrypt_file(path, keys=NEW) == (folder / "things.yaml").read_bytes()
    with pytest.raises(ConfigurationInvalid, match="none of the keys"):
        decrypt_file(path, keys=OLD)
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "TIEOUT_MAPPING_KEY is not set"),
        (NEW, "none of the keys"),
        (f"{OLD},short", "key 2 of 2 is not a Fernet key"),
    ],
    ids=["none", "wrong", "malformed"],
)
def test_key_errors_say_what_to_do_and_never_the_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch, keys: str, message: str
) -> None:
    path = encrypt_file(folder / "things.yaml", keys=OLD)
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", keys)
    with pytest.raises(ConfigurationInvalid) as caught:
        load_mapping(path)
    assert message in str(caught.value)
    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)


def test_damaged_file(folder: Path) -> None:
    path = encrypt_file(folder / "things.yaml", keys=OLD)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigurationInvalid, match="damaged"):
        rotate(path, keys=OLD)


def test_encrypting_twice_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="encrypted already"):
        encrypt_file(encrypt_file(folder / "things.yaml", keys=OLD), keys=OLD)


def test_errors_of_an_encrypted_mapping_quote_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", OLD)
    (folder / "things.yaml").write_text((TEXT % "yaml") + "totals: SECRET\n")
    path = encrypt_file(folder / "things.yaml", keys=OLD)
    with pytest.raises(ConfigurationInvalid) as caught:
        load_mapping(path)
    assert "line 7, totals" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_copy_of_the_project_mappings_loads_anywhere(tmp_path: Path) -> None:
    shutil.copytree(MAPPINGS, tmp_path / "copy")
    for path in list_mappings(tmp_path / "copy"):
        assert load_mapping(path).version == project(path.stem).version


def test_loader_imports_nothing_heavy() -> None:
    code = (
        "import sys, tieout.mapping.loader, tieout.mapping.lineage, tieout.yaml_file;"
        "print([m for m in ('pyarrow', 'numpy', 'pandas', 'cryptography', 'airflow') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "plugins"},
        cwd=MAPPINGS.parents[2],
    )
    assert result.stdout.strip() == "[]"


def test_inline_entries_win_over_the_file(folder: Path) -> None:
    text = (TEXT % "yaml").replace(
        "lookup: {file: lookups/kinds.yaml}", "lookup: {file: lookups/kinds.yaml, entries: {a: Own}}"
    )
    (folder / "things.yaml").write_text(text)
    compiled, mapped = run(load_mapping(folder / "things.yaml"), [{"Id": 1, "Kind": "a"}, {"Id": 2, "Kind": "NO"}])
    assert [row["kind"] for row in cells(compiled, mapped)] == ["Own", "Norway"]


def test_same_name_as_the_property_is_the_property() -> None:
    mapping = inline(
        "entity: x\nsource: {entity_set: X, key: Id, fields: {Id: integer}}\ncolumns: [{name: Id, from: Id}]"
    )
    compiled, mapped = run(mapping, [{"Id": 5}])
    assert cells(compiled, mapped) == [{"Id": "5"}]
