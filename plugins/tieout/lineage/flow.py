"""What a step read and wrote, as plain values; Airflow's part makes OpenLineage's objects of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tieout.lineage.datasets import Dataset
from tieout.lineage.facets import Facet

Facets = Mapping[str, Facet]


@dataclass(frozen=True)
class Read:
    """A dataset that a step read.

    Attributes:
        dataset: Which.
        facets: What the dataset is: `schema`.
        checks: What was found when it was read: `dataQualityAssertions`, `dataQualityMetrics`.
    """

    dataset: Dataset
    facets: Facets = field(default_factory=dict)
    checks: Facets = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """A dataset that a step wrote.

    Attributes:
        dataset: Which.
        facets: What the dataset is and where it comes from: `schema`, `columnLineage`.
        figures: What was written: `outputStatistics`.
    """

    dataset: Dataset
    facets: Facets = field(default_factory=dict)
    figures: Facets = field(default_factory=dict)


@dataclass(frozen=True)
class Flow:
    """Everything that a step read and wrote, and what is told of the run itself."""

    reads: tuple[Read, ...] = ()
    writes: tuple[Written, ...] = ()
    run_facets: Facets = field(default_factory=dict)

    def __add__(self, other: Flow) -> Flow:
        """Both; a dataset that both read is told once, with what the first has to say."""
        known = {each.dataset for each in self.reads}
        reads = (*self.reads, *(each for each in other.reads if each.dataset not in known or each.checks))
        return Flow(reads, (*self.writes, *other.writes), {**other.run_facets, **self.run_facets})

    @property
    def inputs(self) -> tuple[Read, ...]:
        """What was read, and what else a written column comes from: a name that is looked up, for one."""
        named = {*(each.dataset for each in self.reads), *(each.dataset for each in self.writes)}
        origins = (
            Dataset(field["namespace"], field["name"])
            for each in self.writes
            for column in each.facets.get("columnLineage", {"fields": {}})["fields"].values()
            for field in column["inputFields"]
        )
        return (*self.reads, *(Read(each) for each in dict.fromkeys(origins) if each not in named))


NOTHING = Flow()
