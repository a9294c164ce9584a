"""The simulated SAP Business One Service Layer and the company behind it."""

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.data import DEFECTS, SIZES, Planted, Sizes, generate_company
from sandbox.sap_b1.faults import FAULT_KINDS, LATE_KINDS, POSTING_FAULT_KINDS, Faults
from sandbox.sap_b1.journal import PostingRules
from sandbox.sap_b1.service_layer import ServiceLayer

__all__ = [
    "DEFECTS",
    "FAULT_KINDS",
    "LATE_KINDS",
    "POSTING_FAULT_KINDS",
    "SIZES",
    "Company",
    "Faults",
    "Planted",
    "PostingRules",
    "ServiceLayer",
    "Sizes",
    "generate_company",
]
