"""CODA 2 account statements: sound ones in sequence from a seed, and bad ones with the rule that finds them."""

from sandbox.banqup.coda.generate import account, movements, statement
from sandbox.banqup.coda.layout import render
from sandbox.banqup.coda.model import Account, Movement, Statement
from sandbox.banqup.coda.spoil import DEFECTS, Defect, spoil

__all__ = [
    "DEFECTS",
    "Account",
    "Defect",
    "Movement",
    "Statement",
    "account",
    "movements",
    "render",
    "spoil",
    "statement",
]
