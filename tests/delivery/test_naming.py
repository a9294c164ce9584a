from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.delivery import remote_join, render_name, safe_name, temporary_path
from tieout.errors import ConfigurationInvalid

PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("RE-2026.0042", "RE-2026.0042"),
        ("../../etc/passwd", "etc_passwd"),
        ("RE 2026/0042", "RE_2026_0042"),
        (".hidden", "hidden"),
        ("", "_"),
        ("...", "_"),
        ("Müller & Söhne", "M_ller_S_hne"),
        ("a\x00b\nc", "a_b_c"),
        ("日本", "_"),
    ],
)
def test_safe_name(value: str, name: str) -> None:
    assert safe_name(value) == name


def test_safe_name_upper_and_length() -> None:
    assert safe_name("abc-def", upper=True, max_length=5) == "ABC-D"


@given(st.text(), st.integers(1, 200), st.booleans())
def test_safe_name_is_always_one_plain_component(value: str, max_length: int, upper: bool) -> None:
    name = safe_name(value, max_length=max_length, upper=upper)
    assert PLAIN.fullmatch(name)
    assert len(name) <= max_length
    assert safe_name(name, max_length=max_length, upper=upper) == name


def test_render_name() -> None:
    values = {"entity": "invoices", "instance": "acme/../x", "timestamp": "20260131T120000Z", "seq": 7}
    name = render_name("{entity}_{instance}_{timestamp}_{seq:04d}.csv", values)
    assert name == "invoices_acme_.._x_20260131T120000Z_0007.csv"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{entity}_{nope}.csv", "'{nope}'"),
        ("{entity.__class__}.csv", "plain placeholders"),
        ("{entity[0]}.csv", "plain placeholders"),
        ("{0}.csv", "plain placeholders"),
        ("{}.csv", "plain placeholders"),
        ("{entity!r}.csv", "plain placeholders"),
        ("{entity:>999999999}.csv", "format"),
        ("{seq:{seq}}.csv", "format"),
        ("{entity", "cannot be read"),
        ("in/{entity}.csv", "no plain file name"),
        (".{entity}.csv", "no plain file name"),
        ("", "no plain file name"),
        ("{seq:0999d}", "no plain file name"),
    ],
)
def test_bad_templates_are_refused(template: str, complaint: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=re.escape(complaint)):
        render_name(template, {"entity": "invoices", "seq": 7})


@given(st.text(max_size=60), st.integers(0, 10**9))
def test_no_value_leads_out_of_the_folder(value: str, seq: int) -> None:
    name = render_name("GL_{value}_{seq:06d}.dat", {"value": value, "seq": seq})
    assert PLAIN.fullmatch(name)
    assert remote_join("/inbound", name) == f"/inbound/{name}"


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("/inbound", "invoices", "a.csv"), "/inbound/invoices/a.csv"),
        (("/inbound/", "a/b.csv"), "/inbound/a/b.csv"),
        (("/", "a.csv"), "/a.csv"),
        (("/inbound",), "/inbound"),
    ],
)
def test_remote_join(parts: tuple[str, ...], path: str) -> None:
    assert remote_join(*parts) == path


@pytest.mark.parametrize(
    "parts",
    [
        ("inbound", "a"),
        ("/in", ""),
        ("/in", "/a"),
        ("/in", ".."),
        ("/in", "a/../b"),
        ("/in", "a//b"),
        ("/in", "a\0b"),
        ("/in/../x", "a"),
        ("/in", "."),
        ("/in", "a\nb"),
        ("", "a"),
        ("/in//x", "a"),
    ],
)
def test_remote_join_refuses(parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationInvalid):
        remote_join(*parts)


@given(st.lists(st.text(min_size=1, max_size=20), max_size=4))
def test_remote_join_never_leaves_the_root(parts: list[str]) -> None:
    try:
        path = remote_join("/inbound", *parts)
    except ConfigurationInvalid:
        return
    assert path.startswith("/inbound")
    assert ".." not in path.split("/")
    assert "\0" not in path


def test_temporary_name_is_in_the_same_folder_and_depends_on_the_bytes() -> None:
    path = temporary_path("/in/a.csv", "0123456789abcdef")
    assert path == "/in/.a.csv.01234567.part"
    assert temporary_path("/in/a.csv", "f" * 64) != path
    assert len(temporary_path("/in/" + "n" * 255, "0" * 64).rpartition("/")[2]) < 255
