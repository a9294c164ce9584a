"""One warm validator for all tests of a process: it takes about a second to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tieout.formats.ubl import Profile, ValidatorPool, Verdict

Validate = Callable[..., Verdict]


@pytest.fixture(scope="session")
def pool() -> Iterator[ValidatorPool]:
    with ValidatorPool(workers=1) as running:
        yield running


@pytest.fixture
def validate(pool: ValidatorPool) -> Validate:
    def one(data: bytes, profile: Profile = "auto") -> Verdict:
        [(name, verdict)] = pool.validate([("document", lambda: data)], profile)
        assert name == "document"
        assert isinstance(verdict, Verdict), verdict
        return verdict

    return one
