"""What each column, element or field that was written for a record was made from, and what was written there."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tieout.config import include_folder
from tieout.errors import TieoutError
from tieout.lineage.catalog import RECORD_SPECS, TargetLineage, file_lineage, without_mapping_files
from tieout.mapping.lineage import ColumnLineage
from tieout.tracing.places import Place
from tieout.yaml_file import load_yaml

Facts = dict[str, Any]
Value = Callable[[str], str | None]
"""Target → what was written there."""

BANQUP = "banqup_to_sftp"
SAP_B1 = "sap_b1"
SEVERAL = " | "
"""Between the values of a record's lines, where they differ."""
_MOST_VALUES = 20
_POSITIONS = re.compile(r"^(?P<record>[^.]+)\.(?P<field>.+), positions? (?P<first>\d+)(?:-(?P<last>\d+))?$")
_ELEMENT = re.compile(r"^(?P<id>[A-Z][A-Z0-9]{1,2})(?P<number>\d{2})(?: \((?P<first>.+)\))?$")


def columns_of_file(integration: str, instance: str, entity: str, file_name: str, place: Place) -> list[Facts]:
    """The columns of a record in a file, in the file's order; without a mapping file that says, none."""
    if integration == BANQUP:
        entity = "invoices" if file_name.lower().endswith(".xml") else "statements"
    targets = [each for each in _targets(integration) if each.entity == entity]
    target = _form(targets, integration, instance, place)
    if target is None:
        return []
    return _told(target, _values(target, place))


def columns_of_posting(integration: str, entity: str, body: bytes) -> list[Facts]:
    """The properties of what was written into the ERP's books."""
    targets = [each for each in _targets(integration) if (each.entity, each.form) == (entity, SAP_B1)]
    if not targets:
        return []
    try:
        document = json.loads(body, parse_float=str) if body else None
    except ValueError:
        document = None
    return _told(targets[0], lambda target: _joined(_members(document, target.split(".")[1:])))


def _targets(integration: str) -> Sequence[TargetLineage]:
    """The lineage of an integration's mapping files; none where one of them is broken."""
    if integration == BANQUP:
        return without_mapping_files()
    folder = include_folder() / "mappings" / integration
    paths = sorted(path for path in (*folder.glob("*.yaml*"), *(folder / RECORD_SPECS).glob("*.yaml*")))
    try:
        return _lineage(tuple((path, path.stat().st_mtime_ns) for path in paths))
    except (TieoutError, OSError):
        return ()


@lru_cache(maxsize=16)
def _lineage(files: tuple[tuple[Path, int], ...]) -> tuple[TargetLineage, ...]:
    """Each file's targets; read anew when one of the files has changed, for they refer to each other."""
    return tuple(target for path, _changed in files for target in file_lineage(path))


def _form(targets: Sequence[TargetLineage], integration: str, instance: str, place: Place) -> TargetLineage | None:
    """The target that the file is, by its content, or by the instance's file where nothing is kept of it."""
    by_form = {target.form: target for target in targets}
    if place.is_x12:
        sets = [segment[1] for segment in _all_segments(place) if segment[0] == "ST" and len(segment) > 1]
        return by_form.get(f"x12 {sets[0]}") if sets else None
    spec = _record_spec(integration, instance, targets[0].entity) if targets else None
    return by_form.get(f"fixed_width {spec}") or by_form.get("csv") or by_form.get("file")


def _record_spec(integration: str, instance: str, entity: str) -> str | None:
    """The record spec of an entity that the instance writes in fixed width."""
    try:
        content = load_yaml(include_folder() / "integrations" / integration / f"{instance}.yaml").content
        settings = content["entities"][entity]
        return str(settings["record_spec"]) if settings["format"] == "fixed_width" else None
    except (TieoutError, KeyError, TypeError, ValueError):
        return None


def _told(target: TargetLineage, value: Value) -> list[Facts]:
    return [_column(target.form, row, value(row.target)) for row in target.rows]


def _column(form: str, row: ColumnLineage, value: str | None) -> Facts:
    return {
        "form": form,
        "source": row.source,
        "staged": row.staged,
        "target": row.target,
        "transformation": row.transformation,
        "kind": row.kind.value,
        "value": value,
    }


def _values(target: TargetLineage, place: Place) -> Value:
    if not place.content:
        return lambda _target: None
    if place.is_x12:
        return _element_values(place)
    if target.form.startswith("fixed_width"):
        return _field_values(target, place)
    if target.form == "csv":
        return _csv_values(place)
    return lambda _target: None


def _csv_values(place: Place) -> Value:
    """By the header row's names. What cannot be read by the sniffed delimiter, or not at all, has no values."""
    head, content = place.head.decode("utf-8-sig", "replace"), place.content.decode("utf-8", "replace")
    delimiter = max(",;\t|", key=head.partition("\n")[0].count)
    try:
        names = next(_csv_rows(head, delimiter), [])
        rows = list(_csv_rows(content, delimiter))
    except csv.Error:  # a field longer than the reader takes
        return lambda _target: None
    columns = {name: [row[at] for row in rows if len(row) == len(names)] for at, name in enumerate(names)}
    return lambda target: _joined(columns.get(target, ()))


def _csv_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """With the line breaks inside quotes as they are."""
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _field_values(target: TargetLineage, place: Place) -> Value:
    """By position; of those records only whose constant first field is the line's."""
    # Not splitlines: that also breaks at characters which are a field's content.
    lines = [line.rstrip("\r") for line in place.content.decode("utf-8", "replace").split("\n")]
    kinds = {match["record"] for row in target.rows if (match := _POSITIONS.match(row.target))}
    markers = {kind: _marker(target, kind) for kind in kinds}

    def value(name: str) -> str | None:
        match = _POSITIONS.match(name)
        if match is None or not (marker := markers[match["record"]]):
            return None
        first, last = int(match["first"]) - 1, int(match["last"] or match["first"])
        return _joined(line[first:last].strip() for line in lines if line.startswith(marker))

    return value


def _marker(target: TargetLineage, record: str) -> str:
    """What every line of a kind begins with; empty where no constant says."""
    for row in target.rows:
        match = _POSITIONS.match(row.target)
        if match and match["record"] == record and match["first"] == "1" and row.transformation.startswith("constant "):
            return row.transformation.removeprefix("constant ")
    return ""


def _element_values(place: Place) -> Value:
    segments = place.segments()

    def value(name: str) -> str | None:
        match = _ELEMENT.match(name)
        if match is None:
            return None
        at, first = int(match["number"]), match["first"]
        return _joined(
            segment[at]
            for segment in segments
            if segment[0] == match["id"] and len(segment) > at and first in (None, segment[1])
        )

    return value


def _all_segments(place: Place) -> list[list[str]]:
    """Those at the file's beginning, among which is its first set's."""
    return Place(place.file, place.head, place.head).segments()


def _members(document: Any, path: Sequence[str]) -> Iterable[str]:
    if isinstance(document, list):
        for item in document:
            yield from _members(item, path)
    elif path and isinstance(document, dict):
        yield from _members(document.get(path[0]), path[1:])
    elif not path and document is not None and not isinstance(document, dict):
        yield str(document)


def _joined(values: Iterable[str]) -> str | None:
    """One value where all are the same; None where there is none."""
    found = list(values)
    if not found:
        return None
    if len(set(found)) == 1:
        return found[0]
    return SEVERAL.join(found[:_MOST_VALUES]) + (f"{SEVERAL}…" if len(found) > _MOST_VALUES else "")
