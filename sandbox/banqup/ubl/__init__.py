"""Peppol BIS Billing 3.0 documents in UBL 2.1: sound ones from a seed, and bad ones with the rule that finds them."""

from sandbox.banqup.ubl.generate import DOMESTIC, SHAPES, belgian_party, ubl_document
from sandbox.banqup.ubl.layout import render
from sandbox.banqup.ubl.model import Party, UblDocument
from sandbox.banqup.ubl.spoil import DEFECTS, Defect, spoil

__all__ = [
    "DEFECTS",
    "DOMESTIC",
    "SHAPES",
    "Defect",
    "Party",
    "UblDocument",
    "belgian_party",
    "render",
    "spoil",
    "ubl_document",
]
