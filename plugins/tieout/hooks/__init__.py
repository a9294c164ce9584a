"""Airflow connections turned into our clients."""
