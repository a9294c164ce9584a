"""What the steps of SYSPRO → legacy ERP read and write: tables → staging → the partner's format → SFTP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tieout.delivery import remote_join
from tieout.integrations.expectations import found_in
from tieout.integrations.syspro_to_legacy_erp.gl.files import DATA, GROUPS
from tieout.integrations.syspro_to_legacy_erp.naming import EXTENSIONS
from tieout.integrations.syspro_to_legacy_erp.plan import GL_POSTINGS, Plan
from tieout.integrations.syspro_to_legacy_erp.prepared import Prepared
from tieout.integrations.syspro_to_legacy_erp.preparing import EXTRACT, PREPARED, part_folder
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.ledger import Ledger
from tieout.lineage import syspro
from tieout.lineage.catalog import canonical
from tieout.lineage.datasets import Dataset, pattern
from tieout.lineage.facets import file_schema, quality_facets, statistics_facet
from tieout.lineage.flow import NOTHING, Flow, Read, Written
from tieout.lineage.hops import facets, into_staging, out_of_staging, sources, targets, unchanged
from tieout.lineage.places import Places, delivered_files, file_statistics
from tieout.mapping.lineage import ColumnLineage
from tieout.staging import Folder

CANONICAL = "data.csv"


@dataclass(frozen=True)
class SysproFlows:
    """The flows of one run.

    Attributes:
        setup: The run's surroundings.
        staging: The run's folder, which has what the steps left.
        places: Where the datasets are.
    """

    setup: Setup
    staging: Folder
    places: Places

    def extracted(self, plan: Plan) -> Flow:
        """Tables → staged records; files that are sent again are read from nowhere."""
        if plan.read == "archive":
            return NOTHING
        rows = self._canonical(plan.entity)
        reads = tuple(Read(self.places.source(first)) for first in sources(rows))
        found = self._staged_records(plan.entity)
        if found is None:
            return Flow(reads)
        staged = into_staging(rows, self.setup.run.integration, plan.entity)
        figures = {"outputStatistics": statistics_facet(found[0], files=found[1])}
        return Flow(reads, (Written(self._staged(plan.entity), facets(staged, self.places.source), figures),))

    def prepared(self, plan: Plan) -> Flow:
        """Staged records → the canonical file, where there is one, and the files in the partner's format."""
        prepared = Prepared.load(self.staging / plan.entity / PREPARED)
        if plan.read == "archive":
            return NOTHING
        staged = self._staged(plan.entity)
        if prepared is None:
            return Flow((Read(staged),))
        outputs = prepared.outputs
        figures = statistics_facet(
            sum(output.records for output in outputs), sum(output.bytes for output in outputs), len(outputs)
        )
        final = Written(
            self._prepared(plan.entity, DATA),
            out_of_staging(self._final(plan.entity), staged, self.places.source),
            {"outputStatistics": figures},
        )
        return Flow((Read(staged),), (self._judged_file(plan.entity, staged), final))

    def checked(self, plans: Iterable[Plan]) -> Flow:
        """The files that were judged, with what was found; of several periods, in the one that has most against it."""
        reads = []
        for plan in plans:
            prepared = Prepared.load(self.staging / plan.entity / PREPARED)
            parts = [output.part for output in prepared.outputs] if prepared is not None else []
            judged = (found_in(part_folder(self.staging, plan.entity, part)) for part in parts)
            report = max((each for each in judged if each is not None), key=_failures, default=None)
            if report is not None:
                file = self._prepared(plan.entity, report["file_name"])
                reads.append(Read(file, checks=quality_facets(report)))
        return Flow(tuple(reads))

    def delivered(self, plans: Iterable[Plan], ledger: Ledger) -> Flow:
        """Files → the partner's folder, as far as they have arrived."""
        return sum((self._delivered(plan, ledger) for plan in plans), start=NOTHING)

    def _delivered(self, plan: Plan, ledger: Ledger) -> Flow:
        files = delivered_files(ledger, self.setup.run.key(plan.entity))
        if not files:
            return NOTHING
        file = self._prepared(plan.entity, DATA)
        figures = {"outputStatistics": file_statistics(files)}
        there = self.places.target(remote_join(self.setup.config.target.root, self._file_pattern(plan.entity)))
        if plan.read == "archive":
            return Flow(writes=(Written(there, figures=figures),))
        return Flow((Read(file),), (Written(there, unchanged(targets(self._final(plan.entity)), file), figures),))

    def _judged_file(self, entity: str, staged: Dataset) -> Written:
        """What Great Expectations looks at: of postings the groups, of documents the canonical file."""
        if entity == GL_POSTINGS:
            return Written(self._prepared(entity, GROUPS))
        mapping = self.setup.mapping(entity)
        columns = out_of_staging(self._canonical(entity), staged, self.places.source)
        return Written(self._prepared(entity, CANONICAL), {**columns, "schema": file_schema(mapping)})

    def _canonical(self, entity: str) -> Sequence[ColumnLineage]:
        """Everything that a record consists of, whatever the format."""
        if entity != GL_POSTINGS:
            return canonical(self.setup.mapping(entity), self.setup.run.integration)
        return [row for rows in syspro.gl_columns(self.setup.gl_rules().file).values() for row in rows]

    def _final(self, entity: str) -> Sequence[ColumnLineage]:
        """The targets of the partner's format."""
        settings = self.setup.entity(entity)
        rows = self._canonical(entity)
        if settings.format == "fixed_width":
            return list(syspro.fixed_width(self.setup.record_spec(entity), syspro.by_column(rows)))
        if settings.format == "x12":
            return syspro.x12(self._x12_set(entity), syspro.by_column(rows))
        return syspro.gl_csv(self.setup.gl_rules().file) if entity == GL_POSTINGS else rows

    def _x12_set(self, entity: str) -> str:
        profile = self.setup.config.partner.x12
        if entity == GL_POSTINGS:
            return self.setup.entity(entity).gl_set or (profile and profile.gl_set) or syspro.GL_SETS[0]
        return syspro.DOCUMENT_SETS[entity]

    def _staged_records(self, entity: str) -> tuple[int, int] | None:
        """How many records were staged, and in how many files; None where the extraction did not come to its end."""
        path = self.staging / entity / EXTRACT / "extract.json"
        if not path.exists():
            return None
        with path.open("rb") as file:
            found = json.loads(file.read())
        if entity == GL_POSTINGS:
            return sum(period["postings"] for period in found), sum(len(period["parts"]) for period in found)
        return found["records"], len(found["part_names"])

    def _staged(self, entity: str) -> Dataset:
        return self.places.staging(entity, EXTRACT)

    def _prepared(self, entity: str, name: str) -> Dataset:
        return self.places.staging(entity, PREPARED, name)

    def _file_pattern(self, entity: str) -> str:
        """The names of an entity's files, with `*` for what differs from run to run."""
        partner, settings = self.setup.config.partner, self.setup.entity(entity)
        name = partner.file_name
        for placeholder, value in (
            ("prefix", settings.prefix or entity),
            ("company", self.setup.company),
            ("ext", settings.ext or EXTENSIONS[settings.format]),
            ("entity", entity),
            ("instance", self.setup.run.instance),
        ):
            name = name.replace("{" + placeholder + "}", value)
        name = pattern(name)
        return name.upper() if partner.upper_case else name


def _failures(report: Mapping[str, Any]) -> int:
    return sum(not result["success"] for result in report["results"])
