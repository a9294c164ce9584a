"""`tieout mapping …`: the mapping files."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tieout.cli.output import note, print_json, print_table
from tieout.config import include_folder
from tieout.errors import ConfigurationInvalid
from tieout.mapping.cross_reference import content_version, load_cross_reference
from tieout.mapping.encryption import SUFFIX, decrypt_file, encrypt_file
from tieout.mapping.encryption import rotate as rotate_file
from tieout.mapping.loader import list_mappings, load_mapping, load_yaml_or_encrypted
from tieout.yaml_file import display_name

if TYPE_CHECKING:
    from tieout.lineage.catalog import TargetLineage

GL_RULES = "gl_postings"
RECORD_SPECS = "record_specs"


@dataclass(frozen=True)
class _Read:
    """One file, read: what kind it is, and what it is for."""

    kind: str
    entity: str
    columns: int | None
    version: str


def validate(arguments: argparse.Namespace) -> int:
    """Read every mapping with its lookups; 2 when one is wrong, after all have been looked at."""
    rows = [_validated(path) for path in _files(arguments.files)]
    if arguments.json:
        print_json(rows)
    else:
        print_table(rows, ("file", "kind", "entity", "columns", "version", "valid"))
        for row in rows:
            if row["problem"]:
                note(str(row["problem"]))
    return 0 if all(row["valid"] for row in rows) else 2


def _validated(path: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"file": display_name(path), "kind": None, "entity": None, "columns": None, "version": None}
    try:
        read = _read(path)
    except ConfigurationInvalid as error:
        return {**row, "valid": False, "problem": str(error)}
    found = {"kind": read.kind, "entity": read.entity, "columns": read.columns, "version": read.version[:12]}
    return {**row, **found, "valid": True, "problem": None}


def lineage(arguments: argparse.Namespace) -> int:
    """Everything in every target with its sources: as a table, as JSON, or as a picture."""
    from tieout.lineage.catalog import file_lineage, without_mapping_files

    targets = [target for path in _files(arguments.files) for target in file_lineage(path)]
    if not arguments.files:
        targets += without_mapping_files()
    targets = [target for target in targets if _is_wanted(target, arguments)]
    if getattr(arguments, "picture", False):
        return _draw(targets)
    rows = [row for target in targets for row in _lineage_rows(target)]
    if arguments.json:
        print_json(rows)
    else:
        print_table(rows, ("integration", "entity", "form", "target", "source", "staged", "transformation", "kind"))
    return 0


def _is_wanted(target: TargetLineage, arguments: argparse.Namespace) -> bool:
    """Whether the filters leave a target; one that is not given leaves all."""
    given = ((getattr(arguments, name, None), getattr(target, name)) for name in ("integration", "entity"))
    return all(wanted is None or wanted == found for wanted, found in given)


def _lineage_rows(target: TargetLineage) -> Iterator[dict[str, Any]]:
    """A target's rows; `column` and `operation` are what `target` and `transformation` were called first."""
    what = {"integration": target.integration, "entity": target.entity, "form": target.form}
    file = display_name(target.file) if target.file else None
    for row in target.rows:
        told = {**what, "file": file, **vars(row), "kind": row.kind.value}
        yield {**told, "column": row.target, "operation": row.transformation}


def _draw(targets: Sequence[TargetLineage]) -> int:
    from tieout.lineage.picture import MOST_ARROWS, arrows, mermaid

    picture = mermaid(targets)
    print(picture, end="")
    count = arrows(picture)
    if count > MOST_ARROWS:
        note(
            f"The picture has {count} arrows, and Mermaid draws {MOST_ARROWS} unless it is told otherwise (maxEdges): "
            "draw fewer mapping files at once."
        )
    return 0


def _read(path: Path) -> _Read:
    """A file of any kind; which one it is, its first key says.

    Raises:
        ConfigurationInvalid: It is wrong.
    """
    content = load_yaml_or_encrypted(path).content
    for kind, read in _KINDS.items():
        if isinstance(content, dict) and kind in content:
            return read(path)
    mapping = load_mapping(path)
    return _Read("mapping", mapping.entity, len(mapping.columns), mapping.version)


def _read_cross_reference(path: Path) -> _Read:
    """Translations only: the columns that use them are listed with the rules."""
    table = load_cross_reference(path)
    return _Read("cross-reference", table.name, None, table.version)


def _read_rules(path: Path) -> _Read:
    from tieout.integrations.stampli_to_sap_b1.lineage import rules_lineage
    from tieout.integrations.stampli_to_sap_b1.rules import load_rules

    rules = load_rules(path)
    properties = {row.target for rows in rules_lineage(rules, {}).values() for row in rows}
    return _Read("rules", rules.rules, len(properties), content_version(rules))


def _read_layout(path: Path) -> _Read:
    from tieout.systems.stampli.layout import load_layout

    layout = load_layout(path)
    return _Read("layout", layout.entity, sum(bool(names) for names in layout.names.values()), layout.version)


def _read_gl_rules(path: Path) -> _Read:
    from tieout.integrations.syspro_to_legacy_erp.gl.rules import read_gl_rules

    rules = read_gl_rules(path)
    return _Read("G/L rules", GL_RULES, len(rules.columns), content_version(rules))


def _read_record_spec(path: Path) -> _Read:
    """A fixed-width record spec; its constants are no columns."""
    from tieout.formats.fixed_width import FixedWidthSpec

    spec = load_yaml_or_encrypted(path).validate(FixedWidthSpec)
    fields = sum(field.const is None for _, record in spec.records.items() for field in record.fields)
    digest = hashlib.sha256(spec.model_dump_json(by_alias=True).encode()).hexdigest()
    return _Read("record spec", path.name.split(".")[0], fields, digest)


_KINDS: dict[str, Callable[[Path], _Read]] = {
    GL_RULES: _read_gl_rules,
    "records": _read_record_spec,
    "cross_reference": _read_cross_reference,
    "rules": _read_rules,
    "layout": _read_layout,
}


def encrypt(arguments: argparse.Namespace) -> int:
    """Encrypt files; each plain one goes only after its encrypted one has been read back."""
    for path in map(Path, arguments.files):
        target = path.with_name(path.name + SUFFIX)
        _refuse_to_overwrite(target)
        plain = _content(path)
        encrypt_file(path)
        if decrypt_file(target) != plain:
            raise ConfigurationInvalid(f"{display_name(target)} does not read back; {path.name} was left alone.")
        path.unlink()
        print(display_name(target))
    return 0


def decrypt(arguments: argparse.Namespace) -> int:
    """Decrypt files; each encrypted one goes once its plain one is written, readable by its owner only."""
    for path in map(Path, arguments.files):
        if path.suffix != SUFFIX:
            raise ConfigurationInvalid(f"{display_name(path)} does not end in {SUFFIX}: it is not encrypted.")
        target = path.with_suffix("")
        _refuse_to_overwrite(target)
        content = decrypt_file(path)
        target.touch(mode=0o600, exist_ok=False)
        target.write_bytes(content)
        path.unlink()
        print(display_name(target))
    return 0


def rotate(arguments: argparse.Namespace) -> int:
    """Encrypt files anew with the newest key."""
    for path in map(Path, arguments.files):
        rotate_file(path)
        print(display_name(path))
    return 0


def _files(given: Sequence[str]) -> list[Path]:
    """The files named, or all mappings there are."""
    if given:
        return [Path(name) for name in given]
    root = include_folder() / "mappings"
    folders = [folder for folder in sorted((*root.glob("*"), *root.glob(f"*/{RECORD_SPECS}"))) if folder.is_dir()]
    found = [path for folder in folders for path in list_mappings(folder)]
    if not found:
        raise ConfigurationInvalid(f"{root} has no mapping. Set TIEOUT_INCLUDE to the folder that has `mappings`.")
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationInvalid(f"{display_name(path)}: the file cannot be read ({error.strerror}).") from None


def _refuse_to_overwrite(target: Path) -> None:
    if target.exists():
        raise ConfigurationInvalid(f"{display_name(target)} exists already; move or remove it first.")
