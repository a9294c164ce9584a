"""Links from tasks to the Tieout page: which operators have them, and whose tasks have none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.operators.test_dags import python
from tests.support.airflow_home import airflow_environment

ASK = """
import json
from types import SimpleNamespace
from tieout.operators.links import LINKS, page_root

key = SimpleNamespace(dag_id="sap_b1_to_peakflo__north", run_id="manual__2026-11-20T08:00:00+00:00")
mapped = lambda module: SimpleNamespace(operator_class={"task_type": "Deliver", "_task_module": module})
tasks = {
    "ours": SimpleNamespace(_task_module="tieout.operators.sap_b1_to_peakflo"),
    "ours, mapped": mapped("tieout.operators.banqup_to_sftp"),
    "another's": SimpleNamespace(_task_module="pizza.operators"),
    "another's, mapped": mapped("pizza.operators"),
}
print("RESULT" + json.dumps({
    "links": {name: LINKS[0].get_link(task, ti_key=key) for name, task in tasks.items()},
    "operators": {link.name: sorted({each.__name__ for each in link.operators}) for link in LINKS},
    "root": page_root(),
}))
"""


@pytest.mark.parametrize(
    ("base_url", "root"),
    [("https://airflow.example.com", "/tieout/"), ("https://example.com/airflow/", "/airflow/tieout/")],
)
def test_our_tasks_have_links_and_those_of_others_have_none(tmp_path: Path, base_url: str, root: str) -> None:
    env = airflow_environment(tmp_path, AIRFLOW__API__BASE_URL=base_url)
    found = json.loads(python(ASK, env=env).rpartition("RESULT")[2])

    assert found["root"] == root
    links = found["links"]
    assert (
        links["ours"]
        == links["ours, mapped"]
        == (
            f"{base_url.rstrip('/')}/tieout/#/runs?integration=sap_b1_to_peakflo&instance=north"
            "&run_id=manual__2026-11-20T08%3A00%3A00%2B00%3A00"
        )
    )
    assert links["another's"] == links["another's, mapped"] == "", "Airflow finds mapped tasks by their class's name"
    assert "Deliver" in found["operators"]["Files"] and "Post" in found["operators"]["Held records"]
