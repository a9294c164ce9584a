"""The PDFs that hang on invoices: found through the invoices that changed, fetched from SAP's attachments.

An invoice names an attachment entry; the entry's lines name files. The first line with a PDF is the invoice's. Staged
rows have the invoice's properties and, of the PDF, `file_name`, `bytes` and `sha256`; the files stand beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from tieout.delivery import remote_join, safe_name
from tieout.integrations.sap_b1_to_peakflo import reading
from tieout.integrations.sorting import read_records
from tieout.ledger import FileDraft, FileRow, Ledger, RunKey
from tieout.mapping.held import HeldReason
from tieout.odata.entity_read import EntityRead
from tieout.odata.manifest import ExtractManifest
from tieout.staging import Folder, PartWriter, StagedPath, read_parts, remove_parts, write_bytes_atomically
from tieout.systems.sap_b1.attachments import AttachedFile, download, first_pdf, list_files
from tieout.systems.sap_b1.client import SapB1Client
from tieout.systems.sap_b1.errors import SapError

PDF_COLUMNS = [("file_name", pa.string()), ("bytes", pa.int64()), ("sha256", pa.string()), ("problem", pa.string())]
BATCH_ROWS = 200
MISSING = AttachedFile(entry=0, line=0, name="", extension="pdf")

# PDF's specification lets a reader look for the header in the first 1024 bytes.
PDF_HEADER_WITHIN = 1024


@dataclass(frozen=True)
class Pdf:
    """A fetched file, or why it could not be fetched."""

    file_name: str
    size: int = 0
    sha256: str = ""
    problem: str = ""


def extract(client: SapB1Client, read: EntityRead, folder: Folder, *, parallel: int) -> ExtractManifest:
    """Stage the PDFs of the invoices that the read finds; invoices without a PDF are no records of this entity.

    Raises:
        SourceUnavailable: SAP does not answer.
    """
    documents = folder / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    found = reading.read(client, read, documents, parallel=parallel)
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    remove_parts(folder)
    requests = records = 0
    with PartWriter(folder) as writer, ThreadPoolExecutor(parallel, thread_name_prefix="pdf") as pool:
        for batch in read_parts(documents, names=found.part_names, batch_rows=BATCH_ROWS):
            rows = fetch(client, pa.table(batch), files, pool)
            if rows.num_rows:
                requests += rows.num_rows + 1
                records += rows.num_rows
                writer.write(rows)
    return replace(found, records=records, parts=tuple(writer.parts), requests=found.requests + requests)


def fetch(client: SapB1Client, invoices: pa.Table, files: Folder, pool: ThreadPoolExecutor) -> pa.Table:
    """The invoices that have a PDF, with it: the files land in `files`."""
    entries = invoices["AttachmentEntry"].to_pylist()
    listed = list_files(client, [entry for entry in entries if entry is not None])
    attached = [
        # An entry that does not exist may have been the PDF: that is for a person to find out.
        MISSING if entry is not None and entry not in listed else first_pdf(listed.get(entry, []))
        for entry in entries
    ]
    rows = invoices.filter(pa.array([pdf is not None for pdf in attached], pa.bool_()))
    wanted = [pdf for pdf in attached if pdf is not None]
    return _with_pdfs(rows, list(pool.map(partial(_fetch, client, files), rows.to_pylist(), wanted)))


def _fetch(client: SapB1Client, files: Folder, row: dict[str, Any], attachment: AttachedFile) -> Pdf:
    """Download one PDF into staging under its final name."""
    name = f"{safe_name(str(row['DocNum']))}_{safe_name(str(row['DocEntry']))}.pdf"
    if attachment is MISSING:
        return Pdf(name, problem=f"SAP has no attachment entry {row['AttachmentEntry']}, which the invoice names.")
    digest = hashlib.sha256()
    size = 0
    begin = b""

    def chunks() -> Iterator[bytes]:
        nonlocal size, begin
        for chunk in download(client, attachment):
            digest.update(chunk)
            size += len(chunk)
            if len(begin) < PDF_HEADER_WITHIN:
                begin += chunk[:PDF_HEADER_WITHIN]
            yield chunk

    try:
        write_bytes_atomically(files / name, chunks())
    except SapError as error:
        return Pdf(name, problem=f"SAP cannot give the attachment: {error}")
    if b"%PDF-" not in begin:
        what = "is empty" if size == 0 else "is named .pdf but is no PDF"
        return Pdf(name, size, digest.hexdigest(), f"The attachment {attachment.file_name} of the invoice {what}.")
    return Pdf(name, size, digest.hexdigest())


def _with_pdfs(rows: pa.Table, fetched: Sequence[Pdf]) -> pa.Table:
    values = {
        "file_name": [pdf.file_name for pdf in fetched],
        "bytes": [pdf.size for pdf in fetched],
        "sha256": [pdf.sha256 for pdf in fetched],
        "problem": [pdf.problem or None for pdf in fetched],
    }
    for name, kind in PDF_COLUMNS:
        rows = rows.append_column(name, pa.array(values[name], kind))
    return rows


def unreadable(batch: pa.RecordBatch) -> dict[int, HeldReason]:
    """Holds PDFs that SAP names but cannot give."""
    return {
        position: HeldReason(
            "ATTACHMENT_UNREADABLE",
            problem,
            "In SAP Business One, open the invoice's Attachments tab and see whether the file opens; attach it anew.",
        )
        for position, problem in enumerate(batch.column("problem").to_pylist())
        if problem
    }


def without_invoice(
    batch: pa.RecordBatch, delivered: Callable[[Sequence[str]], Container[str]]
) -> dict[int, HeldReason]:
    """Holds a PDF whose invoice has not been delivered: Peakflo could not attach it to anything."""
    keys = batch.column("_key").to_pylist()
    there = delivered(keys)
    return {
        position: HeldReason(
            "INVOICE_NOT_DELIVERED",
            f"The PDF of the invoice with DocEntry {key} waits, because the invoice itself has not been delivered.",
            "See why the invoice is held (`bin/tieout held`); the PDF follows it by itself.",
        )
        for position, key in enumerate(keys)
        if key not in there
    }


def register(
    key: RunKey, ledger: Ledger, entity: Folder, remote: str, arrived: Container[str]
) -> list[tuple[FileRow, StagedPath]]:
    """Enter the PDFs that go into the ledger, each with its invoice; they have no money of their own.

    Those that have `arrived` by an interrupted attempt are in the ledger already.
    """
    listed = {record.source_key: record for record in read_records(entity / "prepared")}
    drafts: list[FileDraft] = []
    paths: list[StagedPath] = []
    for row in _staged(entity / "extract"):
        record = listed.get(row["_key"])
        remote_path = remote_join(remote, row["file_name"])
        if record is None or remote_path in arrived:
            continue
        path = entity / "extract" / "files" / row["file_name"]
        paths.append(path)
        drafts.append(
            FileDraft(
                file_name=row["file_name"],
                remote_path=remote_path,
                local_uri=str(path),
                bytes=row["bytes"],
                sha256=row["sha256"],
                records=1,
                file_records=[record._replace(byte_start=0, byte_end=row["bytes"])],
            )
        )
    return list(zip(ledger.prepare_files(key, drafts), paths, strict=True))


def staged(entity: Folder) -> Iterator[tuple[str, str, str]]:
    """Key, file name and digest of each staged PDF."""
    return ((row["_key"], row["file_name"], row["sha256"]) for row in _staged(entity / "extract"))


def _staged(folder: Folder) -> Iterator[dict[str, Any]]:
    manifest = reading.read_manifest(folder)
    for batch in read_parts(folder, names=manifest.part_names, columns=["_key", "file_name", "bytes", "sha256"]):
        yield from batch.to_pylist()
