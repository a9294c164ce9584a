"""Peakflo's inbox: takes the files that arrive over SFTP by the rules Peakflo publishes.

What is public are the rules (load order, duplicate numbers, payments' source of truth, matching of unapplied amounts),
not the grammar of the files; columns are those of the project's default profile.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox.peakflo_columns import (
    COLUMNS,
    LINE_COLUMNS,
    LOAD_ORDER,
    ONE_TIME,
    Refusal,
    as_decimal,
    check_value,
    is_custom,
)
from sandbox.simulator import NotHandled

Row = dict[str, str]
_STAMP = re.compile(r"_(\d{8}T\d{6}Z)_\d+\.csv$")
csv.field_size_limit(16 * 1024 * 1024)


@dataclass
class FileResult:
    """What became of one file.

    Attributes:
        status: accepted, partly_accepted, rejected or parked.
        records: Records taken over (documents, not rows).
        refusals: What was wrong, line by line.
        warnings: What was taken over all the same but deserves a look.
    """

    entity: str
    name: str
    status: str = "accepted"
    records: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the control API."""
        return {**vars(self), "refusals": [vars(refusal) for refusal in self.refusals]}


@dataclass
class Document:
    """An invoice, credit note or payment: its header's values, and its rows."""

    header: Row
    rows: list[Row]

    def money(self, column: str) -> Decimal:
        """An amount of the header; 0 when empty."""
        return as_decimal(self.header[column]) or Decimal(0)


class PaymentEditingDisabled(Exception):
    """Payments come by SFTP: editing them in the user interface is off (HTTP 423)."""


class PeakfloInbox:
    """The receiving side, over the folder that the SFTP server shows as `/`.

    Args:
        root: Holds `inbound/<entity>/`; `processed/` and `error/` are made beside it.
        mode: `sweep` moves files away once taken; `watch` leaves them where they are.
        repeat_one_time: `reject` or `warn` when taxes, accounts or items come a second time.
        poll_seconds: Loads by itself in this rhythm once started; None loads only when told to.
    """

    name = "peakflo"

    def __init__(
        self, root: Path, *, mode: str = "watch", repeat_one_time: str = "reject", poll_seconds: float | None = None
    ) -> None:
        if mode not in ("watch", "sweep"):
            raise ValueError(f"mode is {mode!r}; it must be 'watch' or 'sweep'.")
        self.root = root
        self.mode = mode
        self.repeat_one_time = repeat_one_time
        self.customers: dict[str, Row] = {}
        self.contacts: dict[str, Row] = {}
        self.invoices: dict[str, Document] = {}
        self.credit_notes: dict[str, Document] = {}
        self.payments: dict[str, Document] = {}
        self.pdfs: dict[str, str] = {}
        """Invoice's externalId → SHA-256 of its PDF."""
        self.parked: dict[str, str] = {}
        """Name of a PDF whose invoice is not here yet → its SHA-256."""
        self.one_time: dict[str, dict[str, Row]] = {entity: {} for entity in sorted(ONE_TIME)}
        self.applied: dict[str, Decimal] = {}
        """Invoice number → sum of payments applied to it."""
        self.unapplied: dict[str, Decimal] = {}
        """Payment's externalId → what no invoice took."""
        self.results: list[FileResult] = []
        self._numbers: dict[tuple[str, str], str] = {}
        self._deliveries: dict[str, str] = {}
        self._allowed_again: set[str] = set()
        self._seen: dict[str, tuple[int, int]] = {}
        self._pdf_digests: dict[str, tuple[int, str]] = {}
        self._lock = threading.RLock()
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    def start(self) -> None:
        """Makes the folders, and starts polling where that was asked for."""
        for entity in LOAD_ORDER:
            (self.root / "inbound" / entity).mkdir(parents=True, exist_ok=True)
        for folder in ("processed", "error"):
            (self.root / folder).mkdir(exist_ok=True)
        if self._poll_seconds is not None:
            self._poller = threading.Thread(target=self._poll, name="sandbox-peakflo", daemon=True)
            self._poller.start()

    def stop(self) -> None:
        """Ends the polling."""
        self._stopping.set()
        if self._poller is not None:
            self._poller.join(timeout=10)

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.load()

    def load(self) -> list[FileResult]:
        """Takes every complete file that is new, in load order, and returns what became of each."""
        with self._lock:
            results = []
            for entity in LOAD_ORDER:
                for path in self._new_files(entity):
                    results.append(self._take(entity, path))
            self._apply_payments()
            self.results += results
            return results

    def _new_files(self, entity: str) -> list[Path]:
        """Complete files not taken yet; PDFs before the manifests that list them."""
        folder = self.root / "inbound" / entity
        if not folder.is_dir():
            return []
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        return sorted((path for path in files if self._is_new(path)), key=lambda path: path.suffix.lower() == ".csv")

    def _is_new(self, path: Path) -> bool:
        stat = path.stat()
        mark = (stat.st_size, stat.st_mtime_ns)
        return self._seen.get(str(path)) != mark or path.name in self.parked

    def _take(self, entity: str, path: Path) -> FileResult:
        stat = path.stat()
        self._seen[str(path)] = (stat.st_size, stat.st_mtime_ns)
        result = FileResult(entity, path.name)
        content = path.read_bytes()
        if path.suffix.lower() == ".pdf" and entity == "invoice_pdfs":
            self._take_pdf(path.name, content, result)
        else:
            self._take_table(entity, content, result)
        self._file_away(path, result)
        return result

    def _take_table(self, entity: str, content: bytes, result: FileResult) -> None:
        rows = self._read(entity, content, result)
        if rows is None or not self._may_come(entity, result):
            result.status = "rejected"
            return
        refused_before = len(result.refusals)
        takers: dict[str, Callable[[list[tuple[int, Row]], FileResult], bool]] = {
            "customers": self._take_customer, "contacts": self._take_contact, "payments": self._take_payment,
            "invoices": lambda rows, result: self._take_document("invoices", "invoiceNumber", rows, result),
            "credit_notes": lambda rows, result: self._take_document("credit_notes", "creditNoteNumber", rows, result),
            "invoice_pdfs": self._take_manifest_row,
        }  # fmt: skip
        taker = takers.get(entity) or (lambda rows, result: self._take_one_time(entity, rows, result))
        for group in _by_record(rows):
            if self._well_formed(entity, group, result) and taker(group, result):
                result.records += 1
        if len(result.refusals) > refused_before:
            result.status = "partly_accepted" if result.records else "rejected"

    def _read(self, entity: str, content: bytes, result: FileResult) -> list[tuple[int, Row]] | None:
        """Rows with their number in the file; None, with the reason noted, when the file as a whole is no good."""
        try:
            text = content.decode("utf-8")
            lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            result.refusals.append(Refusal(1, "", "UNREADABLE", f"The file is no UTF-8 CSV: {error}."))
            return None
        if not lines:
            result.refusals.append(Refusal(1, "", "UNREADABLE", "The file is empty: not even a header row."))
            return None
        header = lines[0]
        problems = _header_problems(entity, header)
        if problems:
            result.refusals += problems
            return None
        rows = []
        for number, line in enumerate(lines[1:], start=2):
            if len(line) != len(header):
                message = f"The row has {len(line)} values, the header {len(header)}."
                result.refusals.append(Refusal(number, "", "RAGGED_ROW", message))
                return None
            rows.append((number, dict(zip(header, line, strict=True))))
        return rows

    def _may_come(self, entity: str, result: FileResult) -> bool:
        """One-time entities come in one delivery; files that carry the same time stamp are one delivery."""
        if entity not in ONE_TIME:
            return True
        match = _STAMP.search(result.name)
        delivery = match[1] if match else result.name
        earlier = self._deliveries.get(entity)
        if earlier in (None, delivery) or entity in self._allowed_again:
            self._deliveries[entity] = delivery
            self._allowed_again.discard(entity)
            return True
        message = f"{entity} is uploaded once and was received before ({earlier})."
        if self.repeat_one_time == "warn":
            result.warnings.append(message)
            return True
        result.refusals.append(Refusal(1, "", "ALREADY_UPLOADED", message))
        return False

    def allow_again(self, entity: str) -> None:
        """Lets a one-time entity come once more, as Peakflo's support does on request."""
        self._allowed_again.add(entity)

    def _well_formed(self, entity: str, group: list[tuple[int, Row]], result: FileResult) -> bool:
        before = len(result.refusals)
        for number, row in group:
            refusals = (check_value(column, row, number) for column in COLUMNS[entity])
            result.refusals += [refusal for refusal in refusals if refusal is not None]
        if entity in ("invoices", "credit_notes"):
            result.refusals += _document_problems(group)
        elif entity != "payments" and len(group) > 1:
            number, row = group[1]
            message = f"externalId {row['externalId']} stands in the file twice."
            result.refusals.append(Refusal(number, "externalId", "DUPLICATE_KEY", message))
        return len(result.refusals) == before

    def _take_customer(self, group: list[tuple[int, Row]], result: FileResult) -> bool:
        _, row = group[0]
        self.customers[row["externalId"]] = row
        return True

    def _take_contact(self, group: list[tuple[int, Row]], result: FileResult) -> bool:
        number, row = group[0]
        if not self._knows_customer(row, number, result):
            return False
        if not row["email"]:
            result.warnings.append(f"Contact {row['externalId']} has no e-mail address.")
        self.contacts[row["externalId"]] = row
        return True

    def _knows_customer(self, row: Row, number: int, result: FileResult) -> bool:
        if row["customerRef"] in self.customers:
            return True
        message = f"Customer {row['customerRef']!r} has not been received."
        result.refusals.append(Refusal(number, "customerRef", "UNKNOWN_CUSTOMER", message))
        return False

    def _take_document(self, entity: str, number_column: str, group: list[tuple[int, Row]], result: FileResult) -> bool:
        """A duplicate number is an update when the externalId is the same, and refused when it is not."""
        store = self.invoices if entity == "invoices" else self.credit_notes
        line, header = group[0]
        if not self._knows_customer(header, line, result):
            return False
        number = header[number_column]
        holder = self._numbers.setdefault((entity, number), header["externalId"])
        if holder != header["externalId"]:
            message = f"{number_column} {number} already belongs to externalId {holder}."
            result.refusals.append(Refusal(line, number_column, "DUPLICATE_NUMBER", message))
            return False
        store[header["externalId"]] = Document(header, [row for _, row in group])
        return True

    def _take_pdf(self, name: str, content: bytes, result: FileResult) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self._pdf_digests[name] = (len(content), digest)
        if not content.startswith(b"%PDF-"):
            result.status = "rejected"
            result.refusals.append(Refusal(1, "", "NOT_A_PDF", "The file does not start with %PDF-."))
            return
        external_id = name.rsplit(".", 1)[0].rpartition("_")[2]
        if external_id not in self.invoices:
            self.parked[name] = digest
            result.status = "parked"
            return
        self.parked.pop(name, None)
        self.pdfs[external_id] = digest
        result.records = 1

    def _take_manifest_row(self, group: list[tuple[int, Row]], result: FileResult) -> bool:
        number, row = group[0]
        found = self._pdf_digests.get(row["fileName"])
        if found is None:
            message = f"{row['fileName']} is listed but was not received."
            result.refusals.append(Refusal(number, "fileName", "FILE_MISSING", message))
            return False
        size, digest = found
        if (str(size), digest) != (row["bytes"], row["sha256"].lower()):
            message = f"{row['fileName']} has {size} bytes with SHA-256 {digest}."
            result.refusals.append(Refusal(number, "sha256", "FILE_DIFFERS", message))
            return False
        return True

    def _take_payment(self, group: list[tuple[int, Row]], result: FileResult) -> bool:
        """Rows of a payment replace all that was known of it: the file is the source of truth."""
        line, header = group[0]
        if not self._knows_customer(header, line, result):
            return False
        total = as_decimal(header["amount"]) or Decimal(0)
        parts = sum((as_decimal(row["appliedAmount"]) or Decimal(0) for _, row in group), Decimal(0))
        if header["status"] == "ACTIVE" and parts != total:
            message = f"The rows of payment {header['externalId']} apply {parts}, its amount is {total}."
            result.refusals.append(Refusal(line, "appliedAmount", "AMOUNT_MISMATCH", message))
            return False
        for _, row in group:
            if row["invoiceNumber"] and ("invoices", row["invoiceNumber"]) not in self._numbers:
                result.warnings.append(
                    f"Payment {header['externalId']} names invoice {row['invoiceNumber']}, which is not here."
                )
        self.payments[header["externalId"]] = Document(header, [row for _, row in group])
        return True

    def _take_one_time(self, entity: str, group: list[tuple[int, Row]], result: FileResult) -> bool:
        _, row = group[0]
        self.one_time[entity][row["externalId"]] = row
        return True

    def _apply_payments(self) -> None:
        """Applies every active payment anew: by invoice number, else to the one exactly equal open balance."""
        by_number = {document.header["invoiceNumber"]: document for document in self.invoices.values()}
        self.applied = defaultdict(Decimal)
        self.unapplied = {}
        waiting: list[tuple[str, Row, Decimal]] = []
        for key, payment in self.payments.items():
            if payment.header["status"] != "ACTIVE":
                continue
            for row in payment.rows:
                part = as_decimal(row["appliedAmount"]) or Decimal(0)
                if row["invoiceNumber"] in by_number:
                    self.applied[row["invoiceNumber"]] += part
                elif part:
                    waiting.append((key, row, part))
        for key, row, part in waiting:
            target = self._equal_balance(row, part) if not row["invoiceNumber"] else None
            if target is not None:
                self.applied[target] += part
            else:
                self.unapplied[key] = self.unapplied.get(key, Decimal(0)) + part

    def _equal_balance(self, row: Row, part: Decimal) -> str | None:
        """Number of the one open invoice of the same customer and currency that leaves exactly this amount open."""
        candidates = [
            document.header["invoiceNumber"]
            for document in self.invoices.values()
            if document.header["customerRef"] == row["customerRef"]
            and document.header["currency"] == row["currency"]
            and document.header["status"] == "OPEN"
            and document.money("totalAmount") - self.applied.get(document.header["invoiceNumber"], Decimal(0)) == part
        ]
        return candidates[0] if len(candidates) == 1 else None

    def edit_payment(self, external_id: str) -> Row:
        """What the user interface does to change a payment; returns its header.

        Raises:
            PaymentEditingDisabled: Payments have come by SFTP, so only SFTP may change them.
            KeyError: There is no such payment.
        """
        if self.payments:
            raise PaymentEditingDisabled("Payments are received by SFTP; change them at the source.")
        return self.payments[external_id].header

    def _file_away(self, path: Path, result: FileResult) -> None:
        error_folder = self.root / "error"
        error_folder.mkdir(exist_ok=True)
        if result.refusals:
            _write_atomically(error_folder / f"{result.name}.errors.csv", _errors_csv(result.refusals))
        if self.mode == "sweep" and result.status != "parked":
            target = error_folder if result.status == "rejected" else self.root / "processed"
            target.mkdir(exist_ok=True)
            os.replace(path, target / path.name)

    def summary(self) -> dict[str, Any]:
        """Counts, totals per currency as decimal text, and what is parked, refused or unapplied."""
        with self._lock:
            counts = {
                "customers": len(self.customers), "contacts": len(self.contacts), "invoices": len(self.invoices),
                "invoice_pdfs": len(self.pdfs), "payments": len(self.payments), "credit_notes": len(self.credit_notes),
                **{entity: len(rows) for entity, rows in self.one_time.items()},
            }  # fmt: skip
            totals = {
                "invoices": _totals(self.invoices, "totalAmount"),
                "credit_notes": _totals(self.credit_notes, "totalAmount"),
                "payments": _totals(self.payments, "amount"),
            }  # fmt: skip
            return {
                "counts": counts,
                "totals": totals,
                "invoice_status": dict(Counter(document.header["status"] for document in self.invoices.values())),
                "parked": sorted(self.parked),
                "unapplied_payments": {key: str(value) for key, value in self.unapplied.items()},
                "payments_locked": bool(self.payments),
                "files": dict(Counter(result.status for result in self.results)),
                "refusals": [
                    {"file": result.name, **vars(refusal)} for result in self.results for refusal in result.refusals
                ],
                "warnings": [warning for result in self.results for warning in result.warnings],
            }

    def environment(self) -> dict[str, str]:
        """Peakflo is reached through the SFTP server alone."""
        return {}

    def state(self) -> dict[str, Any]:
        """The summary."""
        return self.summary()

    def control(self, method: str, path: list[str], body: Any) -> Any:
        """Control paths: `load`, `results`, `allow_again/<entity>`, `invoices/<key>`, `payments/<key>`."""
        match method, path:
            case "GET", []:
                return self.summary()
            case "POST", ["load"]:
                return [result.as_dict() for result in self.load()]
            case "GET", ["results"]:
                return [result.as_dict() for result in self.results]
            case "POST", ["allow_again", entity]:
                self.allow_again(entity)
                return {}
            case "GET", ["invoices" | "payments" | "credit_notes" as kind, key]:
                document: Document = getattr(self, kind)[key]
                return {"header": document.header, "rows": document.rows}
            case "PUT", ["payments", key]:
                return self.edit_payment(key)
        raise NotHandled


def _by_record(rows: list[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    """Rows that share an externalId, wherever they stand, in the order of their first row."""
    groups: dict[str, list[tuple[int, Row]]] = {}
    for number, row in rows:
        groups.setdefault(row["externalId"], []).append((number, row))
    yield from groups.values()


def _header_problems(entity: str, header: list[str]) -> list[Refusal]:
    expected = [column.name for column in COLUMNS[entity]]
    problems = [
        Refusal(1, name, "MISSING_COLUMN", f"Column {name} is missing.") for name in expected if name not in header
    ]
    for name, count in Counter(header).items():
        if count > 1:
            problems.append(Refusal(1, name, "DUPLICATE_COLUMN", f"Column {name} stands in the header {count} times."))
        if name not in expected and not is_custom(name):
            problems.append(Refusal(1, name[:60], "UNKNOWN_COLUMN", f"Column {name[:60]!r} is not known."))
    return problems


def _document_problems(group: list[tuple[int, Row]]) -> list[Refusal]:
    """The header must repeat on every row, lines must be numbered once each, and net plus tax must give the total."""
    problems = []
    first_number, first = group[0]
    header_columns = [name for name in first if name not in LINE_COLUMNS and not name.startswith("line.")]
    for number, row in group[1:]:
        for name in header_columns:
            if row[name] != first[name]:
                message = f"{name} differs from row {first_number} of the same document."
                problems.append(Refusal(number, name, "HEADER_DIFFERS", message))
    numbers = Counter(row["lineNumber"] for _, row in group)
    for line_number, count in numbers.items():
        if count > 1:
            message = f"Line {line_number} stands in the document {count} times."
            problems.append(Refusal(first_number, "lineNumber", "DUPLICATE_LINE", message))
    amounts = [as_decimal(first[name]) for name in ("subTotal", "totalTaxAmount", "totalAmount")]
    if None not in amounts and amounts[0] + amounts[1] != amounts[2]:  # type: ignore[operator]
        message = f"{amounts[0]} + {amounts[1]} is not {amounts[2]}."
        problems.append(Refusal(first_number, "totalAmount", "TOTAL_MISMATCH", message))
    return problems


def _totals(documents: dict[str, Document], column: str) -> dict[str, str]:
    totals: dict[str, Decimal] = {}
    for document in documents.values():
        currency = document.header["currency"]
        totals[currency] = totals.get(currency, Decimal(0)) + document.money(column)
    return {currency: str(total) for currency, total in sorted(totals.items())}


def _errors_csv(refusals: list[Refusal]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["row", "column", "code", "message"])
    writer.writerows([refusal.row, refusal.column, refusal.code, refusal.message] for refusal in refusals)
    return text.getvalue().encode()


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    os.replace(temporary, path)
