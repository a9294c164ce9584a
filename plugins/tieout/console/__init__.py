"""The Tieout page on Airflow's API server: what the ledger knows, for people who are logged in to Airflow.

`mount.ConsoleApp` is what the plugin registers; it builds `app`'s FastAPI application when the first request comes.
"""
