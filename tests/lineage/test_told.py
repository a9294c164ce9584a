"""From a flow to OpenLineage's objects, and that lineage never fails a task."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.lineage.official import problems
from tieout.lineage.datasets import Dataset
from tieout.lineage.flow import NOTHING, Flow, Read, Written
from tieout.lineage.hops import facets
from tieout.mapping.lineage import ColumnLineage, Kind

pytestmark = pytest.mark.usefixtures("airflow_home")
SAP, FOLDER, STAGED = Dataset("sapb1://b1:50000", "C.Invoices"), Dataset("sftp://h:22", "/in"), Dataset("file", "/s")
ROWS = [
    ColumnLineage("Invoices.DocTotal", "DocTotal", "total", "rename", Kind.IDENTITY),
    ColumnLineage("Invoices.DocCurrency", "DocCurrency", "total", "decides", Kind.CONDITION),
    ColumnLineage("(constant)", "", "type", "constant X", Kind.CONSTANT),
]


def invoices(_: str) -> Dataset:
    return SAP


FLOW = Flow(
    (
        Read(SAP, {"schema": {"fields": [{"name": "DocTotal", "type": "decimal", "ordinal_position": 1}]}}),
        Read(
            STAGED,
            checks={
                "dataQualityAssertions": {
                    "assertions": [{"assertion": "expect_x", "success": False, "severity": "critical", "column": "a"}]
                },
                "dataQualityMetrics": {"rowCount": 2, "columnMetrics": {}},
            },
        ),
    ),
    (Written(FOLDER, facets(ROWS, invoices), {"outputStatistics": {"rowCount": 2, "size": 9, "fileCount": 1}}),),
    {"tieout_conservation": {"tiesOut": True, "extracted": 2, "entities": [{"sourceTotals": {"EUR": "1.10"}}]}},
)


def as_event(flow: Flow) -> dict[str, Any]:
    """The flow in an event, as the client writes it."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    from tieout.operators.lineage import operator_lineage

    lineage = operator_lineage(flow)
    event = RunEvent(
        eventTime="2026-01-31T00:00:00+00:00",
        eventType=RunState.COMPLETE,
        run=Run("01a1f640-bc00-7bb8-9c2b-9bdda5acdcf4", lineage.run_facets),
        job=Job("tieout", "a.b"),
        producer="https://example.com/producer",
        inputs=lineage.inputs,
        outputs=lineage.outputs,
    )
    found: dict[str, Any] = json.loads(Serde.to_json(event))
    return found


def plain(facet: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facet.items() if name not in ("_producer", "_schemaURL")}


def test_everything_that_a_flow_says_is_in_the_event() -> None:
    event = as_event(FLOW)
    assert problems(event) == []
    sap, staged = event["inputs"]
    assert (sap["namespace"], sap["name"]) == SAP
    assert plain(sap["facets"]["dataSource"]) == {"name": SAP[0], "uri": SAP[0]}
    assert sap["facets"]["schema"]["fields"][0]["type"] == "decimal"
    assert "dataSource" not in staged["facets"], "a local folder has no address"
    assert plain(staged["inputFacets"]["dataQualityMetrics"]) == {"rowCount": 2, "columnMetrics": {}}
    (assertion,) = staged["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["assertion"], assertion["success"], assertion["column"]) == ("expect_x", False, "a")
    (output,) = event["outputs"]
    assert plain(output["outputFacets"]["outputStatistics"]) == {"rowCount": 2, "size": 9, "fileCount": 1}
    fields = output["facets"]["columnLineage"]["fields"]
    assert fields["type"] == {"inputFields": []}
    assert [each["transformations"][0]["type"] for each in fields["total"]["inputFields"]] == ["DIRECT", "INDIRECT"]
    assert plain(event["run"]["facets"]["tieout_conservation"]) == FLOW.run_facets["tieout_conservation"]


def test_a_step_that_reads_and_writes_nothing_tells_nothing() -> None:
    event = as_event(NOTHING)
    assert (event["inputs"], event["outputs"], event["run"]["facets"]) == ([], [], {})


def test_what_a_column_comes_from_is_an_input_though_nobody_names_it() -> None:
    lookup = ColumnLineage("GenMaster.Description", "", "ACT02", "lookup by account", Kind.LOOKUP)
    written = Written(FOLDER, facets([*ROWS, lookup], lambda first: Dataset(SAP.namespace, first)))
    flow = Flow((Read(Dataset(SAP.namespace, "Invoices"), checks=FLOW.reads[1].checks),), (written,))
    event = as_event(flow)
    assert problems(event) == []
    assert [each["name"] for each in event["inputs"]] == ["Invoices", "GenMaster"]
    assert "dataQualityMetrics" in event["inputs"][0]["inputFacets"]


def test_what_a_step_makes_of_what_it_wrote_itself_is_no_input() -> None:
    made = (Written(STAGED, facets(ROWS, invoices)), Written(FOLDER, facets(ROWS, lambda _: STAGED)))
    assert [each["name"] for each in as_event(Flow((), made))["inputs"]] == [SAP.name]


def fails() -> Flow:
    raise FileNotFoundError("staging is gone")


def makes_no_sense() -> Flow:
    return Flow(run_facets={}, writes=(Written(FOLDER, {"unknown": {}}),))


@pytest.mark.parametrize("flow", [fails, makes_no_sense])
def test_lineage_never_fails_a_task(flow: Callable[[], Flow], caplog: pytest.LogCaptureFixture) -> None:
    from tieout.operators.lineage import told

    with caplog.at_level(logging.WARNING, logger="tieout.operators.lineage"):
        lineage = told(flow)
    assert (lineage.inputs, lineage.outputs) == ([], [])
    assert "The lineage of this task could not be told" in caplog.text


def test_every_operator_of_ours_tells_its_lineage() -> None:
    from tieout.operators import banqup_to_sftp, inbox, sap_b1_to_peakflo, sessions, stampli_to_sap_b1
    from tieout.operators import syspro_to_legacy_erp as syspro
    from tieout.operators.base import InstanceOperator

    modules = (banqup_to_sftp, inbox, sap_b1_to_peakflo, sessions, stampli_to_sap_b1, syspro)
    silent = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, cls in vars(module).items()
        if isinstance(cls, type)
        and issubclass(cls, InstanceOperator)
        and cls.__module__ == module.__name__
        and "execute" in vars(cls)
        and cls.flow is InstanceOperator.flow
    }
    assert silent == {
        *(f"{module}.OpenRun" for module in ("banqup_to_sftp", "sap_b1_to_peakflo", "stampli_to_sap_b1")),
        "syspro_to_legacy_erp.OpenRun", "stampli_to_sap_b1.Login", "stampli_to_sap_b1.FinanceDigest",
        "banqup_to_sftp.TellReceivers", "sessions.SapB1Login", "sessions.SapB1Logout", "sessions.SysproLogin",
        "sessions.SysproLogout",
    }, "these plan, log in and out, or write mails: no data of a source or a receiver passes through them"  # fmt: skip
