"""Great Expectations on the CSV that is about to be sent.

A suite is a YAML file (`include/quality/<dag_id>/<entity>.yaml`, see `suite.py`); `validate_file` streams a
finished CSV through it and returns a `QualityReport`. Importing this package loads neither pandas nor Great
Expectations: both are loaded by the first validation.
"""

from tieout.quality.report import ExpectationResult, QualityReport
from tieout.quality.suite import ExpectationSpec, QualitySuite, Severity, load_suite
from tieout.quality.validation import validate_file

__all__ = [
    "ExpectationResult",
    "ExpectationSpec",
    "QualityReport",
    "QualitySuite",
    "Severity",
    "load_suite",
    "validate_file",
]
