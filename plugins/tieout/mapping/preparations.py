"""Steps that work out fields which a source does not have, before the columns are mapped."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from tieout.mapping import payments
from tieout.mapping.frame import MapContext
from tieout.mapping.held import HeldBook

Preparation = Callable[[pa.Table, HeldBook, MapContext], pa.Table]
"""Takes a batch, gives it back with more columns, and notes the records that cannot be worked out."""

PREPARATIONS: dict[str, Preparation] = {"payment_allocation": payments.allocate}
