"""Stampli → SAP Business One: approved invoices, vendors and payments from files to journal entries."""
