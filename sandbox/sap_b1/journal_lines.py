"""Lines of a journal entry: what they refer to, and their amounts in local, foreign and system currency.

Messages and codes are those of public samples where there are any; the rest is 400/-5002 with the column and the line
(counted from 1), in the form of SAP's own messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.sap_b1.errors import ServiceLayerError, reference_not_found, refused
from sandbox.sap_b1.money import CURRENCY_DECIMALS, rounded
from sandbox.sap_b1.schema import ENTITY_SETS

if TYPE_CHECKING:
    from sandbox.sap_b1.company import Company

Record = dict[str, Any]
ZERO = Decimal(0)

_ENTITY = ENTITY_SETS["JournalEntries"]
_COSTING_COLUMNS = {1: "ProfitCode", 2: "OcrCode2", 3: "OcrCode3", 4: "OcrCode4", 5: "OcrCode5"}


@dataclass
class Line:
    """One line on its way into the books. Amounts are at their currency's precision.

    Attributes:
        number: Counted from 1, for messages.
        record: The line as it will be stored, amounts apart.
        net: Debit less credit in local currency; None until it is worked out from the foreign amount.
        foreign: Debit less credit in `currency`.
        system: Debit less credit in system currency; None until it is worked out.
        side: 1 for a debit line, -1 for a credit line.
        partner: The business partner's record, where it is one's line.
    """

    number: int
    record: Record
    side: int
    net: Decimal | None
    foreign: Decimal = ZERO
    currency: str | None = None
    system: Decimal | None = None
    partner: Record | None = None

    def stored(self) -> Record:
        """The line as a record of the collection."""
        sides = (
            ("Debit", "Credit", self.net),
            ("FCDebit", "FCCredit", self.foreign),
            ("DebitSys", "CreditSys", self.system),
        )
        for debit, credit, net in sides:
            amount = abs(net or ZERO) if (net or ZERO) * self.side >= 0 else -abs(net or ZERO)
            self.record[debit] = float(amount) if self.side > 0 else 0.0
            self.record[credit] = float(amount) if self.side < 0 else 0.0
        return self.record


def line_error(number: int, column: str, message: str, value: object = None) -> ServiceLayerError:
    """400/-5002 with the column and the line, as SAP writes them."""
    tail = "" if value is None else f" , '{value}'"
    return refused(-5002, f"{message}  [JDT1.{column}][line: {number}]{tail}")


def build_line(company: Company, number: int, values: Record, header: Record) -> Line:
    """Checks everything a line refers to and reads its amounts.

    Raises:
        ServiceLayerError: As the Service Layer refuses the line.
    """
    record = {**_ENTITY.blank_member("JournalEntryLines"), **values, "Line_ID": number - 1}
    record["ProjectCode"] = record["ProjectCode"] or header["ProjectCode"]
    line = _amounts(company, number, values, record)
    _post_to(company, line)
    _check_dimensions(company, line, header["ReferenceDate"])
    _check_project(company, line, header)
    _check_tax(company, line)
    _fill(line, header)
    return line


def _amounts(company: Company, number: int, values: Record, record: Record) -> Line:
    foreign_currency = values.get("FCCurrency") or None
    local = _net(values, "Debit", "Credit", company.local_currency, number)
    system = _net(values, "DebitSys", "CreditSys", company.system_currency, number)
    foreign = ZERO
    if foreign_currency is not None:
        _check_currency(company, number, foreign_currency)
        foreign = _net(values, "FCDebit", "FCCredit", foreign_currency, number)[0]
    elif values.get("FCDebit") or values.get("FCCredit"):
        raise line_error(number, "FCCurrency", "Specify the foreign currency")
    side = _side(values)
    if not company.rules.negative_amounts and any(amount * side < 0 for amount in (local[0], foreign, system[0])):
        raise line_error(number, "Debit" if side > 0 else "Credit", "Negative amounts are not allowed")
    # A local amount of zero beside a foreign one is one that SAP works out.
    given = local[1] and not (foreign and not local[0])
    return Line(
        number, record, side, local[0] if given or not foreign else None, foreign, foreign_currency,
        system[0] if system[1] and system[0] else None,
    )  # fmt: skip


def _net(values: Record, debit: str, credit: str, currency: str, number: int) -> tuple[Decimal, bool]:
    """(debit less credit at the currency's precision, whether either was sent)."""
    on_debit, on_credit = values.get(debit), values.get(credit)
    if on_debit and on_credit:
        raise line_error(number, debit, "Enter either a debit or a credit amount")
    net = rounded(on_debit or ZERO, currency) - rounded(on_credit or ZERO, currency)
    return net, on_debit is not None or on_credit is not None


def _side(values: Record) -> int:
    """1 for debit, -1 for credit: the side that has an amount, or else the one that was sent."""
    for debit, credit in (("Debit", "Credit"), ("FCDebit", "FCCredit"), ("DebitSys", "CreditSys")):
        if values.get(debit) or values.get(credit):
            return 1 if values.get(debit) else -1
    return -1 if values.get("Credit") is not None and values.get("Debit") is None else 1


def _check_currency(company: Company, number: int, currency: str) -> None:
    known = currency in company.tables["Currencies"].rows and currency in CURRENCY_DECIMALS
    if not known or currency == company.local_currency:
        raise line_error(number, "FCCurrency", "Invalid currency", currency)


def _post_to(company: Company, line: Line) -> None:
    """Tells a business partner's line from one of an account, and fills in the control account."""
    short_name, account = line.record["ShortName"], line.record["AccountCode"]
    accounts = company.tables["ChartOfAccounts"].rows
    partner = company.tables["BusinessPartners"].rows.get(short_name) if short_name else None
    if partner is not None:
        _check_partner(company, line, partner)
        control = partner["DebitorAccount"]
        if account not in (None, "", control):
            raise line_error(
                line.number, "Account", "Account is not the control account of the business partner", account
            )
        line.partner = partner
        line.record.update(AccountCode=control, ControlAccount=control)
        return
    code = account or short_name
    if not code:
        raise line_error(line.number, "Account", "Specify an account or a business partner")
    if not account and short_name not in accounts:
        raise line_error(line.number, "ShortName", "Invalid BP code", short_name)
    if code not in accounts:
        raise line_error(line.number, "Account", "Invalid G/L account", code)
    if short_name and account and short_name != account:
        raise line_error(line.number, "ShortName", "Invalid BP code", short_name)
    _check_account(company, line, accounts[code])
    line.record.update(AccountCode=code, ShortName=code)


def _check_partner(company: Company, line: Line, partner: Record) -> None:
    day = company.local_now().date().isoformat()
    code = partner["CardCode"]
    if _is_frozen(partner, "Frozen", "Valid", day):
        raise line_error(line.number, "ShortName", "Business partner is inactive", code)
    if partner["CardType"] == "cLid":
        raise line_error(line.number, "ShortName", "Leads cannot be posted to", code)
    if (
        company.rules.partner_currency
        and line.currency is not None
        and partner["Currency"] not in ("##", line.currency)
    ):
        raise line_error(line.number, "FCCurrency", "Currency differs from the business partner's", line.currency)


def _check_account(company: Company, line: Line, account: Record) -> None:
    number, code = line.number, account["Code"]
    day = company.local_now().date().isoformat()
    if account["ActiveAccount"] != "tYES":
        raise line_error(number, "Account", "Account is a title account and cannot be posted to", code)
    if _is_frozen(account, "FrozenFor", "ValidFor", day):
        raise line_error(number, "Account", "Account is not active", code)
    if account["LockManualTransaction"] == "tYES":
        raise line_error(number, "Account", "Control accounts cannot be posted to directly", code)
    if account["BlockManualPosting"] == "tYES":
        raise line_error(number, "Account", "Manual posting to this account is blocked", code)
    names = ["DistributionRuleRelevant", *(f"DistributionRule{n}Relevant" for n in range(2, 6))]
    for dimension, name in enumerate(names, start=1):
        if account[name] == "tYES" and not line.record[_costing(dimension)]:
            raise line_error(number, _COSTING_COLUMNS[dimension], "Specify a distribution rule for this account", code)
    if account["ProjectRelevant"] == "tYES" and not line.record["ProjectCode"]:
        raise line_error(number, "Project", "Specify a project for this account", code)


def _is_frozen(record: Record, frozen: str, valid: str, day: str) -> bool:
    """Whether a record is inactive on a day: frozen then, or valid in another time only."""
    start, end = ("FrozenFrom", "FrozenTo"), ("ValidFrom", "ValidTo")
    if record[frozen] == "tYES" and _covers(record[start[0]], record[start[1]], day):
        return True
    return record[valid] == "tYES" and not _covers(record[end[0]], record[end[1]], day)


def _covers(first: str | None, last: str | None, day: str) -> bool:
    return (first or "") <= day <= (last or "9999-12-31")


def _costing(dimension: int) -> str:
    return "CostingCode" if dimension == 1 else f"CostingCode{dimension}"


def _check_dimensions(company: Company, line: Line, day: str) -> None:
    for dimension, column in _COSTING_COLUMNS.items():
        code = line.record[_costing(dimension)]
        if code:
            _check_rule(company, line.number, column, code, dimension, day)


def _check_rule(company: Company, number: int, column: str, code: str, dimension: int, day: str) -> None:
    rule = company.tables["DistributionRules"].rows.get(code)
    if rule is None and code in company.tables["ProfitCenters"].rows:
        # A cost centre that no rule was made for, such as the general one.
        raise reference_not_found()
    if rule is None:
        raise line_error(number, column, "Linked value does not exist", code)
    if rule["InWhichDimension"] != dimension:
        raise line_error(number, column, "Distribution rule belongs to another dimension", code)
    if rule["Active"] != "tYES" or not _is_active(company, dimension):
        raise line_error(number, column, "Distribution rule is not active", code)
    if not all(_covers(share["EffectiveFrom"], share["EffectiveTo"], day) for share in rule["DistributionRuleLines"]):
        raise line_error(number, column, "Distribution rule is not effective on the posting date", code)


def _is_active(company: Company, dimension: int) -> bool:
    row = company.tables["Dimensions"].rows.get(dimension)
    return row is None or row["IsActive"] == "tYES"


def _check_project(company: Company, line: Line, header: Record) -> None:
    code = line.record["ProjectCode"]
    if code:
        check_project(company, code, header["ReferenceDate"], f"[JDT1.Project][line: {line.number}]")


def check_project(company: Company, code: str, day: str, where: str) -> None:
    """Refuses a project that does not exist, is inactive, or is not valid on the posting date."""
    project = company.tables["Projects"].rows.get(code)
    if project is None:
        raise refused(-5002, f"Linked value does not exist  {where} , '{code}'")
    if project["Active"] != "tYES":
        raise refused(-5002, f"Project is not active  {where} , '{code}'")
    if not _covers(project["ValidFrom"], project["ValidTo"], day):
        raise refused(-5002, f"Project is not valid on the posting date  {where} , '{code}'")


def _check_tax(company: Company, line: Line) -> None:
    for name, entity_set, column in (("TaxGroup", "VatGroups", "VatGroup"), ("TaxCode", "SalesTaxCodes", "TaxCode")):
        code = line.record[name]
        if not code:
            continue
        row = company.tables[entity_set].rows.get(code)
        if row is None or row["Inactive"] == "tYES":
            raise line_error(line.number, column, "Invalid tax code", code)


def _fill(line: Line, header: Record) -> None:
    """What SAP takes from the header where a line does not say it."""
    defaults = {
        "LineMemo": header["Memo"], "DueDate": header["DueDate"], "TaxDate": header["TaxDate"],
        "VatDate": header["VatDate"], "ReferenceDate1": header["ReferenceDate"], "Reference1": header["Reference"],
        "Reference2": header["Reference2"], "AdditionalReference": header["Reference3"],
        "VatLine": "tNO", "WTLiable": "tNO", "TaxPostAccount": "tpa_Default",
    }  # fmt: skip
    for name, value in defaults.items():
        if line.record[name] is None:
            line.record[name] = value
    for name in ("BaseSum", "SystemBaseAmount", "VatAmount", "SystemVatAmount", "GrossValue"):
        line.record[name] = float(line.record[name] or 0)
