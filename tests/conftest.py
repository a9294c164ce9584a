from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

# How long an example takes tells nothing of what it tests.
settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those with real servers go first: one worker waits for them while the others have small tests to run.

    The longest are alone in their module and come before the rest, so that none is left over at the end. Workers that
    are done take over the last of another's.
    """

    def is_small(item: pytest.Item) -> bool:
        return item.get_closest_marker("integration") is None

    together = Counter(item.path for item in items if not is_small(item))
    items.sort(key=lambda item: (is_small(item), 0 if is_small(item) else together[item.path]))
