"""Banqup → clients' SFTP servers: Peppol documents and statements, client by client."""
