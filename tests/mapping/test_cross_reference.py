"""Cross-reference files: matching, refusals, encryption."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tieout.errors import ConfigurationInvalid
from tieout.mapping.cross_reference import CrossReference, Match, load_cross_reference
from tieout.mapping.encryption import encrypt_file


def load(folder: Path, text: str, name: str = "accounts") -> CrossReference:
    path = folder / f"{name}.yaml"
    path.write_text(f"cross_reference: {name}\n{text}")
    return load_cross_reference(path)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ('entries: {6000: "_SYS1"}', "6000", Match("6000", "_SYS1")),
        ("entries: {6000: 0012}", " 6000 ", Match("6000", "0012")),
        ("entries: {a: B}", "A", Match("A", "A")),
        ("entries: {a: B}\notherwise: hold", "A", Match("A", None, missing=True)),
        ('entries: {a: B, "*": C}\notherwise: hold', "A", Match("A", "C")),
        ('entries: {a: B, "*": C}', "a", Match("a", "B")),
        ('entries: {"*": C}', None, Match("", None)),
        ('entries: {"*": C}\nwhen_empty: D', "  ", Match("", "D")),
        ("otherwise: hold", "", Match("", None)),
        ("entries: {NO: Norway}", "NO", Match("NO", "Norway")),
        ("entries: {1: 2}", 1, Match("1", "2")),
    ],
)
def test_match(tmp_path: Path, text: str, value: object, expected: Match) -> None:
    assert load(tmp_path, text).match(value) == expected


def test_tax_codes_may_name_an_account(tmp_path: Path) -> None:
    table = load(tmp_path, "entries: {21: {code: I1, account: 411000}, 6: I2}", "tax_codes")
    assert table.match("21") == Match("21", "I1", "411000")
    assert table.match("6") == Match("6", "I2")


def test_entries_of_their_own(tmp_path: Path) -> None:
    table = load(tmp_path, 'entries: {a: B, "*": C}')
    assert [table.has_entry(value) for value in ("a", " a ", "b", None)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entries: {a: [b]}", r"accounts\.yaml, line 2, entries\.a: .*valid string"),
        ("entries: {a: }", r"line 2, entries\.a: .*valid string"),
        ("entries: {a: {cod: b}}", r"line 2, entries\.a\.cod: this key is not known here\. Did you mean `code`"),
        ("entries: {a: {code: b, account: c}}", r"`account` belongs to the entries of tax_codes only"),
        ('entries: {" a": b}', r"blanks around it"),
        ("entries:\n  a: b\n  a: c", r"line 4, entries\.a: this key is already given in line 3"),
        ("otherwise: empty", r"line 2, otherwise: .*'same' or 'hold'"),
        ("entry: {a: b}", r"line 2, entry: this key is not known here\. Did you mean `entries`"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=message):
        load(tmp_path, text)


def test_the_name_is_the_files(tmp_path: Path) -> None:
    (tmp_path / "projects.yaml").write_text("cross_reference: accounts")
    with pytest.raises(ConfigurationInvalid, match=r"line 1, cross_reference: the file's name says 'projects'"):
        load_cross_reference(tmp_path / "projects.yaml")


def test_version_follows_the_content_and_not_the_layout(tmp_path: Path) -> None:
    version = load(tmp_path, "entries: {a: b}").version
    assert load(tmp_path, "\n# why\nentries:\n  a: b\notherwise: same").version == version
    assert load(tmp_path, "entries: {a: c}").version != version


@pytest.mark.parametrize("text", ["entries: {SECRET: {code: x, account: SECRET}}", "entries: {SECRET: [SECRET]}"])
def test_errors_of_an_encrypted_file_quote_nothing(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    (tmp_path / "accounts.yaml").write_text(f"cross_reference: accounts\n{text}")
    with pytest.raises(ConfigurationInvalid) as caught:
        load_cross_reference(encrypt_file(tmp_path / "accounts.yaml"))
    assert "accounts.yaml.enc, line 2" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_an_encrypted_files_codes_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEOUT_MAPPING_KEY", Fernet.generate_key().decode())
    plain = load(tmp_path, "entries: {a: CODE}\nwhen_empty: CODE")
    secret = load_cross_reference(encrypt_file(tmp_path / "accounts.yaml"))
    assert secret.match("a").code == "CODE"
    assert plain.match("a").shown() == "a (CODE by cross-reference)"
    assert plain.match(None).shown() == "(empty) (CODE by cross-reference)"
    assert (secret.match("a").shown(), secret.match("").shown()) == ("a", "(empty)")
    assert "CODE" not in repr(secret)
    assert secret.version == plain.version
