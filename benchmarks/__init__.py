"""Measurements; each module has `run() -> list[dict]` and runs as `python -m benchmarks.<name>`."""
