"""Which values may be repeated in a file, found in memory that does not grow with the file.

Chunks cannot be judged one by one here: two equal keys may be a million rows apart. Eight bytes per row go to a
temporary file, repeated ones are found range by range, and only rows that carry one of these are read again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Digests = np.ndarray[Any, np.dtype[np.uint64]]

ROWS_PER_RANGE = 200_000
ROWS_PER_READ = 100_000
ROWS_PER_PART = 100_000


@dataclass(frozen=True)
class Repeated:
    """Digests that occur more than once in a file.

    Attributes:
        digests: Each once.
        rows: How many rows carry one of them.
    """

    digests: Digests
    rows: int

    @property
    def parts(self) -> int:
        """In how many parts to judge the rows, so that a file of nothing but repetitions needs no more memory."""
        return -(-self.rows // ROWS_PER_PART)

    def part(self, index: int) -> Digests:
        """The digests of one part."""
        import numpy as np

        return self.digests[self.digests % np.uint64(self.parts) == index]


class RepeatFinder:
    """Collects a 64-bit digest per row of some columns and tells which digests occur more than once.

    Use as a context manager: its file goes away at the end.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.evaluated = 0
        self._file = tempfile.TemporaryFile(prefix="tieout-unique-")  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> RepeatFinder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    def add(self, frame: pd.DataFrame) -> None:
        """Take one chunk. Rows without any value are left out, as Great Expectations leaves them out."""
        present = frame[self.columns].dropna(how="all")
        self._file.write(self._digests(present).tobytes())
        self.evaluated += len(present)

    def repeated(self) -> Repeated:
        """The digests that occur more than once."""
        import numpy as np

        ranges = max(1, -(-self.evaluated // ROWS_PER_RANGE))
        found = [self._repeated_in_range(index, ranges) for index in range(ranges)]
        return Repeated(np.concatenate([digests for digests, _ in found]), sum(rows for _, rows in found))

    def candidates(self, frames: Iterable[pd.DataFrame], repeated: Repeated, part: int) -> pd.DataFrame:
        """The rows of a file whose digest is repeated and falls into one part of them.

        Equal values always come together. They are all true repetitions but, hardly ever, one: what is returned
        still has to be judged by its values.
        """
        import pandas as pd

        return pd.concat([self._candidates(frame, repeated.part(part)) for frame in frames], ignore_index=True)

    def _candidates(self, frame: pd.DataFrame, digests: Digests) -> pd.DataFrame:
        import numpy as np

        present = frame.dropna(how="all", subset=self.columns)
        return present[np.isin(self._digests(present[self.columns]), digests)]

    def _digests(self, frame: pd.DataFrame) -> Digests:
        import numpy as np
        import pandas as pd

        return np.asarray(pd.util.hash_pandas_object(frame, index=False, categorize=False), dtype=np.uint64)

    def _repeated_in_range(self, index: int, ranges: int) -> tuple[Digests, int]:
        import numpy as np

        none = np.empty(0, dtype=np.uint64)
        parts = [part[part % np.uint64(ranges) == index] for part in self._read()]
        values, counts = np.unique(np.concatenate([none, *parts]), return_counts=True)
        return values[counts > 1], int(counts[counts > 1].sum())

    def _read(self) -> Iterator[Digests]:
        import numpy as np

        self._file.seek(0)
        while block := self._file.read(8 * ROWS_PER_READ):
            yield np.frombuffer(block, dtype=np.uint64)
