"""YAML with positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from tieout.errors import ConfigurationInvalid
from tieout.yaml_file import load_yaml, parse_yaml, validate


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: int = 0


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parts: list[Part] = []
    by_name: dict[str, Part | str] = {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("0012", "0012"),
        ("2026-01-05", "2026-01-05"),
        ("12:30", "12:30"),
        ("1e3", "1e3"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1.50", 1.5),
        ('"12"', "12"),
        ("!!str 12", "12"),
        ("=", "="),
    ],
)
def test_plain_values(text: str, value: Any) -> None:
    content = parse_yaml(f"key: {text}\n", "x.yaml").content
    assert content == {"key": value}
    assert type(content["key"]) is type(value)


def test_keys_are_texts() -> None:
    assert parse_yaml("{1000: a, NO: b, true: c}", "x.yaml").content == {"1000": "a", "NO": "b", "true": "c"}


def test_lines_of_every_key() -> None:
    file = parse_yaml("a:\n  - x: 1\n    y: 2\n  - z\nb: {c: d}\n", "x.yaml")
    assert file.lines == {
        ("a",): 1,
        ("a", 0): 2,
        ("a", 0, "x"): 2,
        ("a", 0, "y"): 3,
        ("a", 1): 4,
        ("b",): 5,
        ("b", "c"): 5,
    }
    assert file.line(("a", 0, "unknown")) == 2
    assert file.line(("nothing",)) == 1


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "parts:\n- name: x\n  sise: 3",
            ["f.yaml, line 3, parts[0].sise: this key is not known here. Did you mean `size`?"],
        ),
        ("parts:\n- size: 3", ["f.yaml, line 2, parts[0].name: this key is missing."]),
        (
            "by_name:\n  NO:\n    name: x\n    size: no",
            ["f.yaml, line 4, by_name.NO.size: input should be a valid integer"],
        ),
        ("part: 1\nparts: {}", ["line 1, part: this key is not known", "line 2, parts: input should be a valid list"]),
    ],
    ids=["unknown", "missing", "wrong type in a union", "two problems"],
)
def test_validation_names_file_line_and_key(text: str, messages: list[str]) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        parse_yaml(text, "f.yaml").validate(Whole)
    for message in messages:
        assert message in str(caught.value)


def test_confidential_values_are_not_quoted() -> None:
    file = parse_yaml("parts:\n- {name: x, size: BE68-5390}", "f.yaml.enc", confidential=True)
    with pytest.raises(ConfigurationInvalid) as caught:
        validate(Whole, file)
    assert "BE68" not in str(caught.value)
    assert "line 2, parts[0].size" in str(caught.value)
    assert "BE68" not in repr(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"include/x/nothing\.yaml: the file cannot be read"):
        load_yaml(tmp_path / "include" / "x" / "nothing.yaml")


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: Grün".encode("latin-1"))
    with pytest.raises(ConfigurationInvalid, match=r"byte 9 is not UTF-8"):
        load_yaml(path)


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x")
    assert load_yaml(path).content == {"name": "x"}


def test_nested_aliases_do_not_explode() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigurationInvalid, match="without end"):
        parse_yaml("\n".join(levels), "f.yaml")
