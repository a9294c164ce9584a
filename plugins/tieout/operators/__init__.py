"""Airflow operators: thin classes over the integrations' steps. Nothing heavy is imported before a task executes."""
