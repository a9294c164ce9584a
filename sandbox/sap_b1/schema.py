"""The entity sets the simulated Service Layer knows: keys, properties with their types, collections.

Names follow the public `$metadata` of a 10.0 company, SAP's own misspellings included. What is listed here is the
whitelist for `$select`, `$filter` and `$orderby`: a name that is missing is refused, as `UpdateDate` on payments is.
"""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.sap_b1.accounting_schema import ACCOUNTING_ENUMS, accounting_entity_sets
from sandbox.sap_b1.edm import DATE, DOUBLE, INTEGER, TEXT, TIME, YES_NO, EntitySet, merged, typed

ENUMS: dict[str, dict[str, str]] = {
    "BoYesNoEnum": {"tNO": "N", "tYES": "Y"},
    "BoCardTypes": {"cCustomer": "C", "cSupplier": "S", "cLid": "L"},
    "BoAddressType": {"bo_ShipTo": "S", "bo_BillTo": "B"},
    "BoVatStatus": {"vExempted": "N", "vLiable": "Y", "vEC": "E"},
    "BoDocumentTypes": {"dDocument_Items": "I", "dDocument_Service": "S"},
    "BoStatus": {"bost_Open": "O", "bost_Close": "C", "bost_Paid": "P", "bost_Delivered": "D"},
    "CancelStatusEnum": {"csYes": "Y", "csNo": "N", "csCancellation": "C"},
    "BoObjectTypes": {"oInvoices": "13", "oCreditNotes": "14", "oPurchaseOrders": "22", "oJournalEntries": "30"},
    "BoPaymentsObjectType": {"bopot_IncomingPayments": "24", "bopot_OutgoingPayments": "46"},
    "PrintStatusEnum": {"psNo": "N", "psYes": "Y", "psAmended": "A"},
    "BoRcptTypes": {"rCustomer": "C", "rAccount": "A", "rSupplier": "S"},
    "BoRcptInvTypes": {
        "it_AllTransactions": "-1", "it_Invoice": "13", "it_CredItnote": "14", "it_PurchaseInvoice": "18",
        "it_Receipt": "24", "it_JournalEntry": "30", "it_DownPayment": "203",
    },
    "BoAccountTypes": {"at_Revenues": "I", "at_Expenses": "E", "at_Other": "N"},
    "BoVatCategoryEnum": {"bovcInputTax": "I", "bovcOutputTax": "O"},
    "ItemTypeEnum": {"itItems": "I", "itLabor": "L", "itTravel": "T", "itFixedAssets": "F"},
    "DocumentAuthorizationStatusEnum": {
        "dasWithout": "-", "dasPending": "W", "dasApproved": "Y", "dasRejected": "N", "dasGenerated": "P",
    },
    "PaymentsAuthorizationStatusEnum": {"pasWithout": "W", "pasApproved": "Y"},
    **ACCOUNTING_ENUMS,
}  # fmt: skip
"""Enum type → name → the code stored in the database; a filter may use either."""


_MARKETING_HEADER_FIELDS = {
    "U_Region": TEXT, "U_Channel": TEXT, "U_Score": DOUBLE, "U_Priority": INTEGER, "U_ApprovedOn": DATE,
    "U_LegacyNo": TEXT, "U_Unused": TEXT,
}  # fmt: skip
_MARKETING_LINE_FIELDS = {"U_Lot": TEXT, "U_Weight": DOUBLE, "U_Pallets": INTEGER, "U_Inspected": DATE, "U_Spare": TEXT}

_DOCUMENT = merged(
    typed(INTEGER, "DocEntry DocNum"),
    {"DocType": "BoDocumentTypes", "HandWritten": YES_NO, "Printed": "PrintStatusEnum"},
    typed(DATE, "DocDate DocDueDate"),
    typed(TEXT, "CardCode CardName Address NumAtCard"),
    typed(DOUBLE, "DocTotal"),
    typed(INTEGER, "AttachmentEntry"),
    typed(TEXT, "DocCurrency"),
    typed(DOUBLE, "DocRate"),
    typed(TEXT, "Reference1 Reference2 Comments JournalMemo"),
    typed(INTEGER, "PaymentGroupCode"),
    typed(TIME, "DocTime"),
    typed(INTEGER, "SalesPersonCode TransportationCode"),
    typed(YES_NO, "Confirmed"),
    typed(INTEGER, "ImportFileNum ContactPersonCode Series"),
    typed(DATE, "TaxDate"),
    typed(YES_NO, "PartialSupply"),
    {"DocObjectCode": "BoObjectTypes"},
    typed(TEXT, "ShipToCode Indicator FederalTaxID"),
    typed(DOUBLE, "DiscountPercent"),
    typed(TEXT, "PaymentReference"),
    typed(DATE, "CreationDate UpdateDate"),
    typed(INTEGER, "FinancialPeriod UserSign TransNum"),
    typed(DOUBLE, "VatSum VatSumSys VatSumFc"),
    typed(YES_NO, "NetProcedure"),
    typed(DOUBLE, "DocTotalFc DocTotalSys"),
    typed(INTEGER, "Form1099"),
    typed(TEXT, "Box1099"),
    typed(YES_NO, "RevisionPo"),
    typed(DATE, "RequriedDate CancelDate"),
    typed(YES_NO, "BlockDunning Submitted"),
    typed(INTEGER, "Segment"),
    typed(YES_NO, "PickStatus Pick"),
    typed(TEXT, "PaymentMethod"),
    typed(YES_NO, "PaymentBlock"),
    typed(INTEGER, "PaymentBlockEntry"),
    typed(TEXT, "CentralBankIndicator"),
    typed(YES_NO, "MaximumCashDiscount Reserve"),
    typed(TEXT, "Project"),
    typed(DATE, "ExemptionValidityDateFrom ExemptionValidityDateTo"),
    typed(YES_NO, "Rounding"),
    typed(TEXT, "ExternalCorrectedDocNum"),
    typed(INTEGER, "InternalCorrectedDocNum NextCorrectingDocument"),
    typed(DOUBLE, "WTApplied WTAppliedFC WTAppliedSC TotalEqualizationTax TotalEqualizationTaxFC"),
    typed(INTEGER, "NumberOfInstallments"),
    typed(DOUBLE, "BaseAmount BaseAmountSC BaseAmountFC WTAmount WTAmountSC WTAmountFC"),
    typed(DATE, "VatDate"),
    typed(INTEGER, "DocumentsOwner FolioNumber"),
    typed(TEXT, "FolioPrefixString Address2"),
    {"DocumentStatus": "BoStatus"},
    typed(TEXT, "PeriodIndicator PayToCode ManualNumber ControlAccount"),
    typed(DOUBLE, "RoundingDiffAmount RoundingDiffAmountFC RoundingDiffAmountSC"),
    typed(YES_NO, "Cancelled"),
    {"AuthorizationStatus": "DocumentAuthorizationStatusEnum", "CancelStatus": "CancelStatusEnum"},
    typed(DOUBLE, "TotalDiscount TotalDiscountFC TotalDiscountSC PaidToDate PaidToDateFC PaidToDateSys"),
    typed(INTEGER, "BPL_IDAssignedToInvoice"),
    typed(TEXT, "BPLName VATRegNum"),
    typed(TIME, "UpdateTime"),
    typed(INTEGER, "DataVersion"),
    _MARKETING_HEADER_FIELDS,
)
_DOCUMENT_LINE = merged(
    typed(INTEGER, "LineNum"),
    typed(TEXT, "ItemCode ItemDescription"),
    typed(DOUBLE, "Quantity"),
    typed(DATE, "ShipDate"),
    typed(DOUBLE, "Price PriceAfterVAT"),
    typed(TEXT, "Currency"),
    typed(DOUBLE, "Rate DiscountPercent"),
    typed(TEXT, "VendorNum SerialNum WarehouseCode"),
    typed(INTEGER, "SalesPersonCode"),
    typed(DOUBLE, "CommisionPercent"),
    typed(TEXT, "AccountCode SupplierCatNum CostingCode ProjectCode BarCode VatGroup"),
    typed(DOUBLE, "Height1 Lengh1 Weight1 Factor1 Factor2 Factor3 Factor4"),
    typed(INTEGER, "BaseType BaseEntry BaseLine"),
    typed(DOUBLE, "Volume Width1"),
    typed(TEXT, "Address TaxCode"),
    typed(YES_NO, "TaxLiable"),
    typed(DOUBLE, "PickQuantity"),
    typed(TEXT, "OriginalItem FreeText"),
    typed(DOUBLE, "AppliedTax AppliedTaxFC AppliedTaxSC"),
    typed(YES_NO, "WTLiable DeferredTax"),
    typed(DOUBLE, "NetTaxAmount NetTaxAmountFC NetTaxAmountSC"),
    typed(TEXT, "MeasureUnit"),
    typed(DOUBLE, "UnitsOfMeasurment LineTotal TaxPercentagePerRow TaxTotal ExciseAmount"),
    typed(TEXT, "CountryOrg"),
    typed(DOUBLE, "RowTotalFC RowTotalSC UnitPrice"),
    {"LineStatus": "BoStatus"},
    typed(DOUBLE, "PackageQuantity"),
    typed(INTEGER, "VisualOrder"),
    typed(TEXT, "COGSCostingCode COGSAccountCode CostingCode2 CostingCode3 CostingCode4 CostingCode5 ItemDetails"),
    typed(INTEGER, "LocationCode"),
    typed(DOUBLE, "RemainingOpenQuantity OpenAmount OpenAmountFC OpenAmountSC"),
    typed(INTEGER, "DocEntry"),
    _MARKETING_LINE_FIELDS,
)
_DOCUMENT_COLLECTIONS = {
    "DocumentLines": _DOCUMENT_LINE,
    "DocumentAdditionalExpenses": merged(
        typed(INTEGER, "ExpenseCode"),
        typed(DOUBLE, "LineTotal LineTotalFC LineTotalSys PaidToDate PaidToDateFC"),
        typed(TEXT, "Remarks VatGroup"),
        typed(DOUBLE, "TaxPercent TaxSum TaxSumFC TaxSumSys"),
        typed(TEXT, "TaxCode"),
        typed(INTEGER, "BaseDocEntry LineNum"),
        {"Status": "BoStatus"},
        typed(TEXT, "DistributionRule Project"),
        typed(DOUBLE, "LineGross LineGrossSys LineGrossFC"),
    ),
    "WithholdingTaxDataCollection": typed(TEXT, "WTCode"),
    "DocumentInstallments": merged(
        typed(DATE, "DueDate"), typed(DOUBLE, "Percentage Total TotalFC"), typed(INTEGER, "InstallmentId")
    ),
}

_BUSINESS_PARTNER = merged(
    typed(TEXT, "CardCode CardName"),
    {"CardType": "BoCardTypes"},
    typed(INTEGER, "GroupCode"),
    typed(TEXT, "Address ZipCode MailAddress MailZipCode Phone1 Phone2 Fax ContactPerson Notes"),
    typed(INTEGER, "PayTermsGrpCode"),
    typed(DOUBLE, "CreditLimit MaxCommitment DiscountPercent"),
    {"VatLiable": "BoVatStatus"},
    typed(TEXT, "FederalTaxID VatIDNum UnifiedFederalTaxID AdditionalID"),
    typed(INTEGER, "PriceListNum SalesPersonCode"),
    typed(TEXT, "Currency Cellular City County Country EmailAddress Picture DefaultAccount DefaultBranch"),
    typed(TEXT, "DebitorAccount VatGroup BankCountry Block Website FatherCard ProjectCode IndustryType ShipToDefault"),
    typed(YES_NO, "Valid"),
    typed(DATE, "ValidFrom ValidTo"),
    typed(TEXT, "ValidRemarks"),
    typed(YES_NO, "Frozen"),
    typed(DATE, "FrozenFrom FrozenTo"),
    typed(TEXT, "FrozenRemarks"),
    typed(DOUBLE, "CurrentAccountBalance OpenDeliveryNotesBalance OpenOrdersBalance"),
    typed(INTEGER, "AttachmentEntry Series"),
    typed(YES_NO, "CollectionAuthorization SinglePayment PaymentBlock"),
    typed(DATE, "CreateDate"),
    typed(TIME, "CreateTime"),
    typed(DATE, "UpdateDate"),
    typed(TIME, "UpdateTime"),
    typed(INTEGER, "DataVersion"),
    {"U_Segment": TEXT, "U_CreditScore": INTEGER, "U_LegacyId": TEXT, "U_Since": DATE, "U_Rebate": DOUBLE},
    {"U_Unused": TEXT},
)
_BUSINESS_PARTNER_COLLECTIONS = {
    "BPAddresses": merged(
        typed(TEXT, "AddressName Street Block ZipCode City County Country State FederalTaxID TaxCode"),
        typed(TEXT, "BuildingFloorRoom"),
        {"AddressType": "BoAddressType"},
        typed(TEXT, "AddressName2 AddressName3 TypeOfAddress StreetNo BPCode"),
        typed(INTEGER, "RowNum"),
        typed(DATE, "CreateDate"),
        typed(TIME, "CreateTime"),
    ),
    "ContactEmployees": merged(
        typed(TEXT, "CardCode Name Position Address Phone1 Phone2 MobilePhone Fax E_Mail Pager Remarks1 Remarks2"),
        typed(INTEGER, "InternalCode"),
        typed(TEXT, "PlaceOfBirth Profession Title"),
        typed(DATE, "DateOfBirth"),
        typed(YES_NO, "Active"),
        typed(TEXT, "FirstName MiddleName LastName"),
        typed(DATE, "CreateDate"),
        typed(TIME, "CreateTime"),
        typed(DATE, "UpdateDate"),
        typed(TIME, "UpdateTime"),
    ),
    "BPPaymentMethods": typed(TEXT, "PaymentMethodCode BPCode"),
    "BPBankAccounts": merged(typed(INTEGER, "LogInstance InternalKey"), typed(TEXT, "BankCode AccountNo IBAN BPCode")),
    "BPFiscalTaxIDCollection": typed(TEXT, "Address TaxId0 TaxId1 BPCode"),
    "BPBranchAssignment": merged(typed(TEXT, "BPCode"), typed(INTEGER, "BPLID"), typed(YES_NO, "DisabledForBP")),
}

_PAYMENT = merged(
    typed(INTEGER, "DocNum"),
    {"DocType": "BoRcptTypes", "HandWritten": YES_NO, "Printed": YES_NO},
    typed(DATE, "DocDate"),
    typed(TEXT, "CardCode CardName Address CashAccount DocCurrency"),
    typed(DOUBLE, "CashSum"),
    typed(TEXT, "CheckAccount TransferAccount"),
    typed(DOUBLE, "TransferSum"),
    typed(DATE, "TransferDate"),
    typed(TEXT, "TransferReference"),
    typed(YES_NO, "LocalCurrency"),
    typed(DOUBLE, "DocRate"),
    typed(TEXT, "Reference1 Reference2 CounterReference Remarks JournalRemarks"),
    typed(YES_NO, "SplitTransaction ApplyVAT"),
    typed(INTEGER, "ContactPersonCode"),
    typed(DATE, "TaxDate"),
    typed(INTEGER, "Series"),
    typed(TEXT, "BankCode BankAccount ProjectCode"),
    typed(DOUBLE, "DiscountPercent"),
    typed(YES_NO, "CurrencyIsLocal"),
    typed(DOUBLE, "DeductionPercent DeductionSum CashSumFC CashSumSys"),
    typed(TEXT, "BoeAccount"),
    typed(DOUBLE, "BillOfExchangeAmount BillOfExchangeAmountFC BillOfExchangeAmountSC"),
    typed(TEXT, "WTCode WTAccount"),
    typed(DOUBLE, "WTAmount WTAmountFC WTAmountSC WTTaxableAmount"),
    typed(YES_NO, "Proforma"),
    typed(TEXT, "PayToBankCode PayToBankBranch PayToBankAccountNo PayToCode PayToBankCountry"),
    typed(YES_NO, "IsPayToBank"),
    typed(INTEGER, "DocEntry"),
    typed(TEXT, "TaxGroup"),
    typed(DOUBLE, "BankChargeAmount BankChargeAmountInFC BankChargeAmountInSC UnderOverpaymentdifference"),
    typed(DATE, "VatDate"),
    typed(TEXT, "TransactionCode"),
    typed(DOUBLE, "TransferRealAmount"),
    {"DocObjectCode": "BoPaymentsObjectType", "DocTypte": "BoRcptTypes"},
    typed(DATE, "DueDate"),
    typed(INTEGER, "LocationCode"),
    typed(YES_NO, "Cancelled"),
    typed(TEXT, "ControlAccount"),
    {"AuthorizationStatus": "PaymentsAuthorizationStatusEnum"},
    typed(INTEGER, "BPLID"),
    typed(TEXT, "BPLName VATRegNum"),
    typed(INTEGER, "BlanketAgreement AttachmentEntry"),
    {"U_Channel": TEXT},
)
_PAYMENT_COLLECTIONS = {
    "PaymentChecks": merged(
        typed(INTEGER, "LineNum"), typed(DATE, "DueDate"), typed(INTEGER, "CheckNumber"),
        typed(TEXT, "BankCode Branch AccounttNum Details"), typed(YES_NO, "Trnsfrable"),
        typed(DOUBLE, "CheckSum"), typed(TEXT, "Currency CountryCode CheckAccount"), typed(YES_NO, "ManualCheck"),
    ),
    "PaymentInvoices": merged(
        typed(INTEGER, "LineNum DocEntry"), typed(DOUBLE, "SumApplied AppliedFC AppliedSys DocRate"),
        typed(INTEGER, "DocLine"), {"InvoiceType": "BoRcptInvTypes"},
        typed(DOUBLE, "DiscountPercent PaidSum"), typed(INTEGER, "InstallmentId"),
        typed(TEXT, "DistributionRule"), typed(DOUBLE, "TotalDiscount TotalDiscountFC"), typed(INTEGER, "DocNum"),
    ),
    "PaymentCreditCards": merged(
        typed(INTEGER, "LineNum CreditCard"), typed(TEXT, "CreditAcct CreditCardNumber"),
        typed(DATE, "CardValidUntil"), typed(TEXT, "VoucherNum OwnerIdNum OwnerPhone"),
        typed(INTEGER, "PaymentMethodCode NumOfPayments"), typed(DATE, "FirstPaymentDue"),
        typed(DOUBLE, "FirstPaymentSum AdditionalPaymentSum CreditSum"), typed(TEXT, "CreditCur"),
        typed(DOUBLE, "CreditRate"), typed(TEXT, "ConfirmationNum"), typed(YES_NO, "SplitPayments"),
    ),
    "PaymentAccounts": merged(
        typed(INTEGER, "LineNum"), typed(TEXT, "AccountCode"), typed(DOUBLE, "SumPaid SumPaidFC"),
        typed(TEXT, "Decription VatGroup AccountName ProfitCenter ProjectCode"),
    ),
    "CashFlowAssignments": merged(typed(INTEGER, "CashFlowAssignmentsID"), typed(DOUBLE, "AmountLC AmountFC")),
}  # fmt: skip

_ITEM = merged(
    typed(TEXT, "ItemCode ItemName ForeignName"),
    typed(INTEGER, "ItemsGroupCode CustomsGroupCode"),
    typed(TEXT, "SalesVATGroup BarCode"),
    typed(YES_NO, "VatLiable PurchaseItem SalesItem InventoryItem"),
    typed(TEXT, "IncomeAccount ExemptIncomeAccount ExpanseAccount Mainsupplier SupplierCatalogNo"),
    typed(DOUBLE, "DesiredInventory MinInventory"),
    typed(TEXT, "Picture User_Text SerialNum"),
    typed(DOUBLE, "CommissionPercent CommissionSum"),
    typed(YES_NO, "TreeType AssetItem"),
    typed(TEXT, "WarrantyTemplate PurchaseUnit PurchaseUnitWeight SalesUnit DefaultWarehouse"),
    typed(DOUBLE, "SalesItemsPerUnit SalesUnitLength SalesUnitWidth SalesUnitHeight SalesUnitVolume"),
    typed(DOUBLE, "QuantityOnStock QuantityOrderedFromVendors QuantityOrderedByCustomers"),
    typed(YES_NO, "ManageSerialNumbers ManageBatchNumbers"),
    typed(YES_NO, "Valid"),
    typed(DATE, "ValidFrom ValidTo"),
    typed(YES_NO, "Frozen"),
    typed(DATE, "FrozenFrom FrozenTo"),
    typed(TEXT, "InventoryUOM PurchaseVATGroup ArTaxCode ApTaxCode"),
    typed(DOUBLE, "MovingAveragePrice AvgStdPrice ProdStdCost"),
    {"ItemType": "ItemTypeEnum"},
    typed(INTEGER, "Manufacturer Series AttachmentEntry"),
    dict.fromkeys((f"Properties{n}" for n in range(1, 65)), YES_NO),
    typed(DATE, "CreateDate"),
    typed(TIME, "CreateTime"),
    typed(DATE, "UpdateDate"),
    typed(TIME, "UpdateTime"),
    typed(INTEGER, "DataVersion"),
    {"U_Origin": TEXT, "U_ShelfLife": INTEGER},
)
_WAREHOUSE_ACCOUNTS = (
    "InventoryAccount CostAccount TransferAccount RevenuesAccount VarienceAccount DecreasingAccount IncreasingAccount "
    "ReturningAccount ExpensesAccount EURevenuesAccount EUExpensesAccount ForeignRevenueAcc ForeignExpensAcc "
    "ExemptIncomeAcc PriceDifferenceAcc ExpenseClearingAct PurchaseCreditAcc EUPurchaseCreditAcc "
    "ForeignPurchaseCreditAcc "
    "SalesCreditAcc SalesCreditEUAcc ExemptedCredits SalesCreditForeignAcc ExpenseOffsettingAccount WipAccount "
    "ExchangeRateDifferencesAcct GoodsClearingAcct NegativeInventoryAdjustmentAccount CostInflationOffsetAccount "
    "GLDecreaseAcct GLIncreaseAcct PAReturnAcct PurchaseAcct PurchaseOffsetAcct ShippedGoodsAccount "
    "StockInTransitAccount"
)
_ITEM_COLLECTIONS = {
    "ItemPrices": merged(
        typed(INTEGER, "PriceList"), typed(DOUBLE, "Price"), typed(TEXT, "Currency"),
        typed(DOUBLE, "AdditionalPrice1"), typed(TEXT, "AdditionalCurrency1"), typed(DOUBLE, "AdditionalPrice2"),
        typed(TEXT, "AdditionalCurrency2"), typed(INTEGER, "BasePriceList"), typed(DOUBLE, "Factor"),
    ),
    "ItemWarehouseInfoCollection": merged(
        typed(DOUBLE, "MinimalStock MaximalStock MinimalOrder StandardAveragePrice"), typed(YES_NO, "Locked"),
        typed(TEXT, _WAREHOUSE_ACCOUNTS), typed(TEXT, "WarehouseCode"),
        typed(DOUBLE, "InStock Committed Ordered"),
        typed(DOUBLE, "CountedQuantity"), typed(YES_NO, "WasCounted"), typed(TEXT, "ItemCode"),
    ),
    "ItemPreferredVendors": typed(TEXT, "BPCode"),
    "ItemBarCodeCollection": merged(typed(INTEGER, "AbsEntry UoMEntry"), typed(TEXT, "Barcode FreeText")),
}  # fmt: skip

_ACCOUNT = merged(
    typed(TEXT, "Code Name"),
    typed(DOUBLE, "Balance"),
    typed(YES_NO, "CashAccount"),
    typed(DOUBLE, "BudgetAmount"),
    typed(YES_NO, "ActiveAccount PrimaryAccount"),
    typed(INTEGER, "AccountLevel"),
    typed(INTEGER, "DataExportCode"),
    typed(TEXT, "FatherAccountKey ExternalCode"),
    typed(YES_NO, "RateConversion TaxLiableAccount TaxExemptAccount"),
    typed(TEXT, "AcctCurrency"),
    typed(DOUBLE, "Balance_syscurr Balance_FrgnCurr"),
    typed(YES_NO, "Protected"),
    typed(TEXT, "DefaultVatGroup FormatCode ProjectCode Details"),
    {"AccountType": "BoAccountTypes"},
    typed(YES_NO, "LockManualTransaction BlockManualPosting ValidFor"),
    typed(DATE, "ValidFrom ValidTo"),
    typed(YES_NO, "FrozenFor"),
    typed(DATE, "FrozenFrom FrozenTo"),
    typed(YES_NO, "DistributionRuleRelevant DistributionRule2Relevant DistributionRule3Relevant"),
    typed(YES_NO, "DistributionRule4Relevant DistributionRule5Relevant ProjectRelevant"),
)

_VAT_GROUP = merged(
    typed(TEXT, "Code Name"),
    {"Category": "BoVatCategoryEnum"},
    typed(TEXT, "TaxAccount"),
    typed(YES_NO, "EU TriangularDeal AcquisitionReverse"),
    typed(DOUBLE, "NonDeduct"),
    typed(TEXT, "AcquisitionTax GoodsShipment NonDeductAcc DeferredTaxAcc VatCode ReportCode"),
    typed(YES_NO, "Correction ServiceSupply Inactive"),
)
_VAT_GROUP_COLLECTIONS = {
    "VatGroups_Lines": merged(typed(DATE, "Effectivefrom"), typed(DOUBLE, "Rate EqualizationTax")),
}

_SALES_TAX_CODE = merged(
    typed(TEXT, "Code Name"),
    typed(DOUBLE, "Rate"),
    typed(YES_NO, "ValidForAR ValidForAP"),
    typed(TEXT, "UserSignature"),
    typed(YES_NO, "Freight Inactive"),
)
_SALES_TAX_CODE_COLLECTIONS = {
    "SalesTaxCodes_Lines": merged(
        typed(INTEGER, "STALine"),
        typed(TEXT, "STACode"),
        typed(INTEGER, "STAType"),
        typed(DOUBLE, "EffectiveRate"),
    ),
}

_ATTACHMENT_COLLECTIONS = {
    "Attachments2_Lines": merged(
        typed(INTEGER, "AbsoluteEntry LineNum"),
        typed(TEXT, "SourcePath FileName FileExtension"),
        typed(DATE, "AttachmentDate"),
        typed(TEXT, "UserID"),
        typed(YES_NO, "Override"),
        typed(TEXT, "FreeText TargetPath"),
    ),
}


def _entity_sets() -> Iterable[EntitySet]:
    documents = ("UpdateDate", "UpdateTime", "CreationDate")
    masters = ("UpdateDate", "UpdateTime", "CreateDate", "CreateTime")
    for name in ("Invoices", "CreditNotes", "PurchaseOrders", "Drafts"):
        yield EntitySet(
            name, "Document", "DocEntry", INTEGER, _DOCUMENT, _DOCUMENT_COLLECTIONS, True, "CreationDate", documents
        )
    yield EntitySet(
        "BusinessPartners", "BusinessPartner", "CardCode", TEXT, _BUSINESS_PARTNER, _BUSINESS_PARTNER_COLLECTIONS,
        True, "CreateDate", masters,
    )  # fmt: skip
    yield EntitySet("Items", "Item", "ItemCode", TEXT, _ITEM, _ITEM_COLLECTIONS, True, "CreateDate", masters)
    yield EntitySet("IncomingPayments", "Payment", "DocEntry", INTEGER, _PAYMENT, _PAYMENT_COLLECTIONS)
    yield EntitySet("ChartOfAccounts", "ChartOfAccount", "Code", TEXT, _ACCOUNT)
    yield EntitySet("VatGroups", "VatGroup", "Code", TEXT, _VAT_GROUP, _VAT_GROUP_COLLECTIONS)
    yield EntitySet("SalesTaxCodes", "SalesTaxCode", "Code", TEXT, _SALES_TAX_CODE, _SALES_TAX_CODE_COLLECTIONS)
    yield EntitySet(
        "Attachments2",
        "Attachments2",
        "AbsoluteEntry",
        INTEGER,
        typed(INTEGER, "AbsoluteEntry"),
        _ATTACHMENT_COLLECTIONS,
    )
    yield from accounting_entity_sets()


ENTITY_SETS: dict[str, EntitySet] = {entity.name: entity for entity in _entity_sets()}
