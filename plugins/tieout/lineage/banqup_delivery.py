"""What the steps of Banqup → clients' servers read and write: documents → staging → index and folders.

In the catalogue's rows, `documents` is Banqup's listing, `Invoice` the UBL documents and `CODA` the statements.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tieout.integrations.banqup_to_sftp.documents import DOCUMENTS, FILES, VERDICTS
from tieout.integrations.banqup_to_sftp.index import SUITES, report_name
from tieout.integrations.run import Run
from tieout.ledger import FileRow, Ledger
from tieout.lineage.banqup import banqup
from tieout.lineage.datasets import Dataset, Locate
from tieout.lineage.facets import quality_facets, statistics_facet
from tieout.lineage.flow import NOTHING, Flow, Read, Written
from tieout.lineage.hops import facets, sources
from tieout.lineage.places import delivered_files, file_statistics
from tieout.mapping.lineage import ColumnLineage, Kind
from tieout.staging import Folder

LISTING = "documents"
_STATEMENT = ".cod"


@dataclass(frozen=True)
class BanqupFlows:
    """The flows of one run.

    Attributes:
        run: The run.
        staging: The run's folder, which has what the steps left.
        source: `documents`, `Invoice` or `CODA` → the dataset at Banqup.
        staged: Parts of a path below the instance's staging folder → the dataset there.
    """

    run: Run
    staging: Folder
    source: Locate
    staged: Callable[..., Dataset]

    def collected(self, documents: int, fetched: int) -> Flow:
        """Banqup's listing and files → staging.

        Args:
            documents: How many were listed.
            fetched: How many files were fetched.
        """
        every = [row for rows in banqup().values() for row in rows if row.kind.reads_source]
        by_place: dict[Dataset, dict[str, ColumnLineage]] = {}
        for row in every:
            column = row.source.partition(".")[2] or row.source
            hop = ColumnLineage(row.source, "", column, "as it came", Kind.IDENTITY)
            by_place.setdefault(self._place(row.source.partition(".")[0]), {})[row.source] = hop
        counts = {self._place(LISTING): documents}
        return Flow(
            tuple(Read(self.source(first)) for first in sources(every)),
            tuple(
                Written(
                    place,
                    facets(list(rows.values()), self.source),
                    {"outputStatistics": statistics_facet(counts.get(place, fetched))},
                )
                for place, rows in by_place.items()
            ),
        )

    def validated(self, documents: int) -> Flow:
        """Fetched documents → verdicts."""
        figures = {"outputStatistics": statistics_facet(documents)}
        return Flow((Read(self.staged(FILES)),), (Written(self.staged(VERDICTS), figures=figures),))

    def checked(self) -> Flow:
        """Documents and verdicts → the indexes, which are judged as soon as they are written."""
        found = dict(self._reports())
        if not found:
            return NOTHING
        reads = [Read(self._place(LISTING)), Read(self.staged(FILES)), Read(self.staged(VERDICTS))]
        writes = []
        for name, report in found.items():
            index = self.staged(f"index_{name}.csv")
            checks = quality_facets(report)
            reads.append(Read(index, checks=checks))
            figures = {"outputStatistics": statistics_facet(report["rows"], files=1)}
            writes.append(Written(index, facets(banqup()[name, "index"], self._place), figures))
        return Flow(tuple(reads), tuple(writes))

    def placed(self) -> Flow:
        """What decides where documents go."""
        return Flow((Read(self._place(LISTING)), Read(self.staged(VERDICTS))))

    def delivered(self, clients: Iterable[str], ledger: Ledger, target: Callable[[str], Locate]) -> Flow:
        """Documents → the clients' folders, as far as they have arrived.

        Args:
            clients: Who was served.
            ledger: Knows what has arrived.
            target: Client → path at its server → the dataset there.
        """
        writes = [
            self._folder(target(client)(folder), files)
            for client in clients
            for folder, files in _by_folder(delivered_files(ledger, self.run.key(client))).items()
        ]
        reads = (Read(self._place(LISTING)), Read(self.staged(FILES)))
        return Flow(reads if writes else (), tuple(writes))

    def _folder(self, folder: Dataset, files: Sequence[FileRow]) -> Written:
        """A folder with what has arrived there; some clients have invoices and statements in the same one."""
        endings = {file.file_name.endswith(_STATEMENT) for file in files}
        rows = [row for is_statement in sorted(endings) for row in banqup()[_ENTITIES[is_statement], "file"]]
        return Written(folder, facets(rows, self._place), {"outputStatistics": file_statistics(files)})

    def _reports(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name in SUITES:
            path = self.staging / report_name(name)
            if path.exists():
                with path.open("rb") as file:
                    yield name, json.loads(file.read())

    def _place(self, first: str) -> Dataset:
        """Where in staging a kind of source is."""
        return self.staged(DOCUMENTS if first == LISTING else FILES)


_ENTITIES = {False: "invoices", True: "statements"}


def _by_folder(files: Iterable[FileRow]) -> dict[str, list[FileRow]]:
    found: dict[str, list[FileRow]] = {}
    for file in files:
        found.setdefault(file.remote_path.rpartition("/")[0], []).append(file)
    return found
