"""What each integration does, step by step, without Airflow: operators, CLI and tests call the same steps."""
