"""What holds a record beyond the record itself: what it hangs on is held, or the quality gate speaks against it.

Known only at the moment of delivery, when those that it needs have gone.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

import pyarrow as pa

from tieout.integrations.expectations import unfit
from tieout.integrations.run import Run
from tieout.integrations.sap_b1_to_peakflo import pdfs
from tieout.integrations.sorting import HeldCheck, read_held, read_records
from tieout.ledger import Ledger
from tieout.mapping.held import HeldReason
from tieout.staging import Folder

CUSTOMERS = "customers"
INVOICES = "invoices"
INVOICE_PDFS = "invoice_pdfs"
PAYMENTS = "payments"


def checks_at_once(entity: str) -> list[HeldCheck]:
    """Rules beyond the mapping's that need nothing but the record."""
    return [pdfs.unreadable] if entity == INVOICE_PDFS else []


def checks_beyond(run: Run, entity: str, ledger: Ledger, staging: Folder) -> list[HeldCheck]:
    """All rules at the moment of delivery: what became of its customer or invoice, what the quality gate found."""
    checks = checks_at_once(entity)
    wanting = unfit(staging / entity / "prepared")
    if wanting:
        checks.append(lambda batch: _by_key(batch, wanting))
    if entity == INVOICE_PDFS:
        prepared = staging / INVOICES / "prepared"
        dry = run.dry_run and (prepared / "records.parquet").exists()
        going = {record.source_key for record in read_records(prepared)} if dry else set()
        invoices = run.scope(INVOICES)
        checks.append(
            lambda batch: pdfs.without_invoice(batch, lambda keys: {*ledger.fingerprints(invoices, keys), *going})
        )
    held_customers = _held(run, CUSTOMERS, ledger, staging) if entity != CUSTOMERS else set()
    if held_customers:
        checks.append(lambda batch: belongs_to_held_customer(batch, held_customers))
    held_invoices = _held(run, INVOICES, ledger, staging) if entity == PAYMENTS else set()
    if held_invoices:
        checks.append(lambda batch: pays_held_invoice(batch, held_invoices))
    return checks


def _held(run: Run, entity: str, ledger: Ledger, staging: Folder) -> set[str]:
    """Keys that are held; a dry run has not told the ledger of its own."""
    held = set(ledger.open_held_keys(run.scope(entity)))
    prepared = staging / entity / "prepared"
    if run.dry_run and (prepared / "held.jsonl").exists():
        held |= {draft.source_key for draft in read_held(prepared)}
    return held


def _by_key(batch: pa.RecordBatch, reasons: Mapping[str, str]) -> dict[int, HeldReason]:
    return {
        position: HeldReason(
            "EXPECTATION_NOT_MET",
            reasons[key],
            "Correct the record in SAP Business One, or the expectation in include/quality if it is wrong.",
        )
        for position, key in enumerate(batch.column("_key").to_pylist())
        if key in reasons
    }


def pays_held_invoice(batch: pa.RecordBatch, held: Container[str]) -> dict[int, HeldReason]:
    """Holds a payment of an invoice that is held: without the invoice Peakflo might apply it to another one."""
    found: dict[int, HeldReason] = {}
    for position, parts in enumerate(batch.column("PaymentInvoices").to_pylist()):
        for part in parts or ():
            if str(part["DocEntry"]) in held and (part["InvoiceType"] or "it_Invoice") == "it_Invoice":
                found[position] = HeldReason(
                    "INVOICE_HELD",
                    f"The payment waits, because the invoice with DocEntry {part['DocEntry']} that it pays is held.",
                    "See why the invoice is held (`bin/tieout held`); the payment follows it by itself.",
                )
    return found


def belongs_to_held_customer(batch: pa.RecordBatch, held: Container[str]) -> dict[int, HeldReason]:
    """Holds what belongs to a customer that is held: Peakflo would not know whose it is."""
    name = next((name for name in ("CardCode", "parent.CardCode") if name in batch.schema.names), None)
    codes = batch.column(name).to_pylist() if name else []
    return {
        position: HeldReason(
            "CUSTOMER_HELD",
            f"It waits, because its customer {code} is held.",
            "See why the customer is held (`bin/tieout held`); this record follows by itself.",
        )
        for position, code in enumerate(codes)
        if code in held
    }
