"""The entity sets the simulated Service Layer knows: keys, properties with their types, collections.

Names follow the public `$metadata` of a 10.0 company, SAP's own misspellings included. What is listed here is the
whitelist for `$select`, `$filter` and `$orderby`: a name that is missing is refused, as `UpdateDate` on payments is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

TEXT, INTEGER, DOUBLE, DATE, TIME = "Edm.String", "Edm.Int32", "Edm.Double", "Edm.Date", "Edm.Time"

ENUMS: dict[str, dict[str, str]] = {
    "BoYesNoEnum": {"tNO": "N", "tYES": "Y"},
    "BoCardTypes": {"cCustomer": "C", "cSupplier": "S", "cLid": "L"},
    "BoAddressType": {"bo_ShipTo": "S", "bo_BillTo": "B"},
    "BoVatStatus": {"vExempted": "N", "vLiable": "Y", "vEC": "E"},
    "BoDocumentTypes": {"dDocument_Items": "I", "dDocument_Service": "S"},
    "BoStatus": {"bost_Open": "O", "bost_Close": "C", "bost_Paid": "P", "bost_Delivered": "D"},
    "CancelStatusEnum": {"csYes": "Y", "csNo": "N", "csCancellation": "C"},
    "BoObjectTypes": {"oInvoices": "13", "oCreditNotes": "14"},
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
    "DocumentAuthorizationStatusEnum": {"dasWithout": "W", "dasApproved": "Y"},
    "PaymentsAuthorizationStatusEnum": {"pasWithout": "W", "pasApproved": "Y"},
}  # fmt: skip
"""Enum type → name → the code stored in the database; a filter may use either."""


@dataclass(frozen=True)
class EntitySet:
    """One entity set of the Service Layer."""

    name: str
    type_name: str
    key: str
    key_type: str
    properties: dict[str, str]
    collections: dict[str, dict[str, str]] = field(default_factory=dict)
    has_etag: bool = False
    created_property: str | None = None
    change_columns: tuple[str, ...] = ()

    @cached_property
    def date_properties(self) -> frozenset[str]:
        """Header properties of type date."""
        return frozenset(name for name, kind in self.properties.items() if kind == DATE)

    @cached_property
    def collection_dates(self) -> dict[str, frozenset[str]]:
        """Collection → its members of type date."""
        return {
            name: frozenset(member for member, kind in members.items() if kind == DATE)
            for name, members in self.collections.items()
        }

    def knows(self, name: str) -> bool:
        """Whether `$select` may name it: a header property or a whole collection."""
        return name in self.properties or name in self.collections

    def blank(self) -> dict[str, Any]:
        """A record with every property null and every collection empty, in the order of the metadata."""
        record: dict[str, Any] = dict.fromkeys(self.properties)
        record.update({name: [] for name in self.collections})
        return record

    def blank_member(self, collection: str) -> dict[str, Any]:
        """A member of a collection with every property null."""
        return dict.fromkeys(self.collections[collection])


def _fields(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


def _merge(*parts: dict[str, str]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for part in parts:
        merged.update(part)
    return merged


YES_NO = "BoYesNoEnum"

_MARKETING_HEADER_FIELDS = {
    "U_Region": TEXT, "U_Channel": TEXT, "U_Score": DOUBLE, "U_Priority": INTEGER, "U_ApprovedOn": DATE,
    "U_LegacyNo": TEXT, "U_Unused": TEXT,
}  # fmt: skip
_MARKETING_LINE_FIELDS = {"U_Lot": TEXT, "U_Weight": DOUBLE, "U_Pallets": INTEGER, "U_Inspected": DATE, "U_Spare": TEXT}

_DOCUMENT = _merge(
    _fields(INTEGER, "DocEntry DocNum"),
    {"DocType": "BoDocumentTypes", "HandWritten": YES_NO, "Printed": "PrintStatusEnum"},
    _fields(DATE, "DocDate DocDueDate"),
    _fields(TEXT, "CardCode CardName Address NumAtCard"),
    _fields(DOUBLE, "DocTotal"),
    _fields(INTEGER, "AttachmentEntry"),
    _fields(TEXT, "DocCurrency"),
    _fields(DOUBLE, "DocRate"),
    _fields(TEXT, "Reference1 Reference2 Comments JournalMemo"),
    _fields(INTEGER, "PaymentGroupCode"),
    _fields(TIME, "DocTime"),
    _fields(INTEGER, "SalesPersonCode TransportationCode"),
    _fields(YES_NO, "Confirmed"),
    _fields(INTEGER, "ImportFileNum ContactPersonCode Series"),
    _fields(DATE, "TaxDate"),
    _fields(YES_NO, "PartialSupply"),
    {"DocObjectCode": "BoObjectTypes"},
    _fields(TEXT, "ShipToCode Indicator FederalTaxID"),
    _fields(DOUBLE, "DiscountPercent"),
    _fields(TEXT, "PaymentReference"),
    _fields(DATE, "CreationDate UpdateDate"),
    _fields(INTEGER, "FinancialPeriod UserSign TransNum"),
    _fields(DOUBLE, "VatSum VatSumSys VatSumFc"),
    _fields(YES_NO, "NetProcedure"),
    _fields(DOUBLE, "DocTotalFc DocTotalSys"),
    _fields(INTEGER, "Form1099"),
    _fields(TEXT, "Box1099"),
    _fields(YES_NO, "RevisionPo"),
    _fields(DATE, "RequriedDate CancelDate"),
    _fields(YES_NO, "BlockDunning Submitted"),
    _fields(INTEGER, "Segment"),
    _fields(YES_NO, "PickStatus Pick"),
    _fields(TEXT, "PaymentMethod"),
    _fields(YES_NO, "PaymentBlock"),
    _fields(INTEGER, "PaymentBlockEntry"),
    _fields(TEXT, "CentralBankIndicator"),
    _fields(YES_NO, "MaximumCashDiscount Reserve"),
    _fields(TEXT, "Project"),
    _fields(DATE, "ExemptionValidityDateFrom ExemptionValidityDateTo"),
    _fields(YES_NO, "Rounding"),
    _fields(TEXT, "ExternalCorrectedDocNum"),
    _fields(INTEGER, "InternalCorrectedDocNum NextCorrectingDocument"),
    _fields(DOUBLE, "WTApplied WTAppliedFC WTAppliedSC TotalEqualizationTax TotalEqualizationTaxFC"),
    _fields(INTEGER, "NumberOfInstallments"),
    _fields(DOUBLE, "BaseAmount BaseAmountSC BaseAmountFC WTAmount WTAmountSC WTAmountFC"),
    _fields(DATE, "VatDate"),
    _fields(INTEGER, "DocumentsOwner FolioNumber"),
    _fields(TEXT, "FolioPrefixString Address2"),
    {"DocumentStatus": "BoStatus"},
    _fields(TEXT, "PeriodIndicator PayToCode ManualNumber ControlAccount"),
    _fields(DOUBLE, "RoundingDiffAmount RoundingDiffAmountFC RoundingDiffAmountSC"),
    _fields(YES_NO, "Cancelled"),
    {"AuthorizationStatus": "DocumentAuthorizationStatusEnum", "CancelStatus": "CancelStatusEnum"},
    _fields(DOUBLE, "TotalDiscount TotalDiscountFC TotalDiscountSC PaidToDate PaidToDateFC PaidToDateSys"),
    _fields(INTEGER, "BPL_IDAssignedToInvoice"),
    _fields(TEXT, "BPLName VATRegNum"),
    _fields(TIME, "UpdateTime"),
    _fields(INTEGER, "DataVersion"),
    _MARKETING_HEADER_FIELDS,
)
_DOCUMENT_LINE = _merge(
    _fields(INTEGER, "LineNum"),
    _fields(TEXT, "ItemCode ItemDescription"),
    _fields(DOUBLE, "Quantity"),
    _fields(DATE, "ShipDate"),
    _fields(DOUBLE, "Price PriceAfterVAT"),
    _fields(TEXT, "Currency"),
    _fields(DOUBLE, "Rate DiscountPercent"),
    _fields(TEXT, "VendorNum SerialNum WarehouseCode"),
    _fields(INTEGER, "SalesPersonCode"),
    _fields(DOUBLE, "CommisionPercent"),
    _fields(TEXT, "AccountCode SupplierCatNum CostingCode ProjectCode BarCode VatGroup"),
    _fields(DOUBLE, "Height1 Lengh1 Weight1 Factor1 Factor2 Factor3 Factor4"),
    _fields(INTEGER, "BaseType BaseEntry BaseLine"),
    _fields(DOUBLE, "Volume Width1"),
    _fields(TEXT, "Address TaxCode"),
    _fields(YES_NO, "TaxLiable"),
    _fields(DOUBLE, "PickQuantity"),
    _fields(TEXT, "OriginalItem FreeText"),
    _fields(DOUBLE, "AppliedTax AppliedTaxFC AppliedTaxSC"),
    _fields(YES_NO, "WTLiable DeferredTax"),
    _fields(DOUBLE, "NetTaxAmount NetTaxAmountFC NetTaxAmountSC"),
    _fields(TEXT, "MeasureUnit"),
    _fields(DOUBLE, "UnitsOfMeasurment LineTotal TaxPercentagePerRow TaxTotal ExciseAmount"),
    _fields(TEXT, "CountryOrg"),
    _fields(DOUBLE, "RowTotalFC RowTotalSC UnitPrice"),
    {"LineStatus": "BoStatus"},
    _fields(DOUBLE, "PackageQuantity"),
    _fields(INTEGER, "VisualOrder"),
    _fields(TEXT, "COGSCostingCode COGSAccountCode CostingCode2 CostingCode3 CostingCode4 CostingCode5 ItemDetails"),
    _fields(INTEGER, "LocationCode"),
    _fields(DOUBLE, "RemainingOpenQuantity OpenAmount OpenAmountFC OpenAmountSC"),
    _fields(INTEGER, "DocEntry"),
    _MARKETING_LINE_FIELDS,
)
_DOCUMENT_COLLECTIONS = {
    "DocumentLines": _DOCUMENT_LINE,
    "DocumentAdditionalExpenses": _merge(
        _fields(INTEGER, "ExpenseCode"),
        _fields(DOUBLE, "LineTotal LineTotalFC LineTotalSys PaidToDate PaidToDateFC"),
        _fields(TEXT, "Remarks VatGroup"),
        _fields(DOUBLE, "TaxPercent TaxSum TaxSumFC TaxSumSys"),
        _fields(TEXT, "TaxCode"),
        _fields(INTEGER, "BaseDocEntry LineNum"),
        {"Status": "BoStatus"},
        _fields(TEXT, "DistributionRule Project"),
        _fields(DOUBLE, "LineGross LineGrossSys LineGrossFC"),
    ),
    "WithholdingTaxDataCollection": _fields(TEXT, "WTCode"),
    "DocumentInstallments": _merge(
        _fields(DATE, "DueDate"), _fields(DOUBLE, "Percentage Total TotalFC"), _fields(INTEGER, "InstallmentId")
    ),
}

_BUSINESS_PARTNER = _merge(
    _fields(TEXT, "CardCode CardName"),
    {"CardType": "BoCardTypes"},
    _fields(INTEGER, "GroupCode"),
    _fields(TEXT, "Address ZipCode MailAddress MailZipCode Phone1 Phone2 Fax ContactPerson Notes"),
    _fields(INTEGER, "PayTermsGrpCode"),
    _fields(DOUBLE, "CreditLimit MaxCommitment DiscountPercent"),
    {"VatLiable": "BoVatStatus"},
    _fields(TEXT, "FederalTaxID VatIDNum UnifiedFederalTaxID AdditionalID"),
    _fields(INTEGER, "PriceListNum SalesPersonCode"),
    _fields(TEXT, "Currency Cellular City County Country EmailAddress Picture DefaultAccount DefaultBranch"),
    _fields(
        TEXT, "DebitorAccount VatGroup BankCountry Block Website FatherCard ProjectCode IndustryType ShipToDefault"
    ),
    _fields(YES_NO, "Valid"),
    _fields(DATE, "ValidFrom ValidTo"),
    _fields(TEXT, "ValidRemarks"),
    _fields(YES_NO, "Frozen"),
    _fields(DATE, "FrozenFrom FrozenTo"),
    _fields(TEXT, "FrozenRemarks"),
    _fields(DOUBLE, "CurrentAccountBalance OpenDeliveryNotesBalance OpenOrdersBalance"),
    _fields(INTEGER, "AttachmentEntry Series"),
    _fields(YES_NO, "CollectionAuthorization SinglePayment PaymentBlock"),
    _fields(DATE, "CreateDate"),
    _fields(TIME, "CreateTime"),
    _fields(DATE, "UpdateDate"),
    _fields(TIME, "UpdateTime"),
    _fields(INTEGER, "DataVersion"),
    {"U_Segment": TEXT, "U_CreditScore": INTEGER, "U_LegacyId": TEXT, "U_Since": DATE, "U_Rebate": DOUBLE},
    {"U_Unused": TEXT},
)
_BUSINESS_PARTNER_COLLECTIONS = {
    "BPAddresses": _merge(
        _fields(TEXT, "AddressName Street Block ZipCode City County Country State FederalTaxID TaxCode"),
        _fields(TEXT, "BuildingFloorRoom"),
        {"AddressType": "BoAddressType"},
        _fields(TEXT, "AddressName2 AddressName3 TypeOfAddress StreetNo BPCode"),
        _fields(INTEGER, "RowNum"),
        _fields(DATE, "CreateDate"),
        _fields(TIME, "CreateTime"),
    ),
    "ContactEmployees": _merge(
        _fields(TEXT, "CardCode Name Position Address Phone1 Phone2 MobilePhone Fax E_Mail Pager Remarks1 Remarks2"),
        _fields(INTEGER, "InternalCode"),
        _fields(TEXT, "PlaceOfBirth Profession Title"),
        _fields(DATE, "DateOfBirth"),
        _fields(YES_NO, "Active"),
        _fields(TEXT, "FirstName MiddleName LastName"),
        _fields(DATE, "CreateDate"),
        _fields(TIME, "CreateTime"),
        _fields(DATE, "UpdateDate"),
        _fields(TIME, "UpdateTime"),
    ),
    "BPPaymentMethods": _fields(TEXT, "PaymentMethodCode BPCode"),
    "BPBankAccounts": _merge(
        _fields(INTEGER, "LogInstance InternalKey"), _fields(TEXT, "BankCode AccountNo IBAN BPCode")
    ),
    "BPFiscalTaxIDCollection": _fields(TEXT, "Address TaxId0 TaxId1 BPCode"),
    "BPBranchAssignment": _merge(_fields(TEXT, "BPCode"), _fields(INTEGER, "BPLID"), _fields(YES_NO, "DisabledForBP")),
}

_PAYMENT = _merge(
    _fields(INTEGER, "DocNum"),
    {"DocType": "BoRcptTypes", "HandWritten": YES_NO, "Printed": YES_NO},
    _fields(DATE, "DocDate"),
    _fields(TEXT, "CardCode CardName Address CashAccount DocCurrency"),
    _fields(DOUBLE, "CashSum"),
    _fields(TEXT, "CheckAccount TransferAccount"),
    _fields(DOUBLE, "TransferSum"),
    _fields(DATE, "TransferDate"),
    _fields(TEXT, "TransferReference"),
    _fields(YES_NO, "LocalCurrency"),
    _fields(DOUBLE, "DocRate"),
    _fields(TEXT, "Reference1 Reference2 CounterReference Remarks JournalRemarks"),
    _fields(YES_NO, "SplitTransaction ApplyVAT"),
    _fields(INTEGER, "ContactPersonCode"),
    _fields(DATE, "TaxDate"),
    _fields(INTEGER, "Series"),
    _fields(TEXT, "BankCode BankAccount ProjectCode"),
    _fields(DOUBLE, "DiscountPercent"),
    _fields(YES_NO, "CurrencyIsLocal"),
    _fields(DOUBLE, "DeductionPercent DeductionSum CashSumFC CashSumSys"),
    _fields(TEXT, "BoeAccount"),
    _fields(DOUBLE, "BillOfExchangeAmount BillOfExchangeAmountFC BillOfExchangeAmountSC"),
    _fields(TEXT, "WTCode WTAccount"),
    _fields(DOUBLE, "WTAmount WTAmountFC WTAmountSC WTTaxableAmount"),
    _fields(YES_NO, "Proforma"),
    _fields(TEXT, "PayToBankCode PayToBankBranch PayToBankAccountNo PayToCode PayToBankCountry"),
    _fields(YES_NO, "IsPayToBank"),
    _fields(INTEGER, "DocEntry"),
    _fields(TEXT, "TaxGroup"),
    _fields(DOUBLE, "BankChargeAmount BankChargeAmountInFC BankChargeAmountInSC UnderOverpaymentdifference"),
    _fields(DATE, "VatDate"),
    _fields(TEXT, "TransactionCode"),
    _fields(DOUBLE, "TransferRealAmount"),
    {"DocObjectCode": "BoPaymentsObjectType", "DocTypte": "BoRcptTypes"},
    _fields(DATE, "DueDate"),
    _fields(INTEGER, "LocationCode"),
    _fields(YES_NO, "Cancelled"),
    _fields(TEXT, "ControlAccount"),
    {"AuthorizationStatus": "PaymentsAuthorizationStatusEnum"},
    _fields(INTEGER, "BPLID"),
    _fields(TEXT, "BPLName VATRegNum"),
    _fields(INTEGER, "BlanketAgreement AttachmentEntry"),
    {"U_Channel": TEXT},
)
_PAYMENT_COLLECTIONS = {
    "PaymentChecks": _merge(
        _fields(INTEGER, "LineNum"), _fields(DATE, "DueDate"), _fields(INTEGER, "CheckNumber"),
        _fields(TEXT, "BankCode Branch AccounttNum Details"), _fields(YES_NO, "Trnsfrable"),
        _fields(DOUBLE, "CheckSum"), _fields(TEXT, "Currency CountryCode CheckAccount"), _fields(YES_NO, "ManualCheck"),
    ),
    "PaymentInvoices": _merge(
        _fields(INTEGER, "LineNum DocEntry"), _fields(DOUBLE, "SumApplied AppliedFC AppliedSys DocRate"),
        _fields(INTEGER, "DocLine"), {"InvoiceType": "BoRcptInvTypes"},
        _fields(DOUBLE, "DiscountPercent PaidSum"), _fields(INTEGER, "InstallmentId"),
        _fields(TEXT, "DistributionRule"), _fields(DOUBLE, "TotalDiscount TotalDiscountFC"), _fields(INTEGER, "DocNum"),
    ),
    "PaymentCreditCards": _merge(
        _fields(INTEGER, "LineNum CreditCard"), _fields(TEXT, "CreditAcct CreditCardNumber"),
        _fields(DATE, "CardValidUntil"), _fields(TEXT, "VoucherNum OwnerIdNum OwnerPhone"),
        _fields(INTEGER, "PaymentMethodCode NumOfPayments"), _fields(DATE, "FirstPaymentDue"),
        _fields(DOUBLE, "FirstPaymentSum AdditionalPaymentSum CreditSum"), _fields(TEXT, "CreditCur"),
        _fields(DOUBLE, "CreditRate"), _fields(TEXT, "ConfirmationNum"), _fields(YES_NO, "SplitPayments"),
    ),
    "PaymentAccounts": _merge(
        _fields(INTEGER, "LineNum"), _fields(TEXT, "AccountCode"), _fields(DOUBLE, "SumPaid SumPaidFC"),
        _fields(TEXT, "Decription VatGroup AccountName ProfitCenter ProjectCode"),
    ),
    "CashFlowAssignments": _merge(_fields(INTEGER, "CashFlowAssignmentsID"), _fields(DOUBLE, "AmountLC AmountFC")),
}  # fmt: skip

_ITEM = _merge(
    _fields(TEXT, "ItemCode ItemName ForeignName"),
    _fields(INTEGER, "ItemsGroupCode CustomsGroupCode"),
    _fields(TEXT, "SalesVATGroup BarCode"),
    _fields(YES_NO, "VatLiable PurchaseItem SalesItem InventoryItem"),
    _fields(TEXT, "IncomeAccount ExemptIncomeAccount ExpanseAccount Mainsupplier SupplierCatalogNo"),
    _fields(DOUBLE, "DesiredInventory MinInventory"),
    _fields(TEXT, "Picture User_Text SerialNum"),
    _fields(DOUBLE, "CommissionPercent CommissionSum"),
    _fields(YES_NO, "TreeType AssetItem"),
    _fields(TEXT, "WarrantyTemplate PurchaseUnit PurchaseUnitWeight SalesUnit DefaultWarehouse"),
    _fields(DOUBLE, "SalesItemsPerUnit SalesUnitLength SalesUnitWidth SalesUnitHeight SalesUnitVolume"),
    _fields(DOUBLE, "QuantityOnStock QuantityOrderedFromVendors QuantityOrderedByCustomers"),
    _fields(YES_NO, "ManageSerialNumbers ManageBatchNumbers"),
    _fields(YES_NO, "Valid"),
    _fields(DATE, "ValidFrom ValidTo"),
    _fields(YES_NO, "Frozen"),
    _fields(DATE, "FrozenFrom FrozenTo"),
    _fields(TEXT, "InventoryUOM PurchaseVATGroup ArTaxCode ApTaxCode"),
    _fields(DOUBLE, "MovingAveragePrice AvgStdPrice ProdStdCost"),
    {"ItemType": "ItemTypeEnum"},
    _fields(INTEGER, "Manufacturer Series AttachmentEntry"),
    dict.fromkeys((f"Properties{n}" for n in range(1, 65)), YES_NO),
    _fields(DATE, "CreateDate"),
    _fields(TIME, "CreateTime"),
    _fields(DATE, "UpdateDate"),
    _fields(TIME, "UpdateTime"),
    _fields(INTEGER, "DataVersion"),
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
    "ItemPrices": _merge(
        _fields(INTEGER, "PriceList"), _fields(DOUBLE, "Price"), _fields(TEXT, "Currency"),
        _fields(DOUBLE, "AdditionalPrice1"), _fields(TEXT, "AdditionalCurrency1"), _fields(DOUBLE, "AdditionalPrice2"),
        _fields(TEXT, "AdditionalCurrency2"), _fields(INTEGER, "BasePriceList"), _fields(DOUBLE, "Factor"),
    ),
    "ItemWarehouseInfoCollection": _merge(
        _fields(DOUBLE, "MinimalStock MaximalStock MinimalOrder StandardAveragePrice"), _fields(YES_NO, "Locked"),
        _fields(TEXT, _WAREHOUSE_ACCOUNTS), _fields(TEXT, "WarehouseCode"),
        _fields(DOUBLE, "InStock Committed Ordered"),
        _fields(DOUBLE, "CountedQuantity"), _fields(YES_NO, "WasCounted"), _fields(TEXT, "ItemCode"),
    ),
    "ItemPreferredVendors": _fields(TEXT, "BPCode"),
    "ItemBarCodeCollection": _merge(_fields(INTEGER, "AbsEntry UoMEntry"), _fields(TEXT, "Barcode FreeText")),
}  # fmt: skip

_ACCOUNT = _merge(
    _fields(TEXT, "Code Name"),
    _fields(DOUBLE, "Balance"),
    _fields(YES_NO, "CashAccount"),
    _fields(DOUBLE, "BudgetAmount"),
    _fields(YES_NO, "ActiveAccount PrimaryAccount"),
    _fields(INTEGER, "AccountLevel"),
    _fields(INTEGER, "DataExportCode"),
    _fields(TEXT, "FatherAccountKey ExternalCode"),
    _fields(YES_NO, "RateConversion TaxLiableAccount TaxExemptAccount"),
    _fields(TEXT, "AcctCurrency"),
    _fields(DOUBLE, "Balance_syscurr Balance_FrgnCurr"),
    _fields(YES_NO, "Protected"),
    _fields(TEXT, "DefaultVatGroup FormatCode ProjectCode Details"),
    {"AccountType": "BoAccountTypes"},
    _fields(YES_NO, "LockManualTransaction BlockManualPosting ValidFor"),
    _fields(DATE, "ValidFrom ValidTo"),
    _fields(YES_NO, "FrozenFor"),
    _fields(DATE, "FrozenFrom FrozenTo"),
    _fields(YES_NO, "DistributionRuleRelevant DistributionRule2Relevant ProjectRelevant"),
)

_VAT_GROUP = _merge(
    _fields(TEXT, "Code Name"),
    {"Category": "BoVatCategoryEnum"},
    _fields(TEXT, "TaxAccount"),
    _fields(YES_NO, "EU TriangularDeal AcquisitionReverse"),
    _fields(DOUBLE, "NonDeduct"),
    _fields(TEXT, "AcquisitionTax GoodsShipment NonDeductAcc DeferredTaxAcc VatCode ReportCode"),
    _fields(YES_NO, "Correction ServiceSupply Inactive"),
)
_VAT_GROUP_COLLECTIONS = {
    "VatGroups_Lines": _merge(_fields(DATE, "Effectivefrom"), _fields(DOUBLE, "Rate EqualizationTax")),
}

_SALES_TAX_CODE = _merge(
    _fields(TEXT, "Code Name"),
    _fields(DOUBLE, "Rate"),
    _fields(YES_NO, "ValidForAR ValidForAP"),
    _fields(TEXT, "UserSignature"),
    _fields(YES_NO, "Freight Inactive"),
)
_SALES_TAX_CODE_COLLECTIONS = {
    "SalesTaxCodes_Lines": _merge(
        _fields(INTEGER, "STALine"),
        _fields(TEXT, "STACode"),
        _fields(INTEGER, "STAType"),
        _fields(DOUBLE, "EffectiveRate"),
    ),
}

_ATTACHMENT_COLLECTIONS = {
    "Attachments2_Lines": _merge(
        _fields(INTEGER, "AbsoluteEntry LineNum"),
        _fields(TEXT, "SourcePath FileName FileExtension"),
        _fields(DATE, "AttachmentDate"),
        _fields(TEXT, "UserID"),
        _fields(YES_NO, "Override"),
        _fields(TEXT, "FreeText TargetPath"),
    ),
}


def _entity_sets() -> Iterable[EntitySet]:
    documents = ("UpdateDate", "UpdateTime", "CreationDate")
    masters = ("UpdateDate", "UpdateTime", "CreateDate", "CreateTime")
    for name in ("Invoices", "CreditNotes"):
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
        _fields(INTEGER, "AbsoluteEntry"),
        _ATTACHMENT_COLLECTIONS,
    )


ENTITY_SETS: dict[str, EntitySet] = {entity.name: entity for entity in _entity_sets()}
