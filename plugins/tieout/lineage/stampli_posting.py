"""What the steps of Stampli → SAP Business One read and write: files → staging → drafts → journal entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tieout.config import StampliToSapB1, include_folder
from tieout.delivery import remote_join
from tieout.integrations.expectations import found_in
from tieout.integrations.run import Run
from tieout.integrations.stampli_to_sap_b1.lineage import Layouts, layout_lineage, layouts_of, rules_lineage
from tieout.integrations.stampli_to_sap_b1.rules import load_rules
from tieout.integrations.stampli_to_sap_b1.staged import Collected
from tieout.ledger import Ledger
from tieout.lineage.datasets import Dataset, pattern
from tieout.lineage.facets import quality_facets, statistics_facet
from tieout.lineage.flow import Flow, Read, Written
from tieout.lineage.hops import facets, out_of_staging, targets
from tieout.lineage.places import Places
from tieout.mapping.lineage import ColumnLineage, Kind
from tieout.mapping.loader import find_mapping
from tieout.staging import Folder

DRAFTS = "drafts.jsonl"
INDEX = "index.csv"
JOURNAL_ENTRIES = "JournalEntries"
_RULES = ("business_partners", "journal_entries")


@dataclass(frozen=True)
class StampliFlows:
    """The flows of one run. In `places`, SAP is `source`, and `target` is Stampli's server.

    Attributes:
        run: The run.
        config: The instance.
        staging: The run's folder, which has what the steps left.
        places: Where the datasets are.
    """

    run: Run
    config: StampliToSapB1
    staging: Folder
    places: Places

    def collected(self, entities: Iterable[str]) -> Flow:
        """Stampli's files → staged records."""
        reads: list[Read] = []
        writes: list[Written] = []
        for entity in entities:
            layout, collected = self._layouts.get(entity), Collected.load(self.staging, entity)
            if layout is None:
                continue
            reads.append(Read(self._files(entity)))
            if collected is not None:
                figures = {"outputStatistics": statistics_facet(collected.tally.count, files=1)}
                columns = facets(layout_lineage(layout), self._files)
                writes.append(Written(self._staged(entity), columns, figures))
        return Flow(tuple(reads), tuple(writes))

    def prepared(self, entities: Iterable[str]) -> Flow:
        """Staged records → what each would become in SAP, and the index that is judged."""
        reads: list[Read] = []
        writes: list[Written] = []
        for entity in entities:
            reads.append(Read(self._staged(entity)))
            if (self.staging / entity / "prepared" / DRAFTS).exists():
                columns = out_of_staging(list(_by_column(self._rows(entity))), self._staged(entity), self._files)
                writes += [Written(self._drafts(entity), columns), Written(self._index(entity))]
        return Flow(tuple(reads), tuple(writes))

    def checked(self, entities: Iterable[str]) -> Flow:
        """The indexes of what would be posted, with what was found."""
        found = ((entity, found_in(self.staging / entity / "prepared")) for entity in entities)
        return Flow(
            tuple(
                Read(
                    self._index(entity),
                    checks=quality_facets(report),
                )
                for entity, report in found
                if report is not None
            )
        )

    def posted(self, entities: Sequence[str], ledger: Ledger) -> Flow:
        """Drafts → suppliers and journal entries, as far as they are in SAP."""
        rows: dict[str, list[ColumnLineage]] = {}
        counts: dict[str, int] = {}
        read: list[str] = []
        for entity in entities:
            run = ledger.get_run(self.run.key(entity))
            recorded_only = entity == "payments" and self.config.posting.payments == "record_only"
            if run is None or run.dry_run or not run.posted or recorded_only:
                continue
            read.append(entity)
            for target in targets(self._rows(entity)):
                entity_set, _, property_ = target.partition(".")
                rows.setdefault(entity_set, []).append(
                    ColumnLineage(f"{entity}.{target}", "", property_, "rename", Kind.IDENTITY)
                )
            counts[entity_set] = counts.get(entity_set, 0) + run.posted
        return Flow(
            tuple(Read(self._drafts(entity)) for entity in read),
            tuple(
                Written(
                    self.places.source(entity_set),
                    facets(found, self._drafts),
                    {"outputStatistics": statistics_facet(counts[entity_set])},
                )
                for entity_set, found in rows.items()
            ),
        )

    def archived(self, count: int) -> Flow:
        """Files that were moved at Stampli's server."""
        folder = self.places.target(self.config.collect.folder)
        archive = self.places.target(pattern(self.config.collect.archive))
        written = Written(archive, figures={"outputStatistics": {"fileCount": count}})
        return Flow((Read(folder),), (written,) if count else ())

    def read_back(self, entities: Iterable[str]) -> Flow:
        """SAP's own books, which are asked for what was posted; suppliers are not."""
        asked = any(entity != "vendors" for entity in entities)
        return Flow((Read(self.places.source(JOURNAL_ENTRIES)),) if asked else ())

    @cached_property
    def _layouts(self) -> Layouts:
        return layouts_of(include_folder() / "mappings" / self.run.integration)

    @cached_property
    def _written(self) -> Mapping[str, Sequence[ColumnLineage]]:
        """Entity → everything that is written to SAP for its records."""
        folder = include_folder() / "mappings" / self.run.integration
        found: dict[str, Sequence[ColumnLineage]] = {}
        for name in _RULES:
            found |= rules_lineage(load_rules(find_mapping(folder, name)), self._layouts)
        return found

    def _rows(self, entity: str) -> Sequence[ColumnLineage]:
        return self._written[entity]

    def _files(self, entity: str) -> Dataset:
        """The files of an entity, by their first name pattern, whatever their ending."""
        layout = self._layouts.get(entity)
        name = layout.files[0].rpartition(".")[0] if layout is not None else ""
        return self.places.target(remote_join(self.config.collect.folder, name or entity))

    def _staged(self, entity: str) -> Dataset:
        return self.places.staging(entity, "collected")

    def _drafts(self, entity: str) -> Dataset:
        return self.places.staging(entity, "prepared", DRAFTS)

    def _index(self, entity: str) -> Dataset:
        return self.places.staging(entity, "prepared", INDEX)


def _by_column(rows: Iterable[ColumnLineage]) -> Iterator[ColumnLineage]:
    """Staged columns by their names alone, as the layout has them: `invoices.lines.line_amount` → `line_amount`."""
    for row in rows:
        yield replace(row, staged=row.staged.rpartition(".")[2])
