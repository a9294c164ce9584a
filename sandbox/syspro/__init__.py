"""The simulated SYSPRO: its books, e.net's REST service and the OData service."""

from sandbox.syspro.books import Books, BookSizes, generate_books
from sandbox.syspro.faults import FAULT_KINDS, Faults
from sandbox.syspro.server import SysproServer
from sandbox.syspro.simulator import SysproSimulator

__all__ = ["FAULT_KINDS", "BookSizes", "Books", "Faults", "SysproServer", "SysproSimulator", "generate_books"]
