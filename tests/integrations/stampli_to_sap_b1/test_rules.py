"""The rules' files: what they refuse, and what the project's own say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integrations.stampli_to_sap_b1.records import MAPPINGS, accounting
from tieout.errors import ConfigurationInvalid
from tieout.integrations.stampli_to_sap_b1.rules import filled, load_rules
from tieout.mapping.loader import find_mapping

ENTRIES = "journal_entries"
PARTNERS = "business_partners"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (ENTRIES, "invoices: {memo: '{vendor}'}", r"line 2, invoices\.memo: the template names \{vendor\}, which does"),
        (ENTRIES, "invoices: {memo: '{gl_account}'}", r"the template names \{gl_account\}"),
        (ENTRIES, "invoices: {memo: '{vendor_name'}", r"line 2, invoices\.memo: the template's braces do not match"),
        (ENTRIES, "invoices: {memo: '{vendor_name.x}'}", r"holds names in braces and nothing else"),
        (ENTRIES, "invoices: {memo: '{vendor_name!r}'}", r"holds names in braces and nothing else"),
        (ENTRIES, "payments: {memo: '{invoice_number}'}", r"payments\.memo: the template names"),
        (ENTRIES, "invoices: {approved: [ok], void: [OK]}", r"invoices\.void: a word is also in the list `approved`"),
        (ENTRIES, "payments: {paid: [X], pending: [x]}", r"payments\.pending: a word is also in the list `paid`"),
        (ENTRIES, "invoices: {rounding: {to: account}}", r"invoices\.rounding: `to: account` and `account` belong"),
        (ENTRIES, "invoices: {rounding: {account: x}}", r"invoices\.rounding: `to: account` and `account` belong"),
        (ENTRIES, "invoices: {rounding: {tolerance: 2}}", r"invoices\.rounding\.tolerance: .*less than or equal to 1"),
        (ENTRIES, "invoices: {dimensions: {CostingCode6: {from: class, cross_reference: x}}}", r"CostingCode6"),
        (ENTRIES, "invoices: {dimensions: {CostingCode: {from: memo, cross_reference: x}}}", r"CostingCode\.from: "),
        (
            ENTRIES,
            "invoices: {dimensions: {CostingCode: {from: class, cross_reference: classes}}}",
            r"CostingCode\.cross_reference: there is no file classes\.yaml",
        ),
        (PARTNERS, "owned: {CardName: {from: nam}}", r"line 2, owned\.CardName\.from: there is no such column"),
        (PARTNERS, "owned: {CardType: {from: name}}", r"line 2, owned\.CardType: this property is set by itself"),
        (PARTNERS, "owned: {}", r"owned: "),
        (
            PARTNERS,
            "owned: {CardName: {from: name}}\nconstants: {CardName: x}",
            r"owned\.CardName: this property is also set at creation",
        ),
        (
            PARTNERS,
            "owned: {CardName: {from: name}}\ncard_code: '{id}'",
            r"line 3, card_code: the template names \{id\}",
        ),
    ],
)
def test_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"rules: {name}\n{text}\n")
    (tmp_path / "cost_centres.yaml").touch()
    with pytest.raises(ConfigurationInvalid, match=message):
        load_rules(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    shutil.copytree(MAPPINGS, tmp_path / "copy")
    (tmp_path / "copy/projects.yaml").unlink()
    with pytest.raises(ConfigurationInvalid, match=r"projects\.yaml: there is no such mapping"):
        accounting(tmp_path / "copy")


def test_rules_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: journal_entries\n")
    with pytest.raises(ConfigurationInvalid, match="Rename the file"):
        load_rules(tmp_path / "rules.yaml")


def test_the_projects_own_rules_load() -> None:
    assert {load_rules(find_mapping(MAPPINGS, name)).rules for name in (ENTRIES, PARTNERS)} == {ENTRIES, PARTNERS}


def test_filled() -> None:
    values = {"a": "x\r\n y\x00", "b": None, "c": 7}
    assert filled(" {a}  {b} {c} {{}}", values) == "x y 7 {}"
