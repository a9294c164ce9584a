"""Postings of one period without a server: from rows as SYSPRO gives them to the file that would go."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from tests.integrations.syspro_to_legacy_erp.documents_support import MAPPINGS, Rows
from tieout.config import PartnerCsv, SysproSource
from tieout.formats.fixed_width import FixedWidthSpec
from tieout.formats.x12 import X12Profile
from tieout.integrations.sorting import Place
from tieout.integrations.syspro_to_legacy_erp.gl import writers
from tieout.integrations.syspro_to_legacy_erp.gl.files import DATA, index_batches
from tieout.integrations.syspro_to_legacy_erp.gl.judging import NOTHING_KNOWN, KnownPostings, known_postings
from tieout.integrations.syspro_to_legacy_erp.gl.preparing import HELD, PreparedPeriod, prepare_period
from tieout.integrations.syspro_to_legacy_erp.gl.reading import PeriodRead, read_periods
from tieout.integrations.syspro_to_legacy_erp.gl.rules import GlRules, load_gl_rules
from tieout.yaml_file import load_yaml

D = Decimal
CODE = "202601"
SOURCE = SysproSource()
NUMBERS = writers.Numbers(7, 41, 17)
FACTS = writers.Facts(
    company="EDU1", company_name="EDU1 MANUFACTURING", partner_name="LEGACY ERP", code=CODE,
    period_start=date(2026, 1, 1), period_end=date(2026, 1, 31), currency="USD", made=datetime(2026, 2, 4, 6, 5),
    test_content=True,
)  # fmt: skip
COLUMNS = (
    "cost_centre", "account", "source_gl_code", "year", "period", "journal", "entry", "date", "source", "reference",
    "description", "debit", "credit",
)  # fmt: skip


@dataclass(frozen=True)
class Posting:
    """A row of GenJournalDetail."""

    journal: int
    entry: int
    code: str | None
    amount: Decimal | None
    date: str | None = "2026-01-15"
    source: str | None = "AP"
    reference: str | None = "REF"
    comment: str | None = None
    posted: str | None = "Y"

    @property
    def key(self) -> str:
        """Its source key."""
        return f"2026|1|{self.journal}|{self.entry}"

    def row(self) -> dict[str, Any]:
        """As SYSPRO has it."""
        return {
            "GlYear": 2026, "GlPeriod": 1, "Journal": self.journal, "EntryNumber": self.entry, "GlCode": self.code,
            "Reference": self.reference, "Comment": self.comment, "EntryValue": self.amount, "EntryDate": self.date,
            "EntryPosted": self.posted, "Source": self.source,
        }  # fmt: skip


def journal(number: int, *entries: tuple[str, str], **more: Any) -> list[Posting]:
    """A journal of (G/L code, amount) entries."""
    return [Posting(number, at, code, D(amount), **more) for at, (code, amount) in enumerate(entries, 1)]


def headers_of(postings: Sequence[Posting], **statuses: str) -> list[dict[str, Any]]:
    """A header per journal; `j7="H"` holds journal 7."""
    found = []
    for number in sorted({posting.journal for posting in postings}):
        amounts = [p.amount for p in postings if p.journal == number and p.amount is not None]
        found.append(
            {
                "GlYear": 2026,
                "GlPeriod": 1,
                "GlJournal": number,
                "JournalDate": "2026-01-31",
                "Source": "GJ",
                "DebitAmount": sum((a for a in amounts if a > 0), D(0)),
                "NumOfEntries": len(amounts),
                "CreditAmount": -sum((a for a in amounts if a < 0), D(0)),
                "JnlStatus": statuses.get(f"j{number}", "P"),
            }
        )
    return found


@dataclass(frozen=True)
class Made:
    """What became of a period's postings.

    Attributes:
        data: The file; empty where there is none.
        held: Source key → the held record as it goes to the ledger.
        index: The file's records with their byte ranges.
    """

    prepared: PreparedPeriod
    data: bytes
    held: dict[str, dict[str, Any]]
    index: list[dict[str, Any]] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, str]:
        """Source key → reason code."""
        return {key: draft["reason_code"] for key, draft in self.held.items()}

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Sent, duplicate, held, excluded."""
        tallies = self.prepared.tallies
        send, duplicate, held, excluded = (tallies[place].count for place in Place)
        return send, duplicate, held, excluded

    def records(self) -> dict[str, bytes]:
        """Source key → the bytes that the index says are its own."""
        return {row["source_key"]: self.data[row["byte_start"] : row["byte_end"]] for row in self.index}

    def known(self) -> KnownPostings:
        """What the receiver has after it."""
        rows = [{name: row[name] for name in ("source_key", "fingerprint")} for row in self.index]
        return known_postings([pa.RecordBatch.from_pylist(rows)] if rows else [])


MakeWriter = Callable[[Any], writers.GlFileWriter]


def csv_writer(csv: PartnerCsv | None = None, facts: writers.Facts = FACTS, **more: Any) -> MakeWriter:
    """CSV in a partner's dialect."""
    columns = more.get("columns") or rules().file.columns
    return lambda batches: writers.CsvGl(columns, csv or PartnerCsv(), facts)


def fixed_writer(spec: FixedWidthSpec | None = None, facts: writers.Facts = FACTS) -> MakeWriter:
    """Fixed width by a record spec, the shipped one by default."""
    chosen = spec or shipped_spec()
    return lambda batches: writers.FixedWidthGl(chosen, facts, NUMBERS, batches)


def x12_writer(
    set_id: Literal["830", "821"], profile: X12Profile | None = None, facts: writers.Facts = FACTS
) -> MakeWriter:
    """An 830 or 821."""
    return lambda batches: writers.X12Gl(set_id, profile or new_profile(), facts, NUMBERS)


def new_profile(**changes: Any) -> X12Profile:
    """An agreement on X12."""
    agreed: dict[str, Any] = {
        "sender": {"id": "SYSPROEDU1"},
        "receiver": {"id": "LEGACYERP"},
        "test_indicator": "T",
    }
    return X12Profile.model_validate(agreed | changes)


def shipped_spec(change: Callable[[dict[str, Any]], object] | None = None) -> FixedWidthSpec:
    """The record spec that the repository ships, perhaps changed."""
    file = load_yaml(MAPPINGS / "record_specs/gl_fixed_width.yaml")
    content = json.loads(json.dumps(file.content))
    if change is not None:
        change(content)
    return FixedWidthSpec.model_validate(content)


def rules(**changes: Any) -> GlRules:
    """The shipped rules, with changes to the file's content."""
    shipped = load_gl_rules(MAPPINGS)
    if not changes:
        return shipped
    content = shipped.file.model_dump(by_alias=True, exclude_unset=True) | changes
    return replace(shipped, file=type(shipped.file).model_validate(content))


def read(folder: Path, postings: Sequence[Posting], tables: Mapping[str, Any] | None = None, page: int = 1000,
         debit_is: str = "positive") -> PeriodRead:  # fmt: skip
    """Stage a period; headers are made of the postings unless `tables` has `GenJournalCtl`."""
    ordered = sorted(postings, key=lambda posting: (posting.journal, posting.entry))
    content = {"GenJournalCtl": headers_of(postings), **(tables or {})}
    content = {name: rows for name, rows in content.items() if rows is not None}
    rows = Rows({"GenJournalDetail": [posting.row() for posting in ordered], **content}, page)
    (period,) = read_periods(rows.client, [CODE], folder, debit_is=debit_is)
    return period


def prepare(
    folder: Path,
    postings: Sequence[Posting],
    make: MakeWriter | None = None,
    *,
    gl_rules: GlRules | None = None,
    source: SysproSource = SOURCE,
    known: KnownPostings = NOTHING_KNOWN,
    resend: bool = False,
    tables: Mapping[str, Any] | None = None,
    page: int = 1000,
    open_keys: Sequence[str] = (),
    discarded: Mapping[str, str] | None = None,
) -> Made:
    """Read, judge and write a period's postings.

    Args:
        folder: Empty.
        postings: In any order.
        make: The format; CSV by default.
        tables: Other tables as SYSPRO has them; `{"GenJournalCtl": None}` is a site without headers.
        page: Rows of SYSPRO's pages.
    """
    staged, target = folder / "staged", folder / "prepared"
    target.mkdir(parents=True)
    period = read(staged, postings, tables, page, source.debit_is)
    prepared = prepare_period(
        staged / CODE, target, period, gl_rules or rules(), source, known, make or csv_writer(), resend=resend,
        open_keys=open_keys, discarded=lambda keys: {k: v for k, v in (discarded or {}).items() if k in keys},
    )  # fmt: skip
    lines = (target / HELD).read_text(encoding="utf-8").splitlines()
    held = {draft["source_key"]: draft for draft in map(json.loads, lines)}
    if prepared.file is None:
        return Made(prepared, b"", held)
    index = [row for batch in index_batches(target) for row in batch.to_pylist()]
    return Made(prepared, (target / DATA).read_bytes(), held, index)


def payload(draft: Mapping[str, Any]) -> dict[str, Any]:
    """A held record's original row."""
    found: dict[str, Any] = json.loads(base64.b64decode(draft["payload"]))
    return found
