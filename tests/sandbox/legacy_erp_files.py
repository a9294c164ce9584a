"""Files as the legacy ERP's partner sends them, written by hand, and what their manifests say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.legacy_erp import LegacyErpInbox, ReceivedFile

X12_SAMPLES = Path(__file__).parents[1] / "formats" / "x12" / "samples"

FIXED_LINES = [
    "HEDU120260131000001",
    "D00000000120        4000-20-100                        2026010000012345202601150000000002500{INV-1001  ",
    "D00000000220        4000-20-100                        2026010000012360202601200000000000405}CRN-77    ",
    "D00000000330        2100-30-000                        2026010000012360202601200000000002095}INV-1001  ",
    "T0000000030000000000250000000000000250000000037065",
]
GL_CSV = (
    "cost_centre,account,source_gl_code,year,period,journal,entry,date,source,reference,description,debit,credit\r\n"
    "20,4000-20-100,4000-20-100,2026,1,12345,1,2026-01-15,AP,INV-1001,Café supplies,250.00,\r\n"
    '20,4000-20-100,4000-20-100,2026,1,12360,1,2026-01-20,AP,CRN-77,"A ""b"", c",,40.50\r\n'
    "30,2100-30-000,2100-30-000,2026,1,12360,2,2026-01-20,AP,INV-1001,,0.00,209.50\r\n"
)
INVOICES_CSV = (
    "supplier,invoice_number,currency,total_amount\r\nACM001,INV-1001,USD,250.00\r\nACM001,CRN-77,USD,-40.50\r\n"
    "B1,7,JPY,1200\r\n"
)
ORDERS_CSV = (
    "purchase_order,currency,line_number,quantity,unit_price\r\n150802,USD,1,10,12.5\r\n150802,USD,2,3,0.335\r\n"
    "150803,USD,1,2,1\r\n"
)
SUPPLIERS_CSV = "supplier,name\r\nACM001,ACME PARTS LTD\r\nB1,\r\n"
X12_832 = (
    "ISA*00*          *00*          *ZZ*SYSPROEDU1     *ZZ*LEGACYERP      *260131*0605*U*00401*000000105*0*T*>~\n"
    "GS*SC*SYSPROEDU1*LEGACYERP*20260131*0605*105*X*004010~\n"
    "ST*832*0001~\nBCT*PC*CAT1********00~\nREF*BT*IT202601~\nCUR*FR*USD~\n"
    "LIN*1*BP*A100*VP*ACM-A100~\nREF*GZ*4000-20-100~\nPID*F****BRACKET, LEFT~\nCTP**LPR*12.5*1*EA~\n"
    "LIN*2*BP*B200~\nCTT*2~\nSE*11*0001~\nGE*1*105~\nIEA*1*000000105~\n"
)

GL_TOTALS = {
    "debit": "250.00",
    "credit": "250.00",
    "by_cost_centre": {"20": {"debit": "250.00", "credit": "40.50"}, "30": {"debit": "0", "credit": "209.50"}},
}


def fixed_width(digits: int = 9, encoding: str = "cp1252", end: str = "\r\n") -> bytes:
    """The reference sample, with line numbers of so many digits."""
    head, *details, foot = FIXED_LINES
    details = [line[0] + line[10 - digits :] for line in details]
    return "".join(line.ljust(94 + digits) + end for line in [head, *details, foot]).encode(encoding)


def x12(name: str) -> bytes:
    """A sample by the beginning of its name."""
    return X12_832.encode() if name == "832" else next(X12_SAMPLES.glob(f"{name}_*.edi")).read_bytes()


@dataclass(frozen=True)
class Sample:
    """A file that has nothing wrong with it, and what its manifest says."""

    name: str
    content: bytes
    records: int
    totals: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)

    def changed(self, *replacements: tuple[str, str]) -> bytes:
        """The content with some texts replaced, each of which must be there."""
        content = self.content
        for old, new in replacements:
            assert old.encode() in content, old
            content = content.replace(old.encode(), new.encode(), 1)
        return content


def _gl(extension: str, content: bytes, **settings: Any) -> Sample:
    return Sample(f"GL_EDU1_202601_000001.{extension}", content, 3, GL_TOTALS, settings)


SAMPLES = {
    "fixed width": _gl("dat", fixed_width()),
    "fixed width with six digits": _gl("dat", fixed_width(6), line_number_digits=6),
    "fixed width in EBCDIC": _gl(
        "dat", fixed_width(encoding="cp037", end=""), fixed_width_encoding="cp037", record_separator=""
    ),
    "csv": _gl("csv", GL_CSV.encode()),
    "csv of another kind": _gl(
        "csv",
        GL_CSV.replace(".", ";").replace(",", "|").replace(";", ",").replace("\r\n", "\n").encode("cp1252"),
        delimiter="|", line_end="\n", encoding="cp1252", decimal_mark=",",
    ),
    "csv without header": _gl("csv", GL_CSV.partition("\r\n")[2].encode(), header=False),
    "830": _gl("edi", x12("830")),
    "821": _gl("edi", x12("821")),
    "810": Sample("INV_EDU1_202601_000001.edi", x12("810"), 1, {"amount": {"USD": "250.00"}}),
    "850": Sample("PO_EDU1_202601_000001.edi", x12("850"), 1, {"amount": {"USD": "250.00"}}),
    "832": Sample("ITEM_EDU1_202601_000001.edi", x12("832"), 2, {"amount": {}}),
    "invoices": Sample(
        "INV_EDU1_202601_000001.csv", INVOICES_CSV.encode(), 3, {"amount": {"USD": "209.50", "JPY": "1200"}}
    ),
    "orders": Sample("PO_EDU1_202601_000001.csv", ORDERS_CSV.encode(), 2, {"amount": {"USD": "128.01"}}),
    "suppliers": Sample("SUP_EDU1_202601_000001.csv", SUPPLIERS_CSV.encode(), 2, {}),
}  # fmt: skip


def new_inbox(root: Path, **settings: Any) -> LegacyErpInbox:
    """An inbox with its folders."""
    inbox = LegacyErpInbox(root)
    inbox.settings.configure(**settings)
    inbox.start()
    return inbox


def manifest(name: str, content: bytes, records: int, totals: dict[str, Any], /, **changes: Any) -> bytes:
    """A manifest as agreed; `changes` replace what it says."""
    said = {
        "file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "records": records,
        "period": "202601", "control_totals": totals,
    }  # fmt: skip
    return json.dumps({**said, **changes}).encode()


def put(
    inbox: LegacyErpInbox,
    name: str,
    content: bytes,
    records: int = 0,
    totals: dict[str, Any] | None = None,
    /,
    **said: Any,
) -> None:
    """Puts a file and then its manifest."""
    (inbox.inbound / name).write_bytes(content)
    (inbox.inbound / f"{name}.manifest.json").write_bytes(manifest(name, content, records, totals or {}, **said))


def put_sample(inbox: LegacyErpInbox, sample: Sample, content: bytes | None = None, name: str | None = None) -> None:
    """Puts a sample, perhaps with other content or under another name; the manifest says the sample's totals."""
    put(inbox, name or sample.name, sample.content if content is None else content, sample.records, sample.totals)


def received(inbox: LegacyErpInbox) -> ReceivedFile:
    """Loads, and gives the one file that was new."""
    (file,) = inbox.load()
    return file
