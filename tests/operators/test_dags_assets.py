"""Feeds as assets: what their URIs are made of, and which of them a task announces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import INVOICES, deliver_and_hold
from tests.operators.test_dags import python
from tests.support.airflow_home import airflow_environment
from tieout.ledger import Ledger

RUN = """
import json, sys
from types import SimpleNamespace
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from tieout.ledger import Ledger
from tieout.operators.assets import announce, feeds

integration, instance, run_id, dry_run, entities, store = json.loads(sys.argv[2])
said = []
told = SimpleNamespace(integration=integration, name=instance)
operator = SimpleNamespace(
    outlets=feeds(told, ["invoices", "credit_notes"]), log=SimpleNamespace(warning=lambda *words: said.append(words[0]))
)
declared = operator.outlets
run = SimpleNamespace(integration=integration, instance=instance, run_id=run_id, dry_run=dry_run)


class Store(dict):
    def __missing__(self, asset):
        if store == "broken":
            raise RuntimeError("the API server is away")
        return SimpleNamespace(set=lambda name, value: self.__setitem__(asset, {name: value}))


stores = Store()
context = {"outlet_events": OutletEventAccessors(), "asset_state_store": stores}
with Ledger.open(sys.argv[1]) as ledger:
    announce(operator, context, ledger, run, entities)
print("RESULT" + json.dumps({
    "outlets": [asset.uri for asset in operator.outlets],
    "declared": len(declared),
    "extra": {key.uri: each.extra for key, each in context["outlet_events"]._dict.items()},
    "stored": {asset.uri: value for asset, value in stores.items()},
    "said": said,
}))
"""
INVOICES_URI = f"tieout://{INVOICES.integration}/{INVOICES.instance}/invoices"


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger.open(url, migrate=True) as book:
        deliver_and_hold(book, INVOICES, sent=("6", "7"), held="8")
    return url


def announced(
    tmp_path: Path,
    url: str,
    *,
    run_id: str = INVOICES.run_id,
    dry_run: bool = False,
    entities: Any = None,
    store: str = "",
) -> dict[str, Any]:
    asked = json.dumps([INVOICES.integration, INVOICES.instance, run_id, dry_run, entities, store])
    output = python(RUN, url, asked, env=airflow_environment(tmp_path))
    found: dict[str, Any] = json.loads(output.rpartition("RESULT")[2])
    return found


def test_a_feed_that_got_something_is_announced_with_its_figures(tmp_path: Path, ledger_url: str) -> None:
    found = announced(tmp_path, ledger_url)

    assert found["outlets"] == [INVOICES_URI] and found["declared"] == 2, "what got nothing makes no event"
    with Ledger.open(ledger_url) as book:
        row = book.get_run(INVOICES)
        watermark = book.watermark(INVOICES.scope)
    assert row is not None and row.delivered == 2
    totals = {currency: str(amount) for currency, amount in row.target_totals.items()}
    assert found["extra"] == {INVOICES_URI: {"run_id": INVOICES.run_id, "files": 1, "records": 2, "totals": totals}}
    assert found["stored"] == ({INVOICES_URI: {"watermark": watermark}} if watermark else {})


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"dry_run": True}, id="a look sends nothing"),
        pytest.param({"run_id": "another run"}, id="another run sent nothing"),
        pytest.param({"entities": ["credit_notes"]}, id="another task of the run sent it"),
    ],
)
def test_what_a_task_has_not_sent_is_not_announced(tmp_path: Path, ledger_url: str, asked: dict[str, Any]) -> None:
    found = announced(tmp_path, ledger_url, **asked)
    assert (found["outlets"], found["extra"]) == ([], {})


def test_a_store_that_fails_does_not_fail_the_run(tmp_path: Path, ledger_url: str) -> None:
    with Ledger.open(ledger_url) as book:
        assert book.watermarks(INVOICES.integration, INVOICES.instance), "there is something to show"
    found = announced(tmp_path, ledger_url, store="broken")

    assert found["outlets"] == [INVOICES_URI]
    assert len(found["said"]) == 1 and "not shown" in found["said"][0]


URIS = """
import json
from types import SimpleNamespace
from airflow.providers.openlineage.utils.utils import translate_airflow_asset
from airflow.sdk import Asset
from tieout.operators.assets import entity_of, feed

found = {}
for uri in ("tieout://a/b", "tieout://a/b/c/d", "tieout://a/b/c?x=1", "tieout:///b/c"):
    try:
        found[uri] = Asset(name=uri, uri=uri).uri
    except ValueError as error:
        found[uri] = "refused: " + str(error)
odd = feed(SimpleNamespace(integration="banqup_to_sftp", name="acme"), "C/1 é")
dataset = translate_airflow_asset(odd, None)
print("RESULT" + json.dumps([found, odd.uri, odd.name, entity_of(odd), dataset.namespace, dataset.name]))
"""


def test_uris_name_integration_instance_and_entity_and_lineage_understands_them(tmp_path: Path) -> None:
    output = python(URIS, env=airflow_environment(tmp_path))
    refused, uri, name, entity, namespace, dataset = json.loads(output.rpartition("RESULT")[2])

    assert all(answer.startswith("refused: URI format tieout:// must be") for answer in refused.values()), refused
    assert uri == f"tieout://{name}" and name.startswith("banqup_to_sftp/acme/") and entity == "C/1 é"
    assert name.count("/") == 2
    assert (namespace, dataset) == ("tieout", name)
