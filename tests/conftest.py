from __future__ import annotations

import pytest
from hypothesis import settings

# How long an example takes tells nothing of what it tests.
settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those with real Airflow go first: one worker waits for its servers while the others have small tests to run."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)
