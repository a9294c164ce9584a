"""Where an instance's datasets are, and how much of them a run has delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tieout.ledger import FileRow, Ledger, RunKey
from tieout.lineage.datasets import Dataset, Locate
from tieout.lineage.facets import Facet, statistics_facet


@dataclass(frozen=True)
class Places:
    """Where an instance's datasets are.

    Attributes:
        source: Entity set or table → its dataset.
        staging: Parts of a path below the instance's staging folder → the dataset there.
        target: Path at the receiver → the dataset there.
    """

    source: Locate
    staging: Callable[..., Dataset]
    target: Callable[[str], Dataset]


def delivered_files(ledger: Ledger, key: RunKey) -> list[FileRow]:
    """What a run has delivered since it was begun; a run that was cleared answers only for what it does now."""
    row = ledger.get_run(key)
    if row is None or row.dry_run:
        return []
    return [
        file for file in ledger.files_of_run(key) if file.state == "delivered" and file.created_at >= row.started_at
    ]


def file_statistics(files: Sequence[FileRow]) -> Facet:
    """The figures of delivered files.

    Files that go beside the data (manifests of one file, checksums, triggers) are not counted. Where many files are
    listed in one that says how many records they are, as PDFs are, its records are those that count.
    """
    data = [file for file in files if file.kind == "data"]
    lists = [file for file in files if file.kind == "manifest"]
    if lists and not _is_beside(lists[0], data):
        return statistics_facet(
            sum(file.records for file in lists), sum(file.bytes for file in (*data, *lists)), len(data) + len(lists)
        )
    return statistics_facet(sum(file.records for file in data), sum(file.bytes for file in data), len(data))


def _is_beside(manifest: FileRow, data: Sequence[FileRow]) -> bool:
    """Whether a manifest is of one data file, whose name its own begins with."""
    return any(manifest.file_name.startswith(file.file_name) for file in data)
