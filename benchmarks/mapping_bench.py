"""How fast pages of invoices become CSV: Tieout beside pandas and polars.

The same pages, in memory, go through

- **tieout**: `odata.pages` (JSON to exact decimals, the original bytes of each record kept) and the mapping of invoices
  with its checks, fingerprints and totals, to the bytes of the file;
- **pandas**: `json.loads`, `json_normalize` with the header repeated per line, `to_csv`;
- **polars**: `read_json`, `explode` and `unnest` of records and lines, `write_csv`.

pandas and polars do less: their amounts are floats, they check and fingerprint nothing, keep no original bytes, and
write each property as it is. Like real ones, the records carry properties that nobody asked for: 40 per header and 30
per line, all null.
"""

from __future__ import annotations

import io
import json
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, ratio, side_by_side, spread
from tieout.mapping.compiler import compile_mapping
from tieout.mapping.frame import MapContext
from tieout.mapping.loader import load_mapping
from tieout.odata.pages import PageReader

TITLE = "Mapping"
MAPPING = Path(__file__).parents[1] / "include/mappings/sap_b1_to_peakflo/invoices.yaml"
RECORDS, LINES = 500, 5

HEADER = [
    "DocEntry",
    "DocNum",
    "CardCode",
    "DocDate",
    "DocDueDate",
    "DocCurrency",
    "Cancelled",
    "CancelStatus",
    "DocumentStatus",
    "DocTotal",
    "DocTotalFc",
    "VatSum",
    "VatSumFc",
    "PaidToDate",
    "PaidToDateFC",
    "TotalDiscount",
    "RoundingDiffAmount",
    "Comments",
    "U_Region",
    "U_Score",
]
LINE = [
    "LineNum",
    "ItemCode",
    "ItemDescription",
    "Quantity",
    "Price",
    "UnitPrice",
    "TaxTotal",
    "LineTotal",
    "RowTotalFC",
    "U_Lot",
]


def invoice(number: int, chance: random.Random) -> dict[str, Any]:
    """An invoice that adds up, with amounts as the doubles that SAP Business One sends."""
    lines: list[dict[str, Any]] = []
    for position in range(LINES):
        price, quantity = chance.randint(100, 99_999), chance.randint(1, 20)
        lines.append(
            {
                "LineNum": position,
                "ItemCode": f"I{position:05d}",
                "ItemDescription": f"Widget, big {position}",
                "Quantity": float(quantity),
                "Price": price / 100,
                "UnitPrice": price / 100,
                "TaxTotal": round(price * quantity * 0.21) / 100,
                "LineTotal": price * quantity / 100,
                "RowTotalFC": 0.0,
                "U_Lot": f"L{chance.randint(0, 999)}",
                **{f"LineProperty{unused}": None for unused in range(30)},
            }
        )
    net = sum(round(line["LineTotal"] * 100) for line in lines)
    tax = sum(round(line["TaxTotal"] * 100) for line in lines)
    return {
        "DocEntry": number,
        "DocNum": 100_000 + number,
        "CardCode": f"C{number % 500:05d}",
        "DocDate": "2026-01-05T00:00:00Z",
        "DocDueDate": "2026-02-05T00:00:00Z",
        "DocCurrency": "EUR",
        "Cancelled": "tNO",
        "CancelStatus": "csNo",
        "DocumentStatus": "bost_Open",
        "DocTotal": (net + tax) / 100,
        "DocTotalFc": 0.0,
        "VatSum": tax / 100,
        "VatSumFc": 0.0,
        "PaidToDate": 0.0,
        "PaidToDateFC": 0.0,
        "TotalDiscount": 0.0,
        "RoundingDiffAmount": 0.0,
        "Comments": 'line 1 "quoted", é\nline 2' if number % 7 == 0 else "delivered as agreed",
        "U_Region": "North",
        "U_Score": 1.5 * number,
        **{f"Property{unused}": None for unused in range(40)},
        "DocumentLines": lines,
    }


def make_pages(pages: int, records: int = RECORDS) -> list[bytes]:
    """Pages as the Service Layer sends them."""
    chance = random.Random(1)
    return [
        json.dumps({"value": [invoice(page * records + number + 1, chance) for number in range(records)]}).encode()
        for page in range(pages)
    ]


def with_tieout(pages: list[bytes]) -> int:
    """Bytes of the file."""
    mapping = load_mapping(MAPPING)
    reader = PageReader(mapping.record_schema(), entity="invoices", key=mapping.source.key)
    context = MapContext(settings={"local_currency": "EUR"})
    size = 0
    for page in pages:
        parsed = reader.read(page)
        mapped = compile_mapping(mapping, parsed.custom_fields).map_batch(parsed.table, context)
        if not mapped.ok().all():
            raise AssertionError(f"The benchmark's invoices must all be good: {mapped.held}")
        size += len(mapped.csv_bytes())
    return size


def with_pandas(pages: list[bytes]) -> int:
    """Bytes of the file."""
    import pandas

    size = 0
    for page in pages:
        frame = pandas.json_normalize(json.loads(page)["value"], "DocumentLines", list[str | list[str]](HEADER))
        for name in ("DocDate", "DocDueDate"):
            frame[name] = frame[name].str.slice(0, 10)
        size += len(frame[[*HEADER, *LINE]].to_csv(index=False, header=False, lineterminator="\r\n").encode())
    return size


def with_polars(pages: list[bytes]) -> int:
    """Bytes of the file."""
    import polars

    size = 0
    for page in pages:
        frame = polars.read_json(io.BytesIO(page)).select(polars.col("value").explode()).unnest("value")
        frame = frame.select([*HEADER, "DocumentLines"]).explode("DocumentLines").unnest("DocumentLines")
        frame = frame.with_columns(polars.col("DocDate", "DocDueDate").str.slice(0, 10)).select([*HEADER, *LINE])
        target = io.BytesIO()
        frame.write_csv(target, include_header=False, line_terminator="\r\n")
        size += target.tell()
    return size


def run(*, quick: bool = False) -> list[Row]:
    """One row per way; `times as long` is the median of the rounds' ratios to Tieout's time."""
    count, rounds = (1, 1) if quick else (10, 7)
    pages = make_pages(count, 50 if quick else RECORDS)
    sizes: dict[str, int] = {}

    def way(name: str, work: Callable[[list[bytes]], int]) -> Callable[[], None]:
        def measured() -> None:
            sizes[name] = work(pages)

        return measured

    ways = {
        "tieout": way("tieout", with_tieout),
        "pandas": way("pandas", with_pandas),
        "polars": way("polars", with_polars),
    }
    for work in ways.values():
        work()  # once unmeasured: what is imported at first use is no part of mapping
    seconds = side_by_side(ways, rounds)
    lines = count * (50 if quick else RECORDS) * LINES
    return [
        {
            "way": name,
            "lines": lines,
            "JSON MB": round(sum(map(len, pages)) / 1e6, 1),
            "CSV MB": round(sizes[name] / 1e6, 1),
            **spread(seconds[name]),
            "lines/s": round(lines / statistics.median(seconds[name])),
            "times as long": round(ratio(seconds, name, "tieout"), 2),
        }
        for name in ways
    ]
