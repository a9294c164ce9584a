"""What SAP's refusal of a posting means: a stable reason, a sentence for finance, and where to put it right.

Texts are localised, and one rule comes under several codes (`-10`, `-5002`, `-2028`) by build and object. So a rule
looks at what is stable first: the code, the number that a text may begin with, and the field that it may end with
(`[JDT1.Account][line: 2]`). English words only tell apart what these leave open.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from tieout.systems.sap_b1.errors import CHANGED_MEANWHILE, NOT_FOUND

Owner = Literal["finance", "data engineer"]

_LONGEST_QUOTE = 200
_NUMBER = re.compile(r"^\W{0,2}(\d{4,12}|\d{3,5}-\d{1,4})\b")
_FIELD = re.compile(r"\[@?([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)\]")
_LINE = re.compile(r"\[line: *(\d+)\]", re.IGNORECASE)
_PROPERTY = re.compile(r"property '([^']+)'", re.IGNORECASE)
_QUOTED = re.compile(r"'([^']+)'")
_CURRENCY = re.compile(r"\b([A-Z]{3})\b")
_DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2}|\d{8}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4})\b")


@dataclass(frozen=True)
class Refusal:
    """Why SAP did not take a record.

    Attributes:
        reason_code: Stable upper-case name.
        sentence: What is wrong, and SAP's own words.
        fix_hint: Where to put it right.
        owner: Who does that.
    """

    reason_code: str
    sentence: str
    fix_hint: str
    owner: Owner = "finance"


@dataclass(frozen=True)
class _Reason:
    """How a reason is told. `{object}`, `{line}`, `{property}` and `{rate}` are filled in where they are known, and
    `{source}` in hints.
    """

    sentence: str
    fix_hint: str
    owner: Owner = "finance"


_REASONS = {
    "UNKNOWN_ACCOUNT": _Reason(
        "SAP Business One does not take the G/L account{line} of the {object}: there is none, or none to post to.",
        "Correct the G/L account in {source} or in the mapping of accounts, or add it in SAP: Financials > Chart of "
        "Accounts.",
    ),
    "INACTIVE_ACCOUNT": _Reason(
        "The G/L account{line} of the {object} cannot be posted to: it is a title account, inactive or frozen.",
        "Choose an active account in {source} or in the mapping of accounts, or open this one in SAP: Financials > "
        "Chart of Accounts > G/L Account Details.",
    ),
    "CONTROL_ACCOUNT": _Reason(
        "The G/L account{line} of the {object} is a control account or locked for manual postings.",
        "Choose another account in {source} or in the mapping of accounts; in SAP: Financials > Chart of Accounts > "
        "G/L Account Details, boxes Control Account and Block Manual Posting.",
    ),
    "PERIOD_LOCKED": _Reason(
        "The posting period of the {object} is locked.",
        "Open the period in SAP (Administration > System Initialization > Posting Periods), or change the posting date "
        "in {source}.",
    ),
    "DATE_OUT_OF_RANGE": _Reason(
        "A date of the {object} lies outside the range that SAP Business One permits.",
        "Change the date in {source}, or add or extend the period in SAP: Administration > System Initialization > "
        "Posting Periods.",
    ),
    "MISSING_COST_CENTRE": _Reason(
        "The {object} has no cost centre{line}, and the account needs one.",
        "Give the line a cost centre in {source}; in SAP the rule is set in Financials > Chart of Accounts > G/L "
        "Account Details > Cost Accounting.",
    ),
    "UNKNOWN_COST_CENTRE": _Reason(
        "SAP Business One does not take the cost centre{line} of the {object}: it has no such distribution rule, or "
        "not in this dimension or on this date.",
        "Correct the cost centre in {source} or in the mapping of cost centres, or add it in SAP: Financials > Cost "
        "Accounting > Distribution Rules.",
    ),
    "MISSING_PROJECT": _Reason(
        "The {object} has no project{line}, and the account needs one.",
        "Give the line a project in {source}; in SAP the rule is set in Financials > Chart of Accounts > G/L Account "
        "Details.",
    ),
    "UNKNOWN_PROJECT": _Reason(
        "SAP Business One does not take the project{line} of the {object}: it does not exist there, or is not valid on "
        "this date.",
        "Correct the project in {source} or in the mapping of projects, or add or extend it in SAP: Administration > "
        "Setup > Financials > Projects.",
    ),
    "DUPLICATE_IN_SAP": _Reason(
        "SAP Business One has this {object} already.",
        "Look it up in SAP. If it is the same, discard the held record; if not, change its number or code in {source}.",
    ),
    "UNBALANCED": _Reason(
        "Debit and credit of the {object} are not the same in SAP's local or system currency.",
        "Tell the data engineer: amounts, exchange rates or rounding of this record do not come out even.",
        "data engineer",
    ),
    "VALUE_TOO_LONG": _Reason(
        "A value of the {object} is too long for SAP Business One{property}.",
        "Shorten it in {source}, or cut it in the mapping.",
    ),
    "EXCHANGE_RATE_MISSING": _Reason(
        "SAP Business One has no exchange rate for the {object}{rate}.",
        "Enter the rate in SAP: Administration > Exchange Rates and Indexes.",
    ),
    "UNKNOWN_VENDOR": _Reason(
        "SAP Business One does not know the vendor{line} of the {object}.",
        "Correct the vendor in {source} or in the mapping of vendor codes, or add it in SAP: Business Partners > "
        "Business Partner Master Data.",
    ),
    "VENDOR_INACTIVE": _Reason(
        "The vendor of the {object} is inactive or frozen in SAP Business One.",
        "Make it active in SAP (Business Partners > Business Partner Master Data > General), or correct the vendor in "
        "Stampli.",
    ),
    "BRANCH_MISSING": _Reason(
        "The {object} needs a branch{line}: this company keeps its books by branch.",
        "Set the branch in the mapping, and check that it is active and that the user may post to it: Administration > "
        "Setup > Financials > Branches.",
        "data engineer",
    ),
    "NO_NUMBERING_SERIES": _Reason(
        "SAP Business One has no numbering series for the {object} in this period.",
        "Define or unlock the series in SAP: Administration > System Initialization > Document Numbering.",
    ),
    "CREDIT_LIMIT": _Reason(
        "A credit limit in SAP Business One does not allow the {object}.",
        "Check the limit in SAP: Business Partners > Business Partner Master Data > Payment Terms.",
    ),
    "APPROVAL": _Reason(
        "A rule of this company in SAP Business One asks for an approval of the {object}, and took nothing in.",
        "Have it approved in SAP (Administration > Approval Procedures > Approval Status Report), or have the rule "
        "except the integration's user.",
    ),
    "ADD_ON_REFUSED": _Reason(
        "A check of this company's own in SAP Business One (an add-on or SBO_SP_TransactionNotification) refuses the "
        "{object}.",
        "Put right what the message says. If it says nothing, ask the SAP administrator for the rule; where every "
        "posting fails like this, restarting Service Layer's nodes has helped.",
    ),
    "TAX_CODE_INVALID": _Reason(
        "SAP Business One does not take the tax code{line} of the {object}.",
        "Correct the tax code in {source} or in the mapping of tax codes, or check it in SAP: Administration > Setup > "
        "Financials > Tax.",
    ),
    "INVALID_VALUE": _Reason(
        "A value of the {object} is not one that SAP Business One takes{property}.",
        "Correct the value in {source} or in the mapping; SAP's message names what it takes.",
    ),
    "CONCURRENT_EDIT": _Reason(
        "Somebody changed the {object} in SAP Business One at the same time.",
        "Nothing to do: it is tried again with the new state. Should it stay, close the window in SAP in which it is "
        "open.",
    ),
    "REFERENCE_NOT_FOUND": _Reason(
        "Something that the {object} refers to does not exist in SAP Business One; its message does not say what.",
        "Check vendor, accounts, cost centres, projects and branch of this record in SAP; a cost centre needs a "
        "distribution rule of the same code (Financials > Cost Accounting > Distribution Rules).",
    ),
    "FIELD_UNKNOWN": _Reason(
        "This company's Service Layer has no such field for the {object}{property}.",
        "Take the field out of the mapping, or create it in SAP (Tools > Customization Tools > User-Defined Fields) "
        "and restart Service Layer.",
        "data engineer",
    ),
    "SAP_REFUSED": _Reason(
        "SAP Business One refuses the {object}.",
        "Put right what SAP's message says, in {source} or in SAP; enter the record in SAP by hand to see the same "
        "message with its window.",
    ),
}


@dataclass(frozen=True)
class _Rule:
    """A reason, and what must all hold for it. Empty conditions hold always; `words` are looked for in the text."""

    reason: str
    words: str = ""
    fields: str = ""
    codes: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    kind: str = ""


def _any(*values: str) -> frozenset[str]:
    return frozenset(values)


_OWN_RULES = _any("-1", "-1116")
_ACCOUNT = r"JDT1\.(Account|AcctCode)|OACT\.\w+"
_VENDOR = r"OCRD\.CardCode|JDT1\.(ShortName|CardCode)|O[A-Z]{3}\.CardCode"
_COST_CENTRE = r"JDT1\.(ProfitCode|OcrCode[1-5]?)|OOCR\.\w+|OPRC\.\w+"
_PROJECT = r"(JDT1|OJDT)\.Project|OPRJ\.\w+"
_TAX = r"JDT1\.(VatGroup|TaxCode|TaxGroup)|OVTG\.\w+|OSTC\.\w+"
_DATES = r"(OJDT|JDT1)\.(RefDate|DueDate|TaxDate|VatDate)|OOPR\.PredDate|OFPR\.\w+"
_MISSING = r"missing|specify|required|mandatory|enter a|must be (defined|entered)|undefined|is empty"
_NO_COST_CENTRE = rf"(?=.*(cost cent(er|re)|distribution rule|dimension))(?=.*({_MISSING}))"
_NO_PROJECT = rf"(?=.*\bproject)(?=.*({_MISSING}))"

# The first rule that holds is it: unmistakable ones first, then those by field, then those by English words alone.
_RULES = (
    _Rule("CONCURRENT_EDIT", codes=_any(CHANGED_MEANWHILE)),
    _Rule("VALUE_TOO_LONG", words=r"value too long"),
    _Rule("FIELD_UNKNOWN", codes=_any("-1000", "201"), words=r"'\w+'"),
    _Rule("INVALID_VALUE", codes=_any("-1004")),
    _Rule("DUPLICATE_IN_SAP", codes=_any("-2035")),
    _Rule("DUPLICATE_IN_SAP", numbers=_any("1320000140", "10001467")),
    _Rule("EXCHANGE_RATE_MISSING", codes=_any("-4006")),
    _Rule("EXCHANGE_RATE_MISSING", fields=r"ORTT\.\w+"),
    # By field; words tell apart what one field stands for.
    _Rule("BRANCH_MISSING", fields=r"\w+\.(BPLId|BPLID)|OBPL\.\w+"),
    _Rule("NO_NUMBERING_SERIES", fields=r"NNM1\.\w+|OJDT\.Series|OCRD\.Series"),
    _Rule("PERIOD_LOCKED", fields=_DATES, words=r"lock|closed"),
    _Rule("PERIOD_LOCKED", fields=r"OFPR\.PeriodStat"),
    _Rule("DATE_OUT_OF_RANGE", fields=_DATES),
    _Rule("MISSING_COST_CENTRE", fields=f"{_ACCOUNT}|{_COST_CENTRE}", words=_NO_COST_CENTRE),
    _Rule("MISSING_COST_CENTRE", fields=_COST_CENTRE, words=_MISSING),
    _Rule("UNKNOWN_COST_CENTRE", fields=_COST_CENTRE),
    _Rule("MISSING_PROJECT", fields=f"{_ACCOUNT}|{_PROJECT}", words=_NO_PROJECT),
    _Rule("MISSING_PROJECT", fields=_PROJECT, words=_MISSING),
    _Rule("UNKNOWN_PROJECT", fields=_PROJECT),
    _Rule("CONTROL_ACCOUNT", fields=_ACCOUNT, words=r"control account|manual"),
    _Rule("INACTIVE_ACCOUNT", fields=_ACCOUNT, words=r"not active|inactive|title|frozen|not valid"),
    _Rule("UNKNOWN_ACCOUNT", fields=_ACCOUNT),
    _Rule("TAX_CODE_INVALID", fields=_TAX),
    _Rule("VENDOR_INACTIVE", fields=_VENDOR, words=r"not active|inactive|frozen|on hold"),
    _Rule("VENDOR_INACTIVE", fields=r"OCRD\.(FrozenFor|ValidFor|Frozen|Valid)\w*"),
    _Rule("DUPLICATE_IN_SAP", fields=_VENDOR, words=r"already (exists|assigned|used)|duplicate"),
    _Rule("INVALID_VALUE", fields=_VENDOR, kind="business partner"),
    _Rule("UNKNOWN_VENDOR", fields=_VENDOR),
    # A company's own rules say whatever their author wrote.
    _Rule("CREDIT_LIMIT", codes=_OWN_RULES, words=r"credit limit"),
    _Rule("APPROVAL", codes=_OWN_RULES, words=r"approv"),
    _Rule("ADD_ON_REFUSED", codes=_OWN_RULES),
    # By English words.
    _Rule("EXCHANGE_RATE_MISSING", words=r"exchange rate"),
    _Rule("UNBALANCED", words=r"unbalanced|not balanced|out of balance"),
    _Rule("CREDIT_LIMIT", words=r"credit limit"),
    _Rule("NO_NUMBERING_SERIES", words=r"numbering series|document series"),
    _Rule("PERIOD_LOCKED", words=r"period (is )?(locked|closed)|locked period"),
    _Rule("DATE_OUT_OF_RANGE", words=r"date deviates|permissible range|date (is )?out of range"),
    _Rule("DUPLICATE_IN_SAP", words=r"already (exists|assigned)|duplicated? "),
    _Rule("MISSING_COST_CENTRE", words=_NO_COST_CENTRE),
    _Rule("UNKNOWN_COST_CENTRE", words=r"cost cent(er|re)|distribution rule|dimension"),
    _Rule("BRANCH_MISSING", words=r"\bbranch"),
    _Rule("CONTROL_ACCOUNT", words=r"control account|manual posting"),
    _Rule("INACTIVE_ACCOUNT", words=r"account .*(not active|inactive|title account|frozen)"),
    _Rule("UNKNOWN_ACCOUNT", words=r"invalid (g/l )?account|g/l account"),
    _Rule("MISSING_PROJECT", words=_NO_PROJECT),
    _Rule("UNKNOWN_PROJECT", words=r"\bproject"),
    _Rule("TAX_CODE_INVALID", words=r"tax (code|group)"),
    _Rule("VENDOR_INACTIVE", words=r"(business partner|vendor|\bbp) .*(not active|inactive|frozen)"),
    _Rule("INVALID_VALUE", words=r"invalid (bp|business partner|vendor|card) ?code", kind="business partner"),
    _Rule("UNKNOWN_VENDOR", words=r"invalid (bp|business partner|vendor|card) ?code"),
    _Rule("REFERENCE_NOT_FOUND", codes=_any(NOT_FOUND)),
    _Rule("REFERENCE_NOT_FOUND", words=r"linked value .* does not exist|no matching records found"),
)  # fmt: skip


def explain(code: str, message: str, *, kind: str, source: str = "the source system") -> Refusal:
    """What a refusal means for finance.

    Args:
        code: Service Layer's code as text; may be empty.
        message: Service Layer's message, in whatever language.
        kind: What was refused: `journal_entry`, `business_partner` or `cancellation` (with `_` or blanks).
        source: Where the record comes from, for the hints.
    """
    text = _clean(message)
    kind = kind.replace("_", " ")
    reason_code = next((rule.reason for rule in _RULES if _holds(rule, code, text, kind)), "SAP_REFUSED")
    reason = _REASONS[reason_code]
    sentence = reason.sentence.format(object=kind, line=_line(text), property=_property(text), rate=_rate(text))
    return Refusal(
        reason_code, f"{sentence} {_quoted(code, text)}", reason.fix_hint.format(source=source), reason.owner
    )


def _holds(rule: _Rule, code: str, text: str, kind: str) -> bool:
    if rule.codes and code not in rule.codes:
        return False
    if rule.kind and kind != rule.kind:
        return False
    number = _NUMBER.match(text)
    if rule.numbers and (number is None or number[1] not in rule.numbers):
        return False
    if rule.fields and not any(re.fullmatch(rule.fields, ".".join(field)) for field in _FIELD.findall(text)):
        return False
    words = _FIELD.sub("", text)
    return not rule.words or re.search(rule.words, words, re.IGNORECASE) is not None


def _clean(message: str) -> str:
    """The text on one line, without what a terminal or a mail would take for more than text."""
    spaced = " ".join(message.split())
    return "".join(character for character in spaced if not unicodedata.category(character).startswith("C"))


def _quoted(code: str, text: str) -> str:
    short = text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 3] + "..."
    shown = f" (code {_clean(code)[:20]})" if code else ""
    return f"SAP{shown} says: “{short}”" if short else f"SAP{shown} gives no reason."


def _line(text: str) -> str:
    found = _LINE.search(text)
    return f" in line {found[1]}" if found else ""


def _property(text: str) -> str:
    found = _PROPERTY.search(text)
    if found:
        return f" ({found[1]})"
    field = _FIELD.search(text)
    return f" ({field[1]}.{field[2]})" if field else ""


def _rate(text: str) -> str:
    named = [word for quoted in _QUOTED.findall(text) for word in _CURRENCY.findall(quoted)] or _CURRENCY.findall(text)
    currency = next((word for word in named if word != "SAP"), "")
    date = _DATE.search(text)
    return (f" from {currency}" if currency else "") + (f" on {date[1]}" if date else "")
