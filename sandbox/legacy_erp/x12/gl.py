"""G/L postings as 830 and as 821."""

from __future__ import annotations

import re

from sandbox.legacy_erp.money import amount, millionths
from sandbox.legacy_erp.received import Reading
from sandbox.legacy_erp.x12.interchange import Interchange, TransactionSet
from sandbox.legacy_erp.x12.rules import is_date
from sandbox.legacy_erp.x12.sets import SetReader, element

VOUCHER = r"(\d{4})(\d{2})-(\d{10})"
_VOUCHER = re.compile(VOUCHER, re.ASCII)


class GlReader(SetReader):
    """What both sets have in common."""

    def __init__(self, reading: Reading, interchange: Interchange, current: TransactionSet) -> None:
        super().__init__(reading, interchange, current)
        reading.entity = "gl_postings"
        self.cost_centre: str | None = None
        self.account: str | None = None
        self._groups: set[tuple[str, str]] = set()

    def head(self, parts: list[str]) -> None:
        """Segments before the lines."""
        detail = self.reading.detail
        match parts[0]:
            case "BFR" | "B2A":
                detail["purpose"] = element(parts, 1)
            case "CUR":
                detail["currency"] = element(parts, 2)
            case "N1":
                detail[f"party_{parts[1]}"] = {"name": element(parts, 2), "code": element(parts, 4)}
            case "REF" if parts[1] == "BT":
                detail["batch"] = element(parts, 2)
            case "DTM" if parts[1] in ("193", "194"):
                detail["period_start" if parts[1] == "193" else "period_end"] = element(parts, 2)

    def open_account(self, account: str) -> None:
        """Lines of one account of the cost centre follow; each account may be opened once."""
        self.account = account
        key = (self.cost_centre or "", account)
        if key in self._groups:
            self.complain(f"account {account!r} of cost centre {key[0]!r} came before in this set.")
        self._groups.add(key)

    def line(self, value: int, day: str, voucher: tuple[str, str, str], source: str) -> None:
        """A posting."""
        year, period, journal = voucher
        self.reading.lines.add(
            (int(year), int(period), int(journal), 0, int(day or 0), value),
            (self.cost_centre or "", self.account or "", "", source, "", ""),
        )

    def voucher(self, text: str) -> tuple[str, str, str] | None:
        """Year, period and journal; complains where the text is no voucher."""
        found = _VOUCHER.fullmatch(text)
        if found is None:
            self.complain(f"the voucher {text!r} is not of the form YYYYPP-nnnnnnnnnn.")
            return None
        year, period, journal = found.groups()
        return year, period, journal

    def value(self, text: str) -> int | None:
        """An amount; complains where the receiver's books cannot hold it."""
        found = millionths(text)
        if found is None:
            self.complain(f"the amount {text!r} has over twelve digits before or six after the point.")
        return found


class Reader830(GlReader):
    """One LIN per cost centre and account, one FST per posting, its quantity the signed amount."""

    def __init__(self, reading: Reading, interchange: Interchange, current: TransactionSet) -> None:
        super().__init__(reading, interchange, current)
        star = re.escape(interchange.element)
        self._fst = re.compile(
            rf"FST{star}(-?(?:0|[1-9]\d*)?(?:\.\d+)?){star}Z{star}D{star}(\d{{8}}){star * 4}VV{star}{VOUCHER}", re.ASCII
        )
        self._items = 0
        self._sum = 0
        self._counted = False

    def fast(self, raw: str) -> str | None:
        """FST without fault."""
        found = self._fst.fullmatch(raw)
        if found is None or self.account is None:
            return None
        text, day, year, period, journal = found.groups()
        value = millionths(text)
        # Fifteen digits, no minus zero: what is not plainly right is left to the tables.
        if value is None or len(text) > 15 or not is_date(day) or (value == 0 and text[0] == "-"):
            return None
        self._sum += value
        self.line(value, day, (year, period, journal), "")
        return "FST"

    def segment(self, parts: list[str]) -> None:
        """Takes a segment."""
        match parts[0]:
            case "LIN":
                self._item(parts)
            case "REF" if self._items:
                self._reference(parts)
            case "FST":
                self._forecast(parts)
            case "CTT":
                self._count(parts)
            case "BFR":
                self.head(parts)
                names = ("period_start", "period_end", "generated")
                self.reading.detail |= {
                    "reference": element(parts, 2),
                    **{name: element(parts, at) for at, name in enumerate(names, 6)},
                }
            case _:
                self.head(parts)

    def _item(self, parts: list[str]) -> None:
        self._items += 1
        if element(parts, 1) != str(self._items):
            self.complain(f"LIN01 is {element(parts, 1)!r} and should be {self._items}.")
        self.cost_centre = element(parts, 3)
        self.open_account(element(parts, 5))
        if not self.account:
            self.complain("LIN05, the account, is missing.")

    def _reference(self, parts: list[str]) -> None:
        said = {"CA": self.cost_centre, "GZ": self.account}.get(parts[1])
        if said is not None and element(parts, 2) != said:
            self.complain(f"REF*{parts[1]} says {element(parts, 2)!r} and the LIN {said!r}.")

    def _forecast(self, parts: list[str]) -> None:
        voucher, value = self.voucher(element(parts, 9)), self.value(parts[1])
        if voucher is not None and value is not None:
            self._sum += value
            self.line(value, element(parts, 4), voucher, "")

    def _count(self, parts: list[str]) -> None:
        self._counted = True
        if element(parts, 1) != str(self._items):
            self.complain(f"CTT01 says {element(parts, 1)} and there are {self._items} LIN.")
        if len(parts) > 2 and millionths(parts[2]) != self._sum:
            self.complain(f"CTT02 says {parts[2]} and the amounts add up to {amount(self._sum)}.")
        self.reading.detail["hash_total"] = element(parts, 2) or None

    def finish(self) -> None:
        """The count must have come."""
        if not self._counted:
            self.complain("there is no CTT.")


class Reader821(GlReader):
    """One ENT per cost centre, one ACT per account, a FIR and its voucher per posting."""

    def __init__(self, reading: Reading, interchange: Interchange, current: TransactionSet) -> None:
        super().__init__(reading, interchange, current)
        star = re.escape(interchange.element)
        text = rf"[^{star}{re.escape(interchange.component + interchange.repetition)}\x00-\x1f\x7f]"
        self._fir = re.compile(
            rf"FIR{star}ZZ{star}({text}{{1,30}}(?<! )){star}((?:0|[1-9]\d*)(?:\.\d+)?){star}(\d{{8}}){star * 5}([CD])",
            re.ASCII,
        )
        self._ref = re.compile(rf"REF{star}VV{star}{VOUCHER}", re.ASCII)
        self._entities = 0
        self._line: tuple[int, str, str] | None = None

    def fast(self, raw: str) -> str | None:
        """FIR and REF without fault."""
        found = self._ref.fullmatch(raw)
        if found is not None and self._line is not None:
            year, period, journal = found.groups()
            self._post(*self._line, (year, period, journal))
            return "REF"
        found = self._fir.fullmatch(raw)
        if found is None or self.account is None:
            return None
        source, text, day, side = found.groups()
        value = millionths(text)
        if value is None or not is_date(day):
            return None
        self._close()
        self._line = (value if side == "D" else -value, day, source)
        return "FIR"

    def segment(self, parts: list[str]) -> None:
        """Takes a segment."""
        match parts[0]:
            case "ENT":
                self._entity(parts)
            case "ACT":
                self._close()
                self.open_account(element(parts, 1))
            case "FIR":
                self._report(parts)
            case "REF" if self._line is not None and parts[1] == "VV":
                voucher = self.voucher(element(parts, 2))
                if voucher is not None:
                    self._post(*self._line, voucher)
                self._line = None
            case "TRN":
                self.reading.detail["trace"] = element(parts, 2)
            case _:
                self.head(parts)

    def _post(self, value: int, day: str, source: str, voucher: tuple[str, str, str]) -> None:
        self.line(value, day, voucher, source)
        self._line = None

    def _close(self) -> None:
        if self._line is not None:
            self.complain("the FIR before has no REF*VV, so that its journal is not known.")
            self._line = None

    def _entity(self, parts: list[str]) -> None:
        self._close()
        self._entities += 1
        if element(parts, 1) != str(self._entities):
            self.complain(f"ENT01 is {element(parts, 1)!r} and should be {self._entities}.")
        self.cost_centre, self.account = element(parts, 4), None

    def _report(self, parts: list[str]) -> None:
        self._close()
        side, value = element(parts, 9), self.value(parts[3])
        if side not in ("C", "D"):
            self.complain("FIR09 must say C or D.")
        elif value is not None and value < 0:
            self.complain(f"FIR03 is {parts[3]}: the side says the sign, the amount has none.")
        elif value is not None:
            self._line = (value if side == "D" else -value, element(parts, 4), element(parts, 2))

    def finish(self) -> None:
        """The last line must have its voucher."""
        self._close()
