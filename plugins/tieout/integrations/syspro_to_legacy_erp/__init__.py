"""SYSPRO → legacy ERP: the monthly close as files, to the partner's spec."""
