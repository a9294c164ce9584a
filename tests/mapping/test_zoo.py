"""Malformed mapping files: each is refused with file, line, key and what is wrong, as its first line says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tieout.errors import ConfigurationInvalid
from tieout.mapping.loader import load_mapping

ZOO = Path(__file__).parent / "zoo"


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.yaml")), ids=lambda path: path.stem)
def test_message_names_file_line_and_key(path: Path) -> None:
    line, key, words = (part.strip() for part in path.read_text().splitlines()[0].removeprefix("# expect:").split("|"))
    with pytest.raises(ConfigurationInvalid) as caught:
        load_mapping(path)
    messages = str(caught.value).splitlines()
    expected = f"{line}, {key}: " if key else line
    matching = [message for message in messages if f"{path.name}, {expected}" in message]
    assert matching, messages
    assert words in matching[0]


def test_the_zoo_is_not_empty() -> None:
    assert len(list(ZOO.glob("*.yaml"))) > 30
