"""SAP's refusals: a stable reason and a sentence for finance, whatever the language of SAP's own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.systems.sap_b1 import refusals
from tieout.systems.sap_b1.refusals import explain

ENTRY, PARTNER = "journal_entry", "business_partner"

CASES = [
    # Unmistakable: a code, a number, a technical text.
    (ENTRY, "-2039", "Another user or another operation modified data; to continue, open the window again (ODBC "
     "-2039)", "CONCURRENT_EDIT"),
    (PARTNER, "-2039", "Otro usuario modificó los datos (ODBC -2039)", "CONCURRENT_EDIT"),
    (ENTRY, "-1000", "CServiceData::SetPropertyValueString failed; Value too long in property 'Indicator' of "
     "'JournalEntry'", "VALUE_TOO_LONG"),
    (ENTRY, "-5002", "Value too long in property 'Memo' of 'JournalEntry'", "VALUE_TOO_LONG"),
    (ENTRY, "-1000", "Property 'NoSuchField' of 'JournalEntry' is invalid", "FIELD_UNKNOWN"),
    (PARTNER, "201", "Property 'X' is invalid", "FIELD_UNKNOWN"),
    (PARTNER, "-1000", "La propiedad 'X' de 'BusinessPartner' no es válida", "FIELD_UNKNOWN"),
    (ENTRY, "-1000", "Incomplete Batch Request Body!", "SAP_REFUSED"),
    (PARTNER, "-1004", "'Z' is not a valid value for property 'U_X'. The valid values are: 'A' - 'Alpha', 'B' - "
     "'Beta'", "INVALID_VALUE"),
    (PARTNER, "-2035", "This entry already exists in the following tables (ODBC -2035)", "DUPLICATE_IN_SAP"),
    (PARTNER, "-10", "1320000140 - Business partner code 'c1' already assigned to a business partner; enter a unique "
     "business partner code", "DUPLICATE_IN_SAP"),
    (PARTNER, "-10", "1320000140 - Geschäftspartnercode 'c1' bereits vergeben", "DUPLICATE_IN_SAP"),
    (ENTRY, "-5002", "10001467 - There is already a record with duplicated customer/vendor reference "
     "number.", "DUPLICATE_IN_SAP"),
    (ENTRY, "-5002", "(10001467) Ya existe un registro", "DUPLICATE_IN_SAP"),
    (ENTRY, "-4006", "Actualice el tipo de cambio", "EXCHANGE_RATE_MISSING"),
    # By field, in English and in no English.
    (ENTRY, "-5002", "Wechselkurs fehlt  [ORTT.Rate]", "EXCHANGE_RATE_MISSING"),
    (ENTRY, "-5002", "Specify an active branch [ODRF.BPLId]", "BRANCH_MISSING"),
    (ENTRY, "-10", "Filiale angeben  [JDT1.BPLId][line: 1]", "BRANCH_MISSING"),
    (ENTRY, "-4002", "Serie  [NNM1.Series]", "NO_NUMBERING_SERIES"),
    (ENTRY, "-10", "Posting period locked; specify an alternative date  [OJDT.RefDate]", "PERIOD_LOCKED"),
    (ENTRY, "-5002", "Buchungsperiode  [OFPR.PeriodStat]", "PERIOD_LOCKED"),
    (ENTRY, "-5002", "Date deviates from permissible range  [OOPR.PredDate]", "DATE_OUT_OF_RANGE"),
    (ENTRY, "-5002", "Datum weicht ab  [OJDT.RefDate]", "DATE_OUT_OF_RANGE"),
    (ENTRY, "-5002", "Datum weicht ab  [JDT1.DueDate][line: 1]", "DATE_OUT_OF_RANGE"),
    (ENTRY, "-5002", "Distribution rule missing  [JDT1.Account][line: 1]", "MISSING_COST_CENTRE"),
    (ENTRY, "-5002", "Enter a cost center  [JDT1.ProfitCode][line: 1]", "MISSING_COST_CENTRE"),
    (ENTRY, "-5002", "Specify a value  [JDT1.OcrCode3][line: 1]", "MISSING_COST_CENTRE"),
    (ENTRY, "-5002", "Verteilungsregel ungültig  [JDT1.ProfitCode][line: 1]", "UNKNOWN_COST_CENTRE"),
    (ENTRY, "-10", "Linked value X does not exist  [JDT1.OcrCode2][line: 1]", "UNKNOWN_COST_CENTRE"),
    (ENTRY, "-10", "Linked value X does not exist  [OOCR.OcrCode]", "UNKNOWN_COST_CENTRE"),
    (ENTRY, "-5002", "Project is required  [JDT1.Account][line: 1]", "MISSING_PROJECT"),
    (ENTRY, "-5002", "Specify a value  [JDT1.Project][line: 1]", "MISSING_PROJECT"),
    (ENTRY, "-5002", "Projekt ungültig  [JDT1.Project][line: 1]", "UNKNOWN_PROJECT"),
    (ENTRY, "-5002", "Linked value P9 does not exist  [OPRJ.PrjCode]", "UNKNOWN_PROJECT"),
    (ENTRY, "-5002", "G/L account is a control account  [JDT1.Account][line: 1]", "CONTROL_ACCOUNT"),
    (ENTRY, "-5002", "Account locked for manual transactions  [JDT1.Account][line: 1]", "CONTROL_ACCOUNT"),
    (ENTRY, "-5002", "Account is not active / is a title account  [JDT1.Account][line: 1]", "INACTIVE_ACCOUNT"),
    (ENTRY, "-5002", "G/L account is frozen  [OACT.FrozenFor]", "INACTIVE_ACCOUNT"),
    (ENTRY, "-5002", "Invalid G/L account  [JDT1.Account][line: 2]", "UNKNOWN_ACCOUNT"),
    (ENTRY, "-10", "Sachkonto ungültig  [JDT1.Account][line: 2]", "UNKNOWN_ACCOUNT"),
    (ENTRY, "-5002", "Steuerkennzeichen  [JDT1.VatGroup][line: 1]", "TAX_CODE_INVALID"),
    (ENTRY, "-5002", "Steuerkennzeichen  [JDT1.TaxCode][line: 1]", "TAX_CODE_INVALID"),
    (ENTRY, "-5002", "Business partner is inactive  [JDT1.ShortName][line: 2]", "VENDOR_INACTIVE"),
    (ENTRY, "-5002", "Gesperrt  [OCRD.FrozenFor]", "VENDOR_INACTIVE"),
    (PARTNER, "-10", "Code already exists  [OCRD.CardCode]", "DUPLICATE_IN_SAP"),
    (PARTNER, "-5002", "Code undefined  [OCRD.CardCode]", "INVALID_VALUE"),
    (ENTRY, "-5002", "Invalid BP code  [OINV.CardCode] , 'string'", "UNKNOWN_VENDOR"),
    (ENTRY, "-5002", "Ungültig  [JDT1.ShortName][line: 2]", "UNKNOWN_VENDOR"),
    # A company's own rules.
    (ENTRY, "-1116", "(13000316) Credit Limit Exceeded! Ask finance", "CREDIT_LIMIT"),
    (ENTRY, "-1116", "Needs to be approved by the branch manager", "APPROVAL"),
    (ENTRY, "-1116", "Could not commit transaction: Error -1 detected during transaction", "ADD_ON_REFUSED"),
    (ENTRY, "-1", "[NT][4711] Filiale fehlt", "ADD_ON_REFUSED"),
    # By English words alone.
    (ENTRY, "-10", "Update the exchange rate , 'USD'", "EXCHANGE_RATE_MISSING"),
    (ENTRY, "-5002", "Unbalanced Transaction", "UNBALANCED"),
    (ENTRY, "-10", "Credit limit exceeded", "CREDIT_LIMIT"),
    (ENTRY, "-10", "To generate this document, first define the numbering series", "NO_NUMBERING_SERIES"),
    (ENTRY, "-5002", "Posting period locked; specify an alternative date", "PERIOD_LOCKED"),
    (ENTRY, "-10", "Date deviates from permissible range", "DATE_OUT_OF_RANGE"),
    (PARTNER, "-5002", "This code already exists", "DUPLICATE_IN_SAP"),
    (ENTRY, "-5002", "Enter a distribution rule", "MISSING_COST_CENTRE"),
    (ENTRY, "-5002", "Invalid distribution rule", "UNKNOWN_COST_CENTRE"),
    (ENTRY, "-5002", "Specify an active branch", "BRANCH_MISSING"),
    (ENTRY, "-5002", "You cannot post to a control account", "CONTROL_ACCOUNT"),
    (ENTRY, "-5002", "Account 6000 is not active", "INACTIVE_ACCOUNT"),
    (ENTRY, "-5002", "Invalid G/L account", "UNKNOWN_ACCOUNT"),
    (ENTRY, "-5002", "Project must be defined", "MISSING_PROJECT"),
    (ENTRY, "-5002", "Invalid project", "UNKNOWN_PROJECT"),
    (ENTRY, "-5002", "Invalid tax code", "TAX_CODE_INVALID"),
    (ENTRY, "-5002", "Business partner V1 is inactive", "VENDOR_INACTIVE"),
    (PARTNER, "-5002", "Invalid BP code", "INVALID_VALUE"),
    (ENTRY, "-5002", "Invalid BP code", "UNKNOWN_VENDOR"),
    (ENTRY, "-2028", "No existen registros coincidentes (ODBC -2028)", "REFERENCE_NOT_FOUND"),
    (ENTRY, "-5002", "Linked value 4711 does not exist", "REFERENCE_NOT_FOUND"),
    # Nothing known.
    (ENTRY, "-5002", "Internal error (-5002) occurred", "SAP_REFUSED"),
    (ENTRY, "-5006", "The requested action is not supported for this object.", "SAP_REFUSED"),
    ("cancellation", "-10", "Ya cancelado", "SAP_REFUSED"),
    (ENTRY, "", "", "SAP_REFUSED"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "code", "message", "reason"), CASES, ids=[f"{c[3]}-{c[2][:30]}" for c in CASES])
def test_reason(kind: str, code: str, message: str, reason: str) -> None:
    refusal = explain(code, message, kind=kind, source="Stampli")

    assert refusal.reason_code == reason
    assert kind.replace("_", " ") in refusal.sentence
    assert " ".join(message.split())[:190] in refusal.sentence
    assert "{" not in refusal.sentence + refusal.fix_hint
    assert refusal.fix_hint.endswith(".")


def test_every_reason_and_every_rule_has_a_case() -> None:
    assert {case[3] for case in CASES} == set(refusals._REASONS)
    used = set()
    for kind, code, message, _ in CASES:
        text = refusals._clean(message)
        used.add(
            next(
                (
                    n
                    for n, rule in enumerate(refusals._RULES)
                    if refusals._holds(rule, code, text, kind.replace("_", " "))
                ),
                None,
            )
        )
    assert used == {*range(len(refusals._RULES)), None}


@pytest.mark.parametrize(
    ("code", "message", "shown"),
    [
        ("-5002", "Invalid G/L account  [JDT1.Account][line: 2]", "the G/L account in line 2 of the journal entry"),
        ("-1000", "Value too long in property 'Indicator' of 'JournalEntry'", "for SAP Business One (Indicator)."),
        ("-1000", "Property 'NoSuchField' of 'JournalEntry' is invalid", "(NoSuchField)"),
        ("-1004", "'Z' is not a valid value for property 'U_X'.", "(U_X)"),
        ("-4006", "Update the exchange rate , 'USD' 2026-01-31", "from USD on 2026-01-31."),
        ("-4006", "Update the exchange rate USD 31.01.2026", "from USD on 31.01.2026."),
        ("-4006", "Update the exchange rate", "no exchange rate for the journal entry. SAP (code -4006) says"),
    ],
)  # fmt: skip
def test_what_the_message_names_is_told(code: str, message: str, shown: str) -> None:
    assert shown in explain(code, message, kind=ENTRY).sentence


@pytest.mark.parametrize("reason", ["FIELD_UNKNOWN", "UNBALANCED", "BRANCH_MISSING"])
def test_these_are_the_data_engineers(reason: str) -> None:
    case = next(case for case in CASES if case[3] == reason)

    assert explain(case[1], case[2], kind=case[0]).owner == "data engineer"


def test_the_owner_is_finance_otherwise() -> None:
    assert explain("-5002", "whatever", kind=ENTRY).owner == "finance"


def test_where_the_record_comes_from_is_said() -> None:
    assert "in Stampli" in explain("-5002", "Invalid G/L account", kind=ENTRY, source="Stampli").fix_hint
    assert "in the source system" in explain("-5002", "Invalid G/L account", kind=ENTRY).fix_hint


def test_saps_words_are_short_and_harmless() -> None:
    sentence = explain("-1116", "Nein\x00\x1b[31m\u202e\r\n!" + "x" * 500, kind=ENTRY).sentence

    assert "“Nein[31m !xxx" in sentence
    assert sentence.isprintable()
    assert len(sentence) < 450 and "...”" in sentence


@given(st.text(max_size=12), st.text(max_size=400), st.sampled_from([ENTRY, PARTNER, "cancellation", ""]))
def test_whatever_sap_says_is_told(code: str, message: str, kind: str) -> None:
    refusal = explain(code, message, kind=kind)

    assert refusal.reason_code in refusals._REASONS
    assert "\n" not in refusal.sentence
