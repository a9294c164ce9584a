"""Tieout: finance integrations on Apache Airflow in which every run ties out."""

__version__ = "0.1.0"
