"""SYSPRO: e.net log-ins and tables, read by OData or by e.net's COMFND. Nothing here can change anything in SYSPRO."""
