"""The writer's tables and the checker's, written apart from each other, say the same."""

from __future__ import annotations

import pytest

from tests.formats.x12.checker import CODES, LONGER_IN_005010, SEGMENTS, E
from tieout.formats.x12.tables import Version, segment, segment_ids


@pytest.mark.parametrize("version", ["004010", "005010"])
@pytest.mark.parametrize("name", sorted(SEGMENTS))
def test_same_elements(name: str, version: Version) -> None:
    for position, (ours, theirs) in enumerate(
        zip(segment(name, version).elements, SEGMENTS[name].split(), strict=False), start=1
    ):
        reference = f"{name}{position:02d}"
        kind, least, most = E[theirs.rstrip("!")]
        if version == "005010":
            most = LONGER_IN_005010.get(reference, most)
        assert (ours.kind[: len(kind)], ours.minimum, ours.maximum) == (kind, least, most), reference
        assert ours.mandatory == theirs.endswith("!"), reference
        assert not ours.codes or reference not in CODES or ours.codes & CODES[reference], reference


def test_same_segments() -> None:
    assert segment_ids() == set(SEGMENTS)
