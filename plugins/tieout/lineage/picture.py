"""Lineage as a picture: a Mermaid flowchart, which GitHub, GitLab and most wikis draw in Markdown by themselves.

Graphviz would draw larger graphs, but whoever looks at one needs its program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tieout.lineage.catalog import TargetLineage
from tieout.mapping.lineage import Kind

MOST_ARROWS = 500
"""What Mermaid draws unless a page is configured for more (`maxEdges`)."""

_ENTITIES = str.maketrans(
    {
        "#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "\\": "#92;", "|": "#124;",
        "*": "#42;", "_": "#95;",
    }
)  # fmt: skip


def mermaid(targets: Sequence[TargetLineage]) -> str:
    """The whole picture: sources on the left, staged columns between, a box per target on the right.

    A dotted arrow leads from what only decides on a value.
    """
    return "\n".join(["flowchart LR", *_Picture().lines(targets)]) + "\n"


def arrows(picture: str) -> int:
    """How many arrows a picture has."""
    return sum("-->" in line or "-.->" in line for line in picture.splitlines())


def _label(text: str) -> str:
    """A text in quotes; what Mermaid, Markdown or HTML would read as theirs is written as an entity."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return f'"{printable.translate(_ENTITIES)}"'


class _Picture:
    """Names every box once: names of columns may hold anything, names of boxes may not."""

    def __init__(self) -> None:
        self._boxes: dict[tuple[str, ...], str] = {}
        self._drawn: set[str] = set()

    def lines(self, targets: Iterable[TargetLineage]) -> Iterator[str]:
        """Boxes and arrows, each once."""
        for number, target in enumerate(targets, start=1):
            where = (target.integration, target.entity, target.form, str(number))
            title = " / ".join(part for part in where[:3] if part)
            yield f"  subgraph target{number}[{_label(title)}]"
            for name in dict.fromkeys(row.target for row in target.rows):
                yield from self._box((*where, name), name, "    ")
            yield "  end"
            for row in target.rows:
                yield from self._chain(target, (*where, row.target), row.source, row.staged, row.kind)

    def _chain(
        self, target: TargetLineage, goal: tuple[str, ...], source: str, staged: str, kind: Kind
    ) -> Iterator[str]:
        """Source → staged → target; what is not staged goes straight on."""
        # Constants and the like have no place of their own in the source system: one box each per target.
        begin = ("source", target.integration, source, *(() if kind.reads_source else goal))
        yield from self._box(begin, source)
        if staged:
            between = ("staged", target.integration, target.entity, staged)
            yield from self._box(between, staged, shape=("([", "])"))
            yield from self._arrow(begin, between)
            begin = between
        yield from self._arrow(begin, goal, kind)

    def _box(
        self, key: tuple[str, ...], text: str, indent: str = "  ", shape: tuple[str, str] = ("[", "]")
    ) -> Iterator[str]:
        if key not in self._boxes:
            self._boxes[key] = f"n{len(self._boxes) + 1}"
            yield f"{indent}{self._boxes[key]}{shape[0]}{_label(text)}{shape[1]}"

    def _arrow(self, begin: tuple[str, ...], end: tuple[str, ...], kind: Kind | None = None) -> Iterator[str]:
        head = "-.->" if kind is Kind.CONDITION else "-->"
        words = f"|{_label(kind)}|" if kind is not None and kind is not Kind.IDENTITY else ""
        line = f"  {self._boxes[begin]} {head}{words} {self._boxes[end]}"
        if line not in self._drawn:
            self._drawn.add(line)
            yield line
