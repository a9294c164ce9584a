"""Invoices (810), purchase orders (850) and catalogues (832)."""

from __future__ import annotations

from decimal import Decimal

from sandbox.legacy_erp.received import Reading, Row
from sandbox.legacy_erp.settings import DocumentRules
from sandbox.legacy_erp.x12.interchange import Interchange, TransactionSet
from sandbox.legacy_erp.x12.sets import SetReader, element


def _iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else ""


class DocumentReader(SetReader):
    """A set that is one document, or a catalogue of them.

    A subclass says what its segments mean.

    Attributes:
        header: What the heading said so far; holds for every row.
        rows: The lines so far.
    """

    entity: str
    detail_segment: str

    def __init__(self, reading: Reading, interchange: Interchange, current: TransactionSet) -> None:
        super().__init__(reading, interchange, current)
        reading.entity = self.entity
        keys = reading.settings.documents.get(self.entity, DocumentRules()).key
        self.header: Row = dict.fromkeys(keys, "")
        self.rows: list[Row] = []

    def segment(self, parts: list[str]) -> None:
        """Takes a segment."""
        match parts[0]:
            case "CUR":
                self.header["currency"] = element(parts, 2)
            case "N1":
                self.header |= {f"name_{parts[1]}": element(parts, 2), f"code_{parts[1]}": element(parts, 4)}
                if parts[1] == "SU":
                    self.header |= {"supplier_name": element(parts, 2), "supplier": element(parts, 4)}
            case "DTM":
                names = {"011": "ship_date", "002": "delivery_date"}
                self.header[names.get(parts[1], f"date_{parts[1]}")] = _iso(element(parts, 2))
            case "REF":
                self._reference(parts)
            case "PID" if self.rows:
                self.rows[-1]["description"] = element(parts, 5)
            case "CTT":
                self._count(parts)
            case _:
                self.own(parts)

    def own(self, parts: list[str]) -> None:
        """Segments that only this kind of document has."""

    def line(self, parts: list[str], first_pair: int, **values: str) -> None:
        """A line with its item's codes, in pairs of qualifier and code."""
        pairs = zip(parts[first_pair::2], parts[first_pair + 1 :: 2], strict=False)
        codes = {{"BP": "stock_code", "VP": "supplier_stock_code"}.get(name, name): code for name, code in pairs}
        codes.pop("", None)
        blank = {"stock_code": "", "supplier_stock_code": "", "description": "", "line_account": ""}
        self.rows.append({**blank, "line_number": element(parts, 1), **values, **codes})

    def _reference(self, parts: list[str]) -> None:
        value = element(parts, 2) or element(parts, 3)
        if self.rows and parts[1] == "GZ":
            self.rows[-1]["line_account"] = value
        else:
            names = {"VV": "voucher", "DP": "cost_centre", "BT": "batch"}
            self.header[names.get(parts[1], f"reference_{parts[1]}")] = value

    def _count(self, parts: list[str]) -> None:
        if element(parts, 1) != str(len(self.rows)):
            self.complain(f"CTT01 says {element(parts, 1)} and there are {len(self.rows)} {self.detail_segment}.")

    def finish(self) -> None:
        """The document is complete."""
        self.reading.take_documents({**self.header, **row} for row in self.rows or [{}])


class Reader810(DocumentReader):
    """An invoice; TDS01 has two implied decimals. The amount of a credit memo counts as negative."""

    entity = "invoices"
    detail_segment = "IT1"

    def own(self, parts: list[str]) -> None:
        """BIG, ITD, FA2, IT1, TDS."""
        match parts[0]:
            case "BIG":
                self.header.update(
                    invoice_date=_iso(element(parts, 1)), invoice_number=element(parts, 2),
                    purchase_order_date=_iso(element(parts, 3)), purchase_order=element(parts, 4),
                    invoice_type=element(parts, 7), purpose=element(parts, 8) or "00",
                )  # fmt: skip
            case "ITD":
                self.header |= {"due_date": _iso(element(parts, 6)), "net_days": element(parts, 7)}
            case "FA2":
                self.header["account"] = element(parts, 2)
            case "IT1":
                self.line(parts, 6, quantity=element(parts, 2), uom=element(parts, 3), unit_price=element(parts, 4))
            case "TDS":
                self._total(Decimal(element(parts, 1)).scaleb(-2))

    def _total(self, total: Decimal) -> None:
        """A credit memo says by its type that it lowers what is owed; its total has no sign."""
        is_credit = self.header.get("invoice_type") == "CR"
        if is_credit and total < 0:
            self.complain("TDS01 of a credit memo (CR) must be positive.")
        self.header["total_amount"] = str(-total if is_credit else total)


class Reader850(DocumentReader):
    """A purchase order."""

    entity = "purchase_orders"
    detail_segment = "PO1"

    def own(self, parts: list[str]) -> None:
        """BEG, PO1."""
        if parts[0] == "BEG":
            self.header.update(
                purpose=element(parts, 1), order_type=element(parts, 2), purchase_order=element(parts, 3),
                order_date=_iso(element(parts, 5)),
            )  # fmt: skip
        elif parts[0] == "PO1":
            self.line(parts, 6, quantity=element(parts, 2), uom=element(parts, 3), unit_price=element(parts, 4))


class Reader832(DocumentReader):
    """A catalogue: every LIN is an item, a record of its own."""

    entity = "items"
    detail_segment = "LIN"

    def own(self, parts: list[str]) -> None:
        """BCT, LIN, CTP."""
        if parts[0] == "BCT":
            self.header |= {"catalogue": element(parts, 2), "purpose": element(parts, 10) or "00"}
        elif parts[0] == "LIN":
            if element(parts, 1) != str(len(self.rows) + 1):
                self.complain(f"LIN01 is {element(parts, 1)!r} and should be {len(self.rows) + 1}.")
            self.line(parts, 2, unit_price="", uom="")
        elif parts[0] == "CTP" and self.rows:
            self.rows[-1] |= {"unit_price": element(parts, 3), "uom": element(parts, 5)}

    def finish(self) -> None:
        """An empty catalogue brings no item."""
        if self.rows:
            super().finish()
