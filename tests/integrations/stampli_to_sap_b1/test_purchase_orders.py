"""Purchase orders on their way to Stampli: real HTTP, real SSH, a real ledger."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.data import Sizes
from sandbox.sftp import SftpSandbox
from sandbox.stampli.purchase_orders import received_orders
from sandbox.world import Sandbox
from tests.support.ports import kept_port
from tests.support.rehearsing import one_session, sap_settings
from tieout.config import StampliToSapB1
from tieout.delivery import SftpTarget
from tieout.errors import ConfigurationInvalid, ReceiverUnavailable, SourceUnavailable, TieoutError
from tieout.integrations.run import Run
from tieout.integrations.sap_b1_to_peakflo import source_money
from tieout.integrations.stampli_to_sap_b1 import purchase_orders
from tieout.integrations.tie_out import Verdict, tie_out
from tieout.ledger import Filters, Ledger, RunRow
from tieout.systems.sap_b1.client import SapB1Client

ROOT = Path(__file__).resolve().parents[3]
ENTITY = "purchase_orders"
SMALL = Sizes(customers=3, suppliers=2, leads=0, items=2, invoices=2, credit_notes=1)
CLOSED = {"DocumentStatus": "bost_Close"}
CANCELLED = {"DocumentStatus": "bost_Close", "Cancelled": "tYES", "CancelStatus": "csYes"}


@dataclass
class Outcome:
    """What one run did: the ledger's row, the verdict, what `export` returned, and the rows that arrived."""

    row: RunRow | None
    verdicts: list[Verdict]
    result: dict[str, Any]
    error: TieoutError | None
    rows: list[dict[str, str]]
    files: dict[str, bytes]

    def status(self) -> dict[str, str]:
        """DocEntry → status, of what arrived."""
        return {row["purchase_order_id"]: row["status"] for row in self.rows}

    def places(self) -> dict[str, int]:
        """How many records ended where."""
        assert self.row is not None
        names = ("extracted", "delivered", "held", "duplicate", "excluded")
        return {name: count for name in names if (count := getattr(self.row, name))}


@dataclass
class Exchange:
    """SAP, Stampli's SFTP server, a ledger and a staging folder over several runs."""

    sandbox: Sandbox
    stampli: SftpSandbox
    ledger: Ledger
    folder: Path
    config: StampliToSapB1 = field(default_factory=lambda: StampliToSapB1(purchase_orders=True))
    runs: int = 0

    @property
    def company(self) -> Company:
        return self.sandbox.company

    def target(self) -> SftpTarget:
        user = next(iter(self.stampli.users.values()))
        return SftpTarget.from_connection(
            host=self.stampli.host,
            port=self.stampli.port,
            login=user.name,
            password=user.password,
            extra={"host_key": self.stampli.host_key},
            production=True,
        )

    def client(self) -> AbstractContextManager[SapB1Client]:
        settings = sap_settings(self.sandbox)
        return one_session(replace(settings, page_size=3))

    def new_run(self, **changes: Any) -> Run:
        self.runs += 1
        stamp = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=self.runs)
        run = Run("stampli_to_sap_b1", "default", f"run-{self.runs}", "incremental", None, None, stamp)
        return replace(run, **changes)

    def received(self) -> dict[str, bytes]:
        inbound = self.stampli.root / "inbound"
        return {str(path.relative_to(inbound)): path.read_bytes() for path in inbound.rglob("*") if path.is_file()}

    def go(self, run: Run | None = None, **changes: Any) -> Outcome:
        run = run or self.new_run(**changes)
        before = self.received()
        result: dict[str, Any] = {}
        error: TieoutError | None = None
        with self.client() as client:
            try:
                result = purchase_orders.export(
                    run, self.config, self.ledger, self.folder / run.run_id, client, self.target
                )
            except TieoutError as raised:
                error = raised
        row = self.ledger.get_run(run.key(ENTITY))
        verdicts = tie_out(run, [ENTITY], self.ledger) if row is not None else []
        files = {name: content for name, content in self.received().items() if before.get(name) != content}
        rows = [row for content in files.values() for row in csv.DictReader(io.StringIO(content.decode(), newline=""))]
        return Outcome(self.ledger.get_run(run.key(ENTITY)), verdicts, result, error, rows, files)

    def well(self, **changes: Any) -> Outcome:
        """A run that must succeed and tie out."""
        outcome = self.go(**changes)
        assert outcome.error is None
        assert [verdict.problem for verdict in outcome.verdicts if not verdict.ties_out] == []
        return outcome

    def orders(self) -> dict[str, dict[str, Any]]:
        """SAP's orders by DocEntry."""
        return {str(row["DocEntry"]): row for row in self.company.rows("PurchaseOrders")}

    def open(self) -> set[str]:
        """The orders that are open in SAP."""
        return {key for key, row in self.orders().items() if row["DocumentStatus"] == "bost_Open"}

    def change(self, key: str, values: dict[str, Any], **options: Any) -> None:
        self.company.update("PurchaseOrders", int(key), values, **options)

    def held(self) -> dict[str, str]:
        rows = self.ledger.held(Filters("stampli_to_sap_b1", "default", ENTITY, status="held"))
        return {row.source_key: row.reason_code for row in rows}


@pytest.fixture
def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    monkeypatch.setattr("tieout.ledger.database.SYNCHRONOUS", "OFF")
    (tmp_path / "stampli" / "inbound").mkdir(parents=True)
    with (
        Sandbox(size=SMALL, folder=tmp_path / "sandbox", only=("sap_b1",)) as sandbox,
        SftpSandbox(tmp_path / "stampli") as stampli,
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", migrate=True) as ledger,
    ):
        exchange = Exchange(sandbox, stampli, ledger, tmp_path / "staging")
        assert len(exchange.open()) > 3 and len(exchange.orders()) > len(exchange.open()), "the tests need both kinds"
        yield exchange


def test_open_orders_go_line_by_line_and_closed_ones_stay(exchange: Exchange) -> None:
    outcome = exchange.well()

    orders, closed = exchange.orders(), len(exchange.orders()) - len(exchange.open())
    assert outcome.places() == {"extracted": len(orders), "delivered": len(exchange.open()), "excluded": closed}
    assert list(outcome.files) == ["purchase_orders/purchase_orders_default_20260301T010000Z_0001.csv"]
    assert outcome.status() == dict.fromkeys(sorted(exchange.open(), key=int), "OPEN")
    for key in exchange.open():
        order = orders[key]
        foreign = order["DocTotalFc"] != 0
        rows = [row for row in outcome.rows if row["purchase_order_id"] == key]
        assert [row["line_number"] for row in rows] == [str(line["LineNum"]) for line in order["DocumentLines"]]
        for row, line in zip(rows, order["DocumentLines"], strict=True):
            assert row["po_number"] == str(order["DocNum"])
            assert (row["vendor_id"], row["vendor_name"]) == (order["CardCode"], order["CardName"])
            assert (row["order_date"], row["due_date"]) == (order["DocDate"], order["DocDueDate"])
            assert row["currency"] == order["DocCurrency"]
            assert Decimal(row["total_amount"]) == Decimal(str(order["DocTotalFc" if foreign else "DocTotal"]))
            assert Decimal(row["tax_amount"]) == Decimal(str(order["VatSumFc" if foreign else "VatSum"]))
            assert row["comments"] == order["Comments"]
            assert (row["item"], row["description"]) == (line["ItemCode"] or "", line["ItemDescription"])
            assert Decimal(row["quantity"]) == Decimal(str(line["Quantity"]))
            assert Decimal(row["unit_price"]) == Decimal(str(line["Price"]))
            assert Decimal(row["line_amount"]) == Decimal(str(line["RowTotalFC" if foreign else "LineTotal"]))
            assert row["line_status"] == {"bost_Open": "OPEN", "bost_Close": "CLOSED"}[line["LineStatus"]]
            assert (row["gl_account"], row["cost_center"]) == (line["AccountCode"], line["CostingCode"] or "")
            assert (row["project"], row["tax_code"]) == (line["ProjectCode"] or "", line["VatGroup"])
    assert {row["line_status"] for row in outcome.rows} == {"OPEN", "CLOSED"}


def test_stampli_takes_the_file(exchange: Exchange) -> None:
    exchange.well()

    (received,) = received_orders(exchange.stampli.root)
    assert received.refusals == []
    assert len(received.orders) == len(exchange.open())


def test_the_ledger_has_every_currencys_money(exchange: Exchange) -> None:
    row = exchange.well().row

    assert row is not None
    expected: dict[str, Decimal] = {}
    for order in exchange.orders().values():
        amount = Decimal(str(order["DocTotalFc"] or order["DocTotal"]))
        expected[order["DocCurrency"]] = expected.get(order["DocCurrency"], Decimal(0)) + amount
    assert len(expected) > 1
    assert dict(row.source_totals) == expected
    assert set(row.excluded_totals) and row.target_totals["EUR"] + row.excluded_totals["EUR"] == expected["EUR"]


def test_a_total_that_the_mapping_gets_wrong_makes_the_run_red(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = source_money._own_total
    monkeypatch.setattr(source_money, "_own_total", lambda found: (right(found)[0], right(found)[1] + Decimal("0.01")))

    (verdict,) = exchange.go().verdicts

    assert "was extracted but" in verdict.problem


@pytest.mark.parametrize(
    ("changes", "status"), [(CLOSED, "CLOSED"), (CANCELLED, "CANCELLED")], ids=["closed", "cancelled"]
)
def test_an_order_that_ends_goes_once_more(exchange: Exchange, changes: dict[str, Any], status: str) -> None:
    exchange.well()
    ended = min(exchange.open())
    exchange.change(ended, changes)

    second = exchange.well()
    third = exchange.well()

    assert second.status() == {ended: status}
    assert second.places()["delivered"] == 1
    assert third.files == {}
    assert third.row is not None and third.row.duplicate == 1


def test_an_order_that_ends_before_it_was_ever_sent_is_excluded(exchange: Exchange) -> None:
    unsent = min(exchange.open())
    exchange.change(unsent, {"CardCode": None})
    exchange.well()
    assert exchange.held() == {unsent: "MISSING_VALUE"}
    exchange.change(unsent, CANCELLED)

    second = exchange.well()

    assert second.files == {}
    assert second.row is not None and second.row.excluded >= 1
    assert exchange.held() == {}, "nothing of it is left to correct"


def test_an_order_that_is_opened_again_goes_again(exchange: Exchange) -> None:
    exchange.well()
    key = min(exchange.open())
    exchange.change(key, CLOSED)
    exchange.well()
    exchange.change(key, {"DocumentStatus": "bost_Open"})

    assert exchange.well().status() == {key: "OPEN"}


def test_only_what_changed_goes_and_nothing_makes_no_file(exchange: Exchange) -> None:
    exchange.well()
    changed = max(exchange.open(), key=int)

    assert exchange.well().files == {}
    exchange.change(changed, {"Comments": 'urgent, "dock 7"\nring twice'})
    outcome = exchange.well()

    assert {row["purchase_order_id"] for row in outcome.rows} == {changed}
    assert outcome.rows[0]["comments"] == 'urgent, "dock 7"\nring twice'
    assert next(iter(outcome.files)).endswith("_0002.csv")
    assert outcome.row is not None and outcome.row.window["read"] == "window"


def test_full_refresh_sends_what_is_open_and_what_stampli_has(exchange: Exchange) -> None:
    exchange.well()
    ended = min(exchange.open())
    exchange.change(ended, CLOSED)
    exchange.well()

    outcome = exchange.well(full_refresh=("invoices", ENTITY))

    assert outcome.status() == {**dict.fromkeys(exchange.open(), "OPEN"), ended: "CLOSED"}


def test_a_bad_order_is_held_alone_and_follows_when_corrected(exchange: Exchange) -> None:
    bad = min(exchange.open())
    exchange.change(bad, {"DocCurrency": "EURO"})
    first = exchange.well()

    assert bad not in first.status() and len(first.status()) == len(exchange.open()) - 1
    assert exchange.held() == {bad: "UNKNOWN_CURRENCY"}
    exchange.change(bad, {"DocCurrency": "EUR"}, touch=False)
    second = exchange.well(mode="held_only")

    assert second.status() == {bad: "OPEN"}
    assert second.row is not None and second.row.extracted == 1
    assert exchange.held() == {}


def test_an_order_that_misses_an_expectation_is_held_alone(exchange: Exchange) -> None:
    bad = min(exchange.open())
    lines = exchange.orders()[bad]["DocumentLines"]
    exchange.change(bad, {"DocumentLines": [*lines, lines[0]]})

    outcome = exchange.well()

    assert exchange.held() == {bad: "EXPECTATION_NOT_MET"}
    assert set(outcome.status()) == exchange.open() - {bad}


def test_nothing_is_held_so_held_only_does_nothing(exchange: Exchange) -> None:
    outcome = exchange.go(mode="held_only")

    assert (outcome.result, outcome.row, outcome.files) == ({}, None, {})


def test_a_backfill_sends_its_days_and_leaves_the_watermark(exchange: Exchange) -> None:
    day = datetime(2025, 2, 10, tzinfo=UTC)
    first, second = sorted(exchange.open())[:2]
    exchange.change(first, {"Comments": "one"}, updated_at=day)
    exchange.change(second, {"Comments": "two"}, updated_at=day + timedelta(days=1))

    outcome = exchange.well(mode="backfill", interval_start=day, interval_end=day + timedelta(days=1))

    assert set(outcome.status()) == {first}
    assert exchange.ledger.watermark(exchange.new_run().scope(ENTITY)) is None


def test_a_dry_run_shows_and_writes_nothing(exchange: Exchange, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        outcome = exchange.well(dry_run=True)

    assert outcome.files == {}
    assert outcome.row is not None
    assert (outcome.row.status, outcome.row.delivered) == ("dry_run", 0)
    assert outcome.row.previewed == len(exchange.open())
    assert "purchase_order_id,po_number,vendor_id" in caplog.text
    assert exchange.ledger.count_files(Filters()) == 0
    assert len(exchange.well().status()) == len(exchange.open())


@pytest.mark.parametrize(
    ("config", "changes"),
    [({"purchase_orders": False}, {}), ({}, {"entities": ("invoices",)})],
    ids=["switched off", "not asked for"],
)
def test_nobody_asked_for_orders(exchange: Exchange, config: dict[str, Any], changes: dict[str, Any]) -> None:
    exchange.config = exchange.config.model_copy(update=config)

    outcome = exchange.go(**changes)

    assert (outcome.result, outcome.row, outcome.files) == ({}, None, {})


class Died(BaseException):
    """Stands for the end of a process: nothing catches it."""


@pytest.mark.parametrize("same_run", [True, False], ids=["the task is repeated", "the next run"])
def test_what_arrived_before_a_crash_is_not_sent_again(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, same_run: bool
) -> None:
    def die(*args: object, **kwargs: object) -> None:
        raise Died

    run = exchange.new_run()
    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(Ledger, "commit_entity", die)
        exchange.go(run)
    arrived = exchange.received()
    assert len(arrived) == 1

    outcome = exchange.go(run) if same_run else exchange.well()

    assert exchange.received() == arrived
    assert outcome.error is None and all(verdict.ties_out for verdict in outcome.verdicts)
    assert outcome.row is not None and outcome.row.duplicate == len(exchange.open())


def test_a_receiver_that_is_down_costs_nothing_but_time(exchange: Exchange) -> None:
    exchange.stampli.stop()
    with kept_port(exchange.stampli.port):
        failed = exchange.go()
        exchange.stampli.start()

    assert isinstance(failed.error, ReceiverUnavailable)
    assert not failed.verdicts[0].ties_out
    assert exchange.held() == {}
    assert len(exchange.well().status()) == len(exchange.open())


def test_a_source_that_is_down_is_told_in_the_row(exchange: Exchange) -> None:
    run = exchange.new_run()
    with exchange.client() as client:
        client.login()
        exchange.sandbox.faults.add("bad_gateway", path="^PurchaseOrders", times=None)
        with pytest.raises(SourceUnavailable) as caught:
            purchase_orders.export(
                run, exchange.config, exchange.ledger, exchange.folder / run.run_id, client, exchange.target
            )

    row = exchange.ledger.get_run(run.key(ENTITY))
    assert row is not None
    assert (row.status, row.message) == ("failed", str(caught.value))


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's YAML files, to be changed."""
    copy = tmp_path / "include"
    shutil.copytree(ROOT / "include", copy)
    monkeypatch.setenv("TIEOUT_INCLUDE", str(copy))
    return copy


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_batch_that_is_mostly_wrong_is_not_sent(exchange: Exchange, include: Path) -> None:
    pattern = exchange.orders()[min(exchange.open())]
    for _ in range(25):
        exchange.company.insert("PurchaseOrders", {**pattern, "DocEntry": None, "DocNum": None})
    suite = include / "quality" / "stampli_to_sap_b1" / "purchase_orders.yaml"
    replace_in(suite, "value_set: [OPEN, CLOSED, CANCELLED]", "value_set: [RELEASED]")

    outcome = exchange.go()

    assert outcome.files == {}
    assert len(outcome.result["failures"]) == 1
    assert "was not sent" in outcome.verdicts[0].problem
    assert exchange.ledger.watermark(exchange.new_run().scope(ENTITY)) is None


def test_a_mistake_in_the_mapping_shows_before_sap_is_asked(exchange: Exchange, include: Path) -> None:
    purchase_orders.load_mapping(exchange.new_run(), exchange.config)
    mapping = include / "mappings" / "stampli_to_sap_b1" / "purchase_orders.yaml"
    replace_in(mapping, "from: DocNum}", "from: DocNumber}")

    with pytest.raises(ConfigurationInvalid, match="DocNumber"):
        purchase_orders.load_mapping(exchange.new_run(), exchange.config)
