"""Great Expectations over one data frame: the only module that talks to it."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tieout.errors import ConfigurationInvalid
from tieout.quality.suite import ExpectationSpec

if TYPE_CHECKING:
    import pandas as pd

ROW_NUMBER = "__row__"
_ONE_AT_A_TIME = threading.Lock()
"""Great Expectations has one current context for all threads of a process."""


@dataclass(frozen=True)
class Outcome:
    """One expectation over one frame.

    Attributes:
        evaluated: Rows judged.
        unexpected: Rows that do not meet it.
        success: Great Expectations' own verdict on this frame.
        error: Why it could not be evaluated, else None.
        keys: Record keys of some unexpected rows.
    """

    evaluated: int
    unexpected: int
    success: bool
    error: str | None
    keys: tuple[str, ...]


class Validator:
    """A set of expectations, built once and run over many frames.

    Args:
        specs: What to evaluate; outcomes come back in this order.
        key: Column that names a record, or None when the frames have none. Frames always carry `ROW_NUMBER`.
        examples: How many offending keys to keep per expectation and frame.

    Raises:
        ConfigurationInvalid: Great Expectations refuses an expectation's arguments.
    """

    def __init__(self, specs: Sequence[ExpectationSpec], *, key: str | None, examples: int) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        self._key = key
        # Results come back in another order; `meta` says which is which.
        self._expectations = [_expectation(spec, position) for position, spec in enumerate(specs)]
        self._result_format = {
            "result_format": "SUMMARY",
            "unexpected_index_column_names": [name for name in (key, ROW_NUMBER) if name],
            "partial_unexpected_count": examples,
        }

    def run(self, frame: pd.DataFrame) -> list[Outcome]:
        """Evaluate every expectation on one frame."""
        with _collected():
            outcomes = self._judged(frame)
        return [outcomes[position] for position in range(len(self._expectations))]

    def _judged(self, frame: pd.DataFrame) -> dict[int, Outcome]:
        """Position of an expectation → what came of it; nothing else of Great Expectations' is left when it returns."""
        import great_expectations as gx

        suite = gx.ExpectationSuite(name="file", expectations=self._expectations)
        results = _batch(frame).validate(suite, result_format=self._result_format).results
        return {_position(result): self._outcome(result) for result in results}

    def _outcome(self, result: Any) -> Outcome:
        detail: Mapping[str, Any] = result.result or {}
        total = int(detail.get("element_count", 0))
        evaluated = total - int(detail.get("missing_count", 0))
        rows = detail.get("partial_unexpected_index_list") or []
        return Outcome(
            evaluated=evaluated,
            unexpected=int(detail.get("unexpected_count", 0)),
            success=bool(result.success),
            error=_error(result.exception_info),
            keys=tuple(_keys(rows, self._key)),
        )


@contextmanager
def _collected() -> Iterator[None]:
    """Collect what Great Expectations makes inside before going on.

    Batches and contexts refer to each other and to the frame: collected late, a few would be in memory at a time. What
    was there before is left out of the collection: looking through all of Airflow takes longer than the validation.
    """
    from great_expectations.data_context import set_context

    with _ONE_AT_A_TIME:
        gc.freeze()
        try:
            yield
        finally:
            set_context(None)  # the last one is kept for the whole process: it would never be among what is collected
            gc.collect()
            gc.unfreeze()


def _position(result: Any) -> int:
    return int(result.expectation_config.meta["position"])


def _batch(frame: pd.DataFrame) -> Any:
    """A batch in a context of its own: a context keeps every frame it has ever seen."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("csv").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("chunk").get_batch({"dataframe": frame})


def _expectation(spec: ExpectationSpec, position: int) -> Any:
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.registry import get_expectation_impl

    kind: Any = get_expectation_impl(spec.type)
    try:
        return kind(**spec.kwargs, severity=FailureSeverity(spec.severity.value), meta={"position": position})
    except ValueError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ConfigurationInvalid(
            f"The quality suite's {spec.type} on {', '.join(spec.columns)} has kwargs that Great Expectations refuses: "
            f"{reason}. Correct them in the suite."
        ) from None


def _keys(rows: Iterable[Mapping[str, Any]], key: str | None) -> Iterable[str]:
    """Only the key of each row: the other values in Great Expectations' index are the row's contents."""
    for row in rows:
        value = row.get(key) if key else None
        yield value if isinstance(value, str) else f"(row {row[ROW_NUMBER]})"


def _error(info: Mapping[str, Any] | None) -> str | None:
    """Great Expectations' exception, if there was one: flat, or one per metric that could not be computed."""
    if not info:
        return None
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        fields = entry if isinstance(entry, Mapping) else json.loads(str(entry))
        if fields.get("raised_exception"):
            return str(fields.get("exception_message") or "no reason given").splitlines()[0]
    return None
