"""Every error Tieout raises, named by what to do about it.

Airflow's retry policy and the operators read the class, people read the sentence. Each error says what is
wrong, where, and what to do; none ever contains a password, a key, a cookie or a token.

| class                 | what happened                              | what Airflow does      | who acts        |
|-----------------------|--------------------------------------------|------------------------|-----------------|
| `SourceUnavailable`   | the source does not answer, or not now     | back off and retry     | nobody, at first |
| `ReceiverUnavailable` | the receiver does not answer, or not now   | back off and retry     | nobody, at first |
| `CredentialsRejected` | a log-in was refused                       | fail at once           | administrator   |
| `HostKeyMismatch`     | the SSH server is not the one we pinned    | fail at once           | administrator   |
| `ReceiverRefused`     | the receiver will not take the file as is  | fail at once           | administrator   |
| `BadRecord`           | one source record cannot be sent           | hold the record, go on | finance         |
| `MappingMissing`      | a value has no translation in the mapping  | hold the record, go on | data engineer   |
| `PeriodClosed`        | the target's period is locked              | hold the record, go on | finance         |
| `ContractBroken`      | the source does not keep to its interface  | fail at once           | data engineer   |
| `ConfigurationInvalid`| one of our own YAML files is wrong         | fail at once           | data engineer   |
| `QualityFailed`       | a batch does not meet its expectations     | fail at once           | data engineer   |
| `DoesNotTieOut`       | counts or money do not agree               | fail at once           | data engineer   |
| `Superseded`          | a newer attempt has taken over             | fail at once           | nobody          |
"""

from __future__ import annotations


class TieoutError(Exception):
    """Base of all our errors. `str(error)` is one sentence, or a few, for a person."""


class SourceUnavailable(TieoutError):
    """The source system does not answer, or answers that it cannot serve now. Worth a retry later."""


class ReceiverUnavailable(TieoutError):
    """The receiving system does not answer, or cannot take anything now. Worth a retry later."""


class CredentialsRejected(TieoutError):
    """A user name, password or key was refused. Never retried: repeated attempts lock accounts."""


class HostKeyMismatch(TieoutError):
    """The SSH server's host key is missing from, or differs from, the pinned ones. Never retried."""


class ReceiverRefused(TieoutError):
    """The receiver answers but will not take this file: read-only folder, name taken by other bytes, no space."""


class BadRecord(TieoutError):
    """A single source record cannot be sent; it is held with its bytes, and the rest goes on.

    Attributes:
        reason_code: Stable upper-case name of the reason, such as `LINE_SUM_MISMATCH`.
        fix_hint: Where and how to repair it, for finance.
    """

    def __init__(self, message: str, *, reason_code: str, fix_hint: str) -> None:
        super().__init__(message)
        self.reason_code = reason_code
        self.fix_hint = fix_hint


class MappingMissing(BadRecord):
    """A value has no entry in a mapping's lookup; the record is held until there is one."""


class PeriodClosed(BadRecord):
    """The target's posting period is closed or locked; the record is held until it opens."""


class ContractBroken(TieoutError):
    """The source breaks its own interface: wrong order, lost filter, unreadable JSON, counts that never agree."""


class ConfigurationInvalid(TieoutError):
    """A YAML file of ours is wrong. The message names file, line and key."""


class QualityFailed(TieoutError):
    """A batch about to be sent does not meet its Great Expectations suite; nothing of that entity was sent."""


class DoesNotTieOut(TieoutError):
    """Counts or money of a run do not agree; the run is red until somebody has looked."""


class Superseded(TieoutError):
    """A newer attempt holds the fencing token: this one must not write any more."""
