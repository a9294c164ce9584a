"""CODA 2, the Belgian banks' coded statement of account: read, checked, and its money counted twice.

A file holds one or more statements of records of 128 characters in windows-1252. The layout is Febelfin's "Coded
statement of account" 2.x; positions in comments and messages count from 1, as that standard does.
"""

from __future__ import annotations

from tieout.formats.coda.chain import statement_chain
from tieout.formats.coda.file import check_file, read_statements
from tieout.formats.coda.statement import CodaResult, Statement
from tieout.formats.coda.turnover import trailer_turnover

__all__ = [
    "CodaResult",
    "Statement",
    "check_file",
    "read_statements",
    "statement_chain",
    "trailer_turnover",
]
