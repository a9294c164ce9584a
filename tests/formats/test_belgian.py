"""Belgian numbers in the spellings people and files use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.formats.belgian import (
    digits_of_enterprise_number,
    enterprise_number,
    is_enterprise_number,
    is_iban,
    is_ogm,
)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        pytest.param("0739484052", "0739484052", id="plain"),
        pytest.param("BE0739484052", "0739484052", id="VAT number"),
        pytest.param("BE 0739.484.052", "0739484052", id="as people write it"),
        pytest.param("be0739484052", "0739484052", id="small letters"),
        pytest.param("739484052", "0739484052", id="nine digits"),
        pytest.param("BE 479.909.676", "0479909676", id="old VAT number"),
        pytest.param("1000000021", "1000000021", id="begins with 1"),
        pytest.param("0000009797", "0000009797", id="remainder 0 is 97"),
        pytest.param("0000009700", None, id="remainder 0 is not 00"),
        pytest.param("0739484053", None, id="check digits"),
        pytest.param("1404666914", None, id="example that fails the check"),
        pytest.param("2000000042", None, id="begins with 2"),
        pytest.param("39484052", None, id="eight digits"),
        pytest.param("00739484052", None, id="eleven digits"),
        pytest.param("NL0739484052", None, id="another country"),
        pytest.param("٠٧٣٩٤٨٤٠٥٢", None, id="other digits"),
        pytest.param("0739484052\n", None, id="line break"),
        pytest.param("", None, id="empty"),
    ],
)
def test_enterprise_numbers(text: str, digits: str | None) -> None:
    assert enterprise_number(text) == digits
    assert is_enterprise_number(text) == (digits is not None)


@given(st.integers(0, 19_999_999), st.integers(0, 99))
def test_one_pair_of_check_digits_is_right(first_eight: int, check: int) -> None:
    text = f"{first_eight:08d}{check:02d}"
    # The sum of the number and its check digits divides by 97.
    assert is_enterprise_number(text) == ((first_eight + check) % 97 == 0 and 1 <= check <= 97)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("BE 1404.666.914", "1404666914"),
        ("be0739484052", "0739484052"),
        ("739484052", "739484052"),
        ("0739 484 052", "0739484052"),
        ("NL123", "NL123"),
        ("", ""),
    ],
)
def test_digits_as_written(text: str, digits: str) -> None:
    assert digits_of_enterprise_number(text) == digits


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        pytest.param("+++010/8068/17183+++", True, id="between plus signs"),
        pytest.param("***010/8068/17183***", True, id="between stars"),
        pytest.param("010806817183", True, id="as in CODA"),
        pytest.param("+++ 010 / 8068 / 17183 +++", True, id="blanks"),
        pytest.param("000000009797", True, id="remainder 0 is 97"),
        pytest.param("000000009700", False, id="remainder 0 is not 00"),
        pytest.param("+++010/8068/17184+++", False, id="check digits"),
        pytest.param("+++010/8068/17183***", False, id="mixed marks"),
        pytest.param("+++010/8068/17183", False, id="one mark"),
        pytest.param("01080681718", False, id="eleven digits"),
        pytest.param("RF18539007547034", False, id="creditor reference"),
        pytest.param("", False, id="empty"),
    ],
)
def test_structured_communications(text: str, valid: bool) -> None:
    assert is_ogm(text) == valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        pytest.param("BE68539007547034", True, id="Belgian"),
        pytest.param("BE68 5390 0754 7034", True, id="in groups"),
        pytest.param("NL91ABNA0417164300", True, id="Dutch"),
        pytest.param("MT84MALT011000012345MTLCAST001S", True, id="Maltese"),
        pytest.param("BE69539007547034", False, id="check digits"),
        pytest.param("BE10539007547", False, id="Belgian and too short"),
        pytest.param("BE00000000000000", False, id="zeros"),
        pytest.param("be68539007547034", False, id="small letters"),
        pytest.param("539007547034", False, id="national number"),
        pytest.param("", False, id="empty"),
    ],
)
def test_ibans(text: str, valid: bool) -> None:
    assert is_iban(text) == valid


@given(st.text(max_size=20))
def test_any_text_is_answered(text: str) -> None:
    assert is_enterprise_number(text) in (True, False)
    assert is_ogm(text) in (True, False)
    assert is_iban(text) in (True, False)
    assert isinstance(digits_of_enterprise_number(text), str)
