"""A step's flow as OpenLineage's objects, for Airflow's OpenLineage provider; imported only when an event is made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    RunFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    datasource_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

if TYPE_CHECKING:
    from tieout.lineage.datasets import Dataset
    from tieout.lineage.facets import Facet
    from tieout.lineage.flow import Facets, Flow

log = logging.getLogger(__name__)


def told(flow: Callable[[], Flow]) -> OperatorLineage:
    """What a step read and wrote; nothing, and a sentence in the log, where that cannot be told.

    Lineage is never a reason for a task to fail, whatever is wrong with it.
    """
    try:
        return operator_lineage(flow())
    except Exception as error:
        log.warning("The lineage of this task could not be told (%s: %s).", type(error).__name__, error)
        return OperatorLineage()


def operator_lineage(flow: Flow) -> OperatorLineage:
    """A flow as the provider takes it."""
    return OperatorLineage(
        inputs=[
            InputDataset(
                read.dataset.namespace,
                read.dataset.name,
                facets=_dataset_facets(read.dataset, read.facets),
                inputFacets=_facets(read.checks),
            )
            for read in flow.inputs
        ],
        outputs=[
            OutputDataset(
                written.dataset.namespace,
                written.dataset.name,
                facets=_dataset_facets(written.dataset, written.facets),
                outputFacets=_facets(written.figures),
            )
            for written in flow.writes
        ],
        run_facets={name: RunFacet().with_additional_properties(**facet) for name, facet in flow.run_facets.items()},
    )


def _dataset_facets(dataset: Dataset, facets: Facets) -> dict[str, Any]:
    """The facets, and where the dataset is; a local folder has no address."""
    found = _facets(facets)
    if "://" in dataset.namespace:
        found["dataSource"] = datasource_dataset.DatasourceDatasetFacet(name=dataset.namespace, uri=dataset.namespace)
    return found


def _facets(facets: Facets) -> dict[str, Any]:
    return {name: _MAKE[name](facet) for name, facet in facets.items()}


def _schema(facet: Facet) -> schema_dataset.SchemaDatasetFacet:
    return schema_dataset.SchemaDatasetFacet(
        fields=[schema_dataset.SchemaDatasetFacetFields(**field) for field in facet["fields"]]
    )


def _column_lineage(facet: Facet) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            column: column_lineage_dataset.Fields(inputFields=[_input_field(each) for each in field["inputFields"]])
            for column, field in facet["fields"].items()
        }
    )


def _input_field(field: Mapping[str, Any]) -> column_lineage_dataset.InputField:
    steps = [column_lineage_dataset.Transformation(**step) for step in field["transformations"]]
    return column_lineage_dataset.InputField(**{**field, "transformations": steps})


def _assertions(facet: Facet) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    module = data_quality_assertions_dataset
    return module.DataQualityAssertionsDatasetFacet(
        assertions=[module.Assertion(**each) for each in facet["assertions"]]
    )


_MAKE: Mapping[str, Callable[[Facet], Any]] = {
    "schema": _schema,
    "columnLineage": _column_lineage,
    "dataQualityAssertions": _assertions,
    "dataQualityMetrics": lambda facet: data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(**facet),
    "outputStatistics": lambda facet: output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(**facet),
}
