"""How fast all invoices of a company are read: Tieout beside a plain client and dlt, from one Service Layer.

The Service Layer is the sandbox's, in a process of its own, with 20 ms added to every reply, as a server in another
city has. It shares the machine's CPUs with the client, so what is measured is both. Invoices are read whole, with all
their properties; no side filters or selects.

- **tieout**: `extract_to_parquet` with its defaults (pages of 500, four ranges side by side): exact decimals, original
  bytes kept, written to Parquet, and the server's `$count` compared with what was read.
- **requests**: one `requests.Session` that follows `@odata.nextLink` and parses the JSON; nothing is written. At the
  server's default page of 20, as a client gets it that asks for nothing, and at 500.
- **dlt**: its REST API source with the JSON link paginator of its documentation; the resource is iterated, nothing is
  normalised or loaded. At both page sizes too.
"""

from __future__ import annotations

import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, ratio, side_by_side, spread
from benchmarks.service_layer import running
from tieout.mapping.loader import load_mapping
from tieout.odata.entity_read import EntityRead
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.entities import entity_set
from tieout.systems.sap_b1.extract import extract_to_parquet
from tieout.systems.sap_b1.sessions import MemorySessionStore
from tieout.systems.sap_b1.settings import SapB1Settings

TITLE = "Extraction"
MAPPING = Path(__file__).parents[1] / "include/mappings/sap_b1_to_peakflo/invoices.yaml"
LATENCY_MS = 20.0
PAGE = 500

Connection = dict[str, Any]


def with_tieout(connection: Connection) -> int:
    """Number of invoices."""
    settings = SapB1Settings.from_connection(
        host=connection["host"],
        login=connection["login"],
        password=connection["password"],
        extra=connection["extra"],
    )
    schema = load_mapping(MAPPING).record_schema()
    invoices = entity_set("Invoices")
    read = EntityRead(invoices.name, invoices.key, invoices.key_type, schema, change_columns=invoices.change_columns)
    client = SapB1Client(settings, MemorySessionStore())
    try:
        with tempfile.TemporaryDirectory() as folder:
            return extract_to_parquet(client, read, Path(folder)).records
    finally:
        client.logout()
        client.close()


def _log_in(connection: Connection, page: int | None) -> tuple[Any, str]:
    import requests

    session = requests.Session()
    session.verify = connection["extra"].get("verify", True)
    base = connection["host"].rstrip("/") + "/b1s/v2/"
    login = {
        "CompanyDB": connection["extra"]["company_db"],
        "UserName": connection["login"],
        "Password": connection["password"],
    }
    session.post(base + "Login", json=login).raise_for_status()
    if page is not None:
        session.headers["Prefer"] = f"odata.maxpagesize={page}"
    return session, base


def with_requests(connection: Connection, page: int | None) -> int:
    """Number of invoices."""
    session, base = _log_in(connection, page)
    count, link = 0, "Invoices"
    with session:
        while link:
            reply = session.get(base + link)
            reply.raise_for_status()
            content = reply.json()
            count += len(content["value"])
            link = content.get("@odata.nextLink")
        session.post(base + "Logout")
    return count


def with_dlt(connection: Connection, page: int | None) -> int:
    """Number of invoices."""
    from dlt.sources.rest_api import rest_api_source

    session, base = _log_in(connection, page)
    with session:
        source = rest_api_source(
            {
                "client": {
                    "base_url": base,
                    "session": session,
                    "paginator": {"type": "json_link", "next_url_path": "['@odata.nextLink']"},
                },
                "resources": [{"name": "invoices", "endpoint": {"path": "Invoices", "data_selector": "value"}}],
            }
        )
        count = sum(1 for _ in source.resources["invoices"])
        session.post(base + "Logout")
    return count


def run(*, quick: bool = False) -> list[Row]:
    """One row per way; `times as long` is the median of the rounds' ratios to Tieout's time."""
    warnings.filterwarnings("ignore", module="urllib3")
    number, rounds = (600, 1) if quick else (10_000, 3)
    with running(number, LATENCY_MS) as connection:
        counts: dict[str, int] = {}
        ways = {
            "tieout, pages of 500, 4 ranges": lambda: with_tieout(connection),
            "requests, default pages of 20": lambda: with_requests(connection, None),
            "requests, pages of 500": lambda: with_requests(connection, PAGE),
            "dlt REST source, default pages of 20": lambda: with_dlt(connection, None),
            "dlt REST source, pages of 500": lambda: with_dlt(connection, PAGE),
        }
        for name, work in ways.items():
            ways[name] = _counting(counts, name, work)
        # Once each unmeasured: what is imported at first use is no part of reading.
        with_tieout(connection)
        import_module("requests")
        import_module("dlt.sources.rest_api")
        seconds = side_by_side(ways, rounds)
    if len(set(counts.values())) != 1:
        raise AssertionError(f"Each way must read all invoices: {counts}")
    own = next(iter(ways))
    return [
        {
            "way": name,
            "invoices": counts[name],
            **spread(seconds[name]),
            "invoices/s": round(counts[name] / spread(seconds[name])["median s"]),
            "times as long": round(ratio(seconds, name, own), 1),
        }
        for name in ways
    ]


def _counting(counts: dict[str, int], name: str, work: Any) -> Any:
    def counted() -> None:
        counts[name] = work()

    return counted
