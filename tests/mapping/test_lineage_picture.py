"""The picture: it can be read by Mermaid, has every row, and no name breaks out of its box."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tieout.lineage.catalog import TargetLineage, file_lineage
from tieout.lineage.picture import arrows, mermaid
from tieout.mapping.lineage import ColumnLineage, Kind

INCLUDE = Path(__file__).parents[2] / "include/mappings"
LABEL = r'"((?:[^"#<>&`\\|*_\n]|#(?:\d+|quot|lt|gt|amp);)*)"'
BOX = re.compile(rf"( {{2}}| {{4}})(n\d+)(?:\[{LABEL}\]|\(\[{LABEL}\]\))")
ARROW = re.compile(rf"  (n\d+) (-->|-\.->)(?:\|{LABEL}\|)? (n\d+)")
TITLE = re.compile(rf"  subgraph target\d+\[{LABEL}\]")
ENTITY = {"quot": '"', "lt": "<", "gt": ">", "amp": "&"}


def shown(label: str) -> str:
    """A label as it is drawn."""
    return re.sub(r"#(\w+);", lambda m: ENTITY.get(m[1]) or chr(int(m[1])), label)


def parsed(picture: str) -> tuple[dict[str, str], list[tuple[str, str, str, str | None]], list[str]]:
    """Boxes, arrows and titles; any other line, or an arrow to a box that is not there, is an error."""
    first, *lines = picture.splitlines()
    assert first == "flowchart LR"
    boxes: dict[str, str] = {}
    found: list[tuple[str, str, str, str | None]] = []
    titles: list[str] = []
    for each in lines:
        if box := BOX.fullmatch(each):
            assert box[2] not in boxes
            boxes[box[2]] = shown(box[3] if box[3] is not None else box[4])
        elif arrow := ARROW.fullmatch(each):
            found.append((boxes[arrow[1]], arrow[2], boxes[arrow[4]], arrow[3] and shown(arrow[3])))
        elif title := TITLE.fullmatch(each):
            titles.append(shown(title[1]))
        else:
            assert each == "  end"
    return boxes, found, titles


def target(*rows: ColumnLineage, name: str = "things") -> TargetLineage:
    return TargetLineage("one_to_other", name, "csv", None, rows)


def test_source_staged_and_target_are_a_chain() -> None:
    _, found, titles = parsed(
        mermaid(
            [
                target(
                    ColumnLineage("Things.Code", "Code", "code", "rename", Kind.IDENTITY),
                    ColumnLineage("Things.Kind", "Kind", "code", "decides cases", Kind.CONDITION),
                    ColumnLineage("(constant)", "", "type", "constant X", Kind.CONSTANT),
                )
            ]
        )
    )
    assert titles == ["one_to_other / things / csv"]
    assert found == [
        ("Things.Code", "-->", "Code", None),
        ("Code", "-->", "code", None),
        ("Things.Kind", "-->", "Kind", None),
        ("Kind", "-.->", "code", "condition"),
        ("(constant)", "-->", "type", "constant"),
    ]


def test_sources_are_shared_and_targets_are_not() -> None:
    row = ColumnLineage("Things.Code", "", "code", "rename", Kind.IDENTITY)
    boxes, found, titles = parsed(mermaid([target(row), target(row, name="others")]))
    assert sorted(boxes.values()) == ["Things.Code", "code", "code"]
    assert len(found) == len(titles) == 2


def test_an_arrow_is_drawn_once() -> None:
    rows = [ColumnLineage("Things.Code", "Code", name, "rename", Kind.IDENTITY) for name in ("code", "again")]
    _, found, _ = parsed(mermaid([target(*rows)]))
    assert found == [
        ("Things.Code", "-->", "Code", None),
        ("Code", "-->", "code", None),
        ("Code", "-->", "again", None),
    ]


def test_every_row_of_every_file_is_drawn() -> None:
    for path in INCLUDE.rglob("*.yaml"):
        targets = file_lineage(path)
        picture = mermaid(targets)
        boxes, found, _ = parsed(picture)
        assert arrows(picture) == len(found)
        drawn = {(begin, end) for begin, _, end, _ in found}
        for row in (row for each in targets for row in each.rows):
            assert (row.staged or row.source, row.target) in drawn
            assert not row.staged or (row.source, row.staged) in drawn
            assert {row.source, row.target} <= set(boxes.values())


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_no_name_breaks_out_of_its_box(name: str, staged: str) -> None:
    boxes, found, titles = parsed(
        mermaid([target(ColumnLineage(name, staged, name, "rename", Kind.LOOKUP), name=name)])
    )
    visible = "".join(character if character.isprintable() else " " for character in name)
    assert visible in boxes.values()
    assert titles == [f"one_to_other / {visible} / csv"]
    assert len(found) == (2 if staged else 1)
