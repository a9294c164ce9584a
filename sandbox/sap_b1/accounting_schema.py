"""Entity sets of the general ledger: journal entries and the set-up tables that they refer to.

None of them has a column that tells when a row changed, and none has an ETag.
"""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.sap_b1.edm import DATE, DOUBLE, INTEGER, TEXT, YES_NO, EntitySet, merged, typed

ACCOUNTING_ENUMS: dict[str, dict[str, str]] = {
    "TransTypesEnum": {
        "ttAllTransactions": "-1", "ttOpeningBalance": "-2", "ttClosingBalance": "-3", "ttARInvoice": "13",
        "ttARCredItnote": "14", "ttAPInvoice": "18", "ttAPCreditNote": "19", "ttReceipt": "24",
        "ttJournalEntry": "30", "ttVendorPayment": "46",
    },
    "BoTaxPostAccEnum": {"tpa_Default": "N", "tpa_SalesTaxAccount": "R", "tpa_PurchaseTaxAccount": "P"},
    "CurrenciesDecimalsEnum": {
        "cdDefault": "-1", "cdWithoutDecimals": "0", "cd1Digit": "1", "cd2Digits": "2", "cd3Digits": "3",
        "cd4Digits": "4",
    },
    "BoPayTermDueTypes": {"pdt_None": "N", "pdt_MonthEnd": "E", "pdt_HalfMonth": "H", "pdt_MonthStart": "S"},
}  # fmt: skip
"""Enum type → name → the code stored in the database."""

_JOURNAL_ENTRY = merged(
    typed(DATE, "ReferenceDate"),
    typed(TEXT, "Memo Reference Reference2 TransactionCode ProjectCode"),
    typed(DATE, "TaxDate"),
    typed(INTEGER, "JdtNum"),
    typed(TEXT, "Indicator"),
    typed(YES_NO, "UseAutoStorno"),
    typed(DATE, "StornoDate VatDate"),
    typed(INTEGER, "Series"),
    typed(YES_NO, "StampTax"),
    typed(DATE, "DueDate"),
    typed(YES_NO, "AutoVAT"),
    typed(INTEGER, "Number"),
    typed(TEXT, "LocationCode Reference3 DocumentType"),
    typed(INTEGER, "BlanketAgreementNumber AttachmentEntry"),
    typed(YES_NO, "AdjustTransaction"),
    {"OriginalJournal": "TransTypesEnum"},
    typed(INTEGER, "Original"),
    typed(TEXT, "BaseReference"),
)
_JOURNAL_ENTRY_LINE = merged(
    typed(INTEGER, "Line_ID"),
    typed(TEXT, "AccountCode"),
    typed(DOUBLE, "Debit Credit FCDebit FCCredit"),
    typed(TEXT, "FCCurrency"),
    typed(DATE, "DueDate"),
    typed(TEXT, "ShortName ContraAccount LineMemo"),
    typed(DATE, "ReferenceDate1 ReferenceDate2"),
    typed(TEXT, "Reference1 Reference2 ProjectCode CostingCode"),
    typed(DATE, "TaxDate"),
    typed(DOUBLE, "BaseSum"),
    typed(TEXT, "TaxGroup"),
    typed(DOUBLE, "DebitSys CreditSys"),
    typed(DATE, "VatDate"),
    typed(YES_NO, "VatLine"),
    typed(DOUBLE, "SystemBaseAmount VatAmount SystemVatAmount GrossValue"),
    typed(TEXT, "AdditionalReference CostingCode2 CostingCode3 CostingCode4 CostingCode5 TaxCode"),
    {"TaxPostAccount": "BoTaxPostAccEnum"},
    typed(INTEGER, "LocationCode"),
    typed(TEXT, "ControlAccount"),
    typed(YES_NO, "WTLiable"),
    typed(INTEGER, "BPLID"),
    typed(TEXT, "BPLName VATRegNum CostElementCode"),
)

_PROFIT_CENTER = merged(
    typed(TEXT, "CenterCode CenterName GroupCode"),
    typed(INTEGER, "InWhichDimension"),
    typed(TEXT, "CostCenterType"),
    typed(DATE, "EffectiveFrom EffectiveTo"),
    typed(YES_NO, "Active"),
    typed(TEXT, "CenterOwner"),
)
_DISTRIBUTION_RULE = merged(
    typed(TEXT, "FactorCode FactorDescription"),
    typed(DOUBLE, "TotalFactor"),
    typed(YES_NO, "Direct"),
    typed(INTEGER, "InWhichDimension"),
    typed(YES_NO, "Active"),
)
_DISTRIBUTION_RULE_COLLECTIONS = {
    "DistributionRuleLines": merged(
        typed(TEXT, "CenterCode"), typed(DOUBLE, "TotalInCenter"), typed(DATE, "EffectiveFrom EffectiveTo")
    )
}
_PROJECT = merged(typed(TEXT, "Code Name"), typed(DATE, "ValidFrom ValidTo"), typed(YES_NO, "Active"))
_DIMENSION = merged(
    typed(INTEGER, "DimensionCode"),
    typed(TEXT, "DimensionName"),
    typed(YES_NO, "IsActive"),
    typed(TEXT, "DimensionDescription"),
)
_CURRENCY = merged(
    typed(TEXT, "Code Name DocumentsCode InternationalDescription HundredthName EnglishName EnglishHundredthName"),
    {"Decimals": "CurrenciesDecimalsEnum"},
)
_PAYMENT_TERMS_TYPE = merged(
    typed(INTEGER, "GroupNumber"),
    typed(TEXT, "PaymentTermsGroupName"),
    {"StartFrom": "BoPayTermDueTypes"},
    typed(INTEGER, "NumberOfAdditionalMonths NumberOfAdditionalDays"),
    typed(DOUBLE, "GeneralDiscount InterestOnArrears"),
    typed(INTEGER, "PriceListNo NumberOfToleranceDays NumberOfInstallments"),
    typed(TEXT, "DiscountCode"),
)


def accounting_entity_sets() -> Iterable[EntitySet]:
    """The entity sets of the general ledger."""
    yield EntitySet(
        "JournalEntries", "JournalEntry", "JdtNum", INTEGER, _JOURNAL_ENTRY, {"JournalEntryLines": _JOURNAL_ENTRY_LINE}
    )
    yield EntitySet(
        "DistributionRules", "DistributionRule", "FactorCode", TEXT, _DISTRIBUTION_RULE, _DISTRIBUTION_RULE_COLLECTIONS
    )
    yield EntitySet("ProfitCenters", "ProfitCenter", "CenterCode", TEXT, _PROFIT_CENTER)
    yield EntitySet("Projects", "Project", "Code", TEXT, _PROJECT)
    yield EntitySet("Dimensions", "Dimension", "DimensionCode", INTEGER, _DIMENSION)
    yield EntitySet("Currencies", "Currency", "Code", TEXT, _CURRENCY)
    yield EntitySet("PaymentTermsTypes", "PaymentTermsType", "GroupNumber", INTEGER, _PAYMENT_TERMS_TYPE)
