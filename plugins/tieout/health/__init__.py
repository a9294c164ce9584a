"""Whether the outside systems can be used: reachable, authenticated, pinned, writable, on time; and for how long yet.

Functions over `systems` and `delivery` that know no Airflow: the command line and the DAG `connection_health` both use
them. Nothing is left behind on the other side but a log-in in its log.
"""

from tieout.health.certificates import check_certificate
from tieout.health.judging import check_idle_time, check_skew, check_token_life
from tieout.health.keys import check_key
from tieout.health.ledger import check_ledger
from tieout.health.memory import Memory, Told
from tieout.health.model import (
    AUTHENTICATED,
    CHECKS,
    DETAILS,
    REACHABLE,
    Check,
    ConnectionHealth,
    Status,
    failed_by,
    failed_unforeseen,
)
from tieout.health.policy import HealthConfig, Rotation, RotationPolicy, load_health
from tieout.health.rotation import Held, check_ages
from tieout.health.rounds import Finding, Looking, Probe, look_at_all
from tieout.health.sftp import check_sftp
from tieout.health.usage import ConnectionInUse, Server, connections_in_use
from tieout.health.web_systems import check_banqup, check_http, check_sap_b1, check_syspro, check_syspro_in_use

__all__ = [
    "AUTHENTICATED",
    "CHECKS",
    "DETAILS",
    "REACHABLE",
    "Check",
    "ConnectionHealth",
    "ConnectionInUse",
    "Finding",
    "HealthConfig",
    "Held",
    "Looking",
    "Memory",
    "Probe",
    "Rotation",
    "RotationPolicy",
    "Server",
    "Status",
    "Told",
    "check_ages",
    "check_banqup",
    "check_certificate",
    "check_http",
    "check_idle_time",
    "check_key",
    "check_ledger",
    "check_sap_b1",
    "check_sftp",
    "check_skew",
    "check_syspro",
    "check_syspro_in_use",
    "check_token_life",
    "connections_in_use",
    "failed_by",
    "failed_unforeseen",
    "load_health",
    "look_at_all",
]
