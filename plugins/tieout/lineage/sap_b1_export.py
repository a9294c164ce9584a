"""What the steps of SAP Business One → a partner's folder read and write: records → staging → CSV → SFTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tieout.config import SapB1Export
from tieout.delivery import remote_join
from tieout.integrations.expectations import found_in
from tieout.integrations.run import Run
from tieout.integrations.sap_b1_to_peakflo import reading
from tieout.integrations.sap_b1_to_peakflo.prepared import Prepared
from tieout.integrations.sap_b1_to_peakflo.steps import mapping_of
from tieout.integrations.sorting import Place
from tieout.ledger import Ledger
from tieout.lineage.catalog import canonical
from tieout.lineage.facets import (
    file_schema,
    quality_facets,
    source_schema,
    statistics_facet,
)
from tieout.lineage.flow import NOTHING, Flow, Read, Written
from tieout.lineage.hops import facets, into_staging, out_of_staging, sources, targets, unchanged
from tieout.lineage.places import Places, delivered_files, file_statistics
from tieout.mapping.compiler import compile_mapping
from tieout.mapping.lineage import ColumnLineage
from tieout.mapping.model import EntityMapping
from tieout.odata.manifest import ExtractManifest
from tieout.staging import Folder

DATA = "data.csv"


@dataclass(frozen=True)
class SapB1Flows:
    """The flows of one run.

    Attributes:
        run: The run.
        config: The instance.
        staging: The run's folder, which has what the steps left.
        places: Where the datasets are.
    """

    run: Run
    config: SapB1Export
    staging: Folder
    places: Places

    def extracted(self, entity: str) -> Flow:
        """Entity sets → staged records."""
        read = self._read_of(entity)
        reads = [Read(self.places.source(first), self._source_schema(read, first)) for first in sources(read.rows)]
        manifest = read.manifest
        if manifest is None:
            return Flow(tuple(reads))
        staged = Written(
            self.places.staging(entity, "extract"),
            facets(into_staging(read.rows, self.run.integration, entity), self.places.source),
            {"outputStatistics": statistics_facet(manifest.records, manifest.bytes, len(manifest.parts))},
        )
        return Flow(tuple(reads), (staged,))

    def prepared(self, entity: str) -> Flow:
        """Staged records → the file that would go."""
        read, prepared = self._read_of(entity), Prepared.load(self.staging, entity)
        staged = self.places.staging(entity, "extract")
        reads = (Read(staged),)
        if prepared is None:
            return Flow(reads)
        count = prepared.sorted.tallies[Place.SEND].count
        return Flow(
            reads,
            (
                Written(
                    self.places.staging(entity, "prepared", DATA),
                    {
                        **out_of_staging(read.rows, staged, self.places.source),
                        "schema": file_schema(read.mapping, read.custom),
                    },
                    {"outputStatistics": statistics_facet(count, prepared.sorted.bytes, 1)},
                ),
            ),
        )

    def checked(self, entities: Iterable[str]) -> Flow:
        """The files that were judged, with what was found."""
        found = ((entity, found_in(self.staging / entity / "prepared")) for entity in entities)
        return Flow(
            tuple(
                Read(
                    self.places.staging(entity, "prepared", report["file_name"]),
                    checks=quality_facets(report),
                )
                for entity, report in found
                if report is not None
            )
        )

    def delivered(self, entities: Iterable[str], ledger: Ledger) -> Flow:
        """Files → the partner's folder, as far as they have arrived."""
        return sum((self._delivered(entity, ledger) for entity in entities), start=NOTHING)

    def exported(self, entity: str, ledger: Ledger) -> Flow:
        """All of it in one step: entity sets → staging → the partner's folder."""
        first = self.extracted(entity)
        return first + self.prepared(entity) + self.checked([entity]) + self.delivered([entity], ledger)

    def _delivered(self, entity: str, ledger: Ledger) -> Flow:
        files = delivered_files(ledger, self.run.key(entity))
        if not files:
            return NOTHING
        read, file = self._read_of(entity), self.places.staging(entity, "prepared", DATA)
        folder = self.places.target(remote_join(self.config.target.root, entity))
        return Flow(
            (Read(file),),
            (
                Written(
                    folder,
                    {
                        **unchanged(targets(read.rows), file),
                        "schema": file_schema(read.mapping, read.custom),
                    },
                    {"outputStatistics": file_statistics(files)},
                ),
            ),
        )

    def _read_of(self, entity: str) -> _EntityRead:
        manifest = None
        if (self.staging / entity / "extract" / "extract.json").exists():
            manifest = reading.read_manifest(self.staging / entity / "extract")
        return _entity_read(mapping_of(self.run, self.config, entity), manifest, self.run.integration)

    def _source_schema(self, read: _EntityRead, first: str) -> dict[str, dict[str, object]]:
        if first != read.mapping.source.entity_set:
            return {}
        return {"schema": source_schema(read.mapping, read.custom)}


@dataclass(frozen=True)
class _EntityRead:
    """The mapping of what was read, with the columns of the custom fields that the source had."""

    mapping: EntityMapping
    manifest: ExtractManifest | None
    custom: Sequence[str]
    rows: Sequence[ColumnLineage]


def _entity_read(mapping: EntityMapping, manifest: ExtractManifest | None, integration: str) -> _EntityRead:
    other = mapping.alternative()
    if manifest is not None and other is not None and manifest.entity == other.source.entity_set:
        mapping = other
    named = {column.name for column in mapping.columns}
    compiled = compile_mapping(mapping, manifest.custom_fields if manifest is not None else {})
    custom = [name for name in compiled.header if name not in named]
    rows = canonical(mapping, integration, custom, with_alternative=False)
    return _EntityRead(mapping, manifest, custom, rows)
