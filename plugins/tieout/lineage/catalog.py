"""The lineage of every mapping file, of whatever kind it is; which one, its first key says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tieout.config import include_folder
from tieout.lineage.banqup import INTEGRATION as BANQUP
from tieout.lineage.banqup import banqup
from tieout.lineage.origins import LINES_APART, ORIGINS
from tieout.mapping.lineage import NO_ORIGINS, ColumnLineage, column_lineage
from tieout.mapping.loader import list_mappings, load_mapping, load_yaml_or_encrypted
from tieout.mapping.model import EntityMapping

RECORD_SPECS = "record_specs"
SYSPRO = "syspro_to_legacy_erp"


@dataclass(frozen=True)
class TargetLineage:
    """Where everything in one target comes from.

    Attributes:
        integration: Such as `sap_b1_to_peakflo`.
        entity: Such as `invoices`.
        form: What the target is: `csv`, `fixed_width <record spec>`, `x12 <set>`, `sap_b1`, `staged` (records as they
            are read), or for Banqup's documents `file` and `index`.
        file: The mapping file; None where no mapping file takes part.
        rows: In the order of the target.
    """

    integration: str
    entity: str
    form: str
    file: Path | None
    rows: tuple[ColumnLineage, ...]


def file_lineage(path: Path) -> list[TargetLineage]:
    """The targets that one file makes; none for a cross-reference, whose use the rules tell.

    Raises:
        ConfigurationInvalid: It is wrong, or one that it needs is; says file, line and key.
    """
    content = load_yaml_or_encrypted(path).content
    for key, read in _KINDS.items():
        if isinstance(content, dict) and key in content:
            return list(read(path))
    return list(_of_mapping(path))


def without_mapping_files() -> list[TargetLineage]:
    """The targets of integrations that have instances and no mapping files."""
    if not (include_folder() / "integrations" / BANQUP).is_dir():
        return []
    return [TargetLineage(BANQUP, entity, form, None, tuple(rows)) for (entity, form), rows in banqup().items()]


def canonical(
    mapping: EntityMapping,
    integration: str,
    custom_columns: Sequence[str] | None = None,
    *,
    with_alternative: bool = True,
) -> list[ColumnLineage]:
    """The columns of a mapping's file, with what is known of an integration's provided columns.

    Args:
        mapping: The mapping.
        integration: Whose.
        custom_columns: The columns of custom fields, when they are known.
        with_alternative: Also the columns as made from the second source, where the mapping has one.
    """
    return column_lineage(
        mapping,
        custom_columns,
        with_alternative=with_alternative,
        origins=ORIGINS.get((integration, mapping.entity), NO_ORIGINS),
        lines_apart=integration in LINES_APART,
    )


def _of_mapping(path: Path) -> Iterator[TargetLineage]:
    mapping = load_mapping(path)
    integration = path.parent.name
    rows = canonical(mapping, integration)
    yield TargetLineage(integration, mapping.entity, "csv", path, tuple(rows))
    if integration == SYSPRO:
        from tieout.lineage import syspro

        set_id = syspro.DOCUMENT_SETS.get(mapping.entity)
        if set_id is not None:
            elements = syspro.x12(set_id, syspro.by_column(rows))
            yield TargetLineage(integration, mapping.entity, f"x12 {set_id}", path, tuple(elements))


def _of_gl_rules(path: Path) -> Iterator[TargetLineage]:
    from tieout.integrations.syspro_to_legacy_erp.gl.rules import read_gl_rules
    from tieout.lineage import syspro

    rules = read_gl_rules(path)
    yield TargetLineage(SYSPRO, syspro.GL_ENTITY, "csv", path, tuple(syspro.gl_csv(rules)))
    columns = syspro.gl_columns(rules)
    for set_id in syspro.GL_SETS:
        yield TargetLineage(SYSPRO, syspro.GL_ENTITY, f"x12 {set_id}", path, tuple(syspro.x12(set_id, columns)))


def _of_record_spec(path: Path) -> Iterator[TargetLineage]:
    """For every entity that has the columns which the spec takes; with no sources where none has."""
    from tieout.formats.fixed_width import FixedWidthSpec
    from tieout.lineage import syspro

    spec = load_yaml_or_encrypted(path).validate(FixedWidthSpec)
    folder = path.parent.parent if path.parent.name == RECORD_SPECS else path.parent
    fitting = {
        entity: columns for entity, columns in _entities_of(folder).items() if columns.keys() >= set(spec.columns)
    }
    form = f"fixed_width {path.name.partition('.')[0]}"
    for entity, columns in (fitting or {"": {}}).items():
        yield TargetLineage(folder.name, entity, form, path, tuple(syspro.fixed_width(spec, columns)))


def _entities_of(folder: Path) -> dict[str, Mapping[str, list[ColumnLineage]]]:
    """The canonical columns of each entity of a folder with G/L rules and mappings."""
    from tieout.integrations.syspro_to_legacy_erp.gl.rules import read_gl_rules
    from tieout.lineage import syspro

    found: dict[str, Mapping[str, list[ColumnLineage]]] = {}
    for path in list_mappings(folder):
        content = load_yaml_or_encrypted(path).content
        if not isinstance(content, dict):
            continue
        if syspro.GL_ENTITY in content:
            found[syspro.GL_ENTITY] = syspro.gl_columns(read_gl_rules(path))
        elif not _KINDS.keys() & content.keys():
            mapping = load_mapping(path)
            found[mapping.entity] = syspro.by_column(canonical(mapping, folder.name))
    return found


def _of_rules(path: Path) -> Iterator[TargetLineage]:
    from tieout.integrations.stampli_to_sap_b1.lineage import layouts_of, rules_lineage
    from tieout.integrations.stampli_to_sap_b1.rules import load_rules

    for entity, rows in rules_lineage(load_rules(path), layouts_of(path.parent)).items():
        yield TargetLineage(path.parent.name, entity, "sap_b1", path, tuple(rows))


def _of_layout(path: Path) -> Iterator[TargetLineage]:
    from tieout.integrations.stampli_to_sap_b1.lineage import layout_lineage
    from tieout.systems.stampli.layout import load_layout

    layout = load_layout(path)
    yield TargetLineage(path.parent.name, layout.entity, "staged", path, tuple(layout_lineage(layout)))


def _of_cross_reference(path: Path) -> Iterator[TargetLineage]:
    from tieout.mapping.cross_reference import load_cross_reference

    load_cross_reference(path)
    return iter(())


_KINDS: Mapping[str, Callable[[Path], Iterator[TargetLineage]]] = {
    "gl_postings": _of_gl_rules,
    "records": _of_record_spec,
    "cross_reference": _of_cross_reference,
    "rules": _of_rules,
    "layout": _of_layout,
}
