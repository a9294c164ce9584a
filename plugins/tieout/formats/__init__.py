"""File formats: values in, bytes out, and back. No network, no Airflow."""
