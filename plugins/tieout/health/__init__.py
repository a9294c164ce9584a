"""Whether the outside systems can be used: reachable, authenticated, pinned, writable, on time.

Functions over `systems` and `delivery` that know no Airflow: the command line and a monitoring DAG both use them.
Nothing is left behind on the other side but a log-in in its log.
"""

from tieout.health.judging import check_secret, check_skew
from tieout.health.ledger import check_ledger
from tieout.health.model import AUTHENTICATED, CHECKS, REACHABLE, Check, ConnectionHealth, Status
from tieout.health.sftp import check_sftp
from tieout.health.usage import ConnectionInUse, Server, connections_in_use
from tieout.health.web_systems import check_banqup, check_http, check_sap_b1, check_syspro, check_syspro_in_use

__all__ = [
    "AUTHENTICATED",
    "CHECKS",
    "REACHABLE",
    "Check",
    "ConnectionHealth",
    "ConnectionInUse",
    "Server",
    "Status",
    "check_banqup",
    "check_http",
    "check_ledger",
    "check_sap_b1",
    "check_secret",
    "check_sftp",
    "check_skew",
    "check_syspro",
    "check_syspro_in_use",
    "connections_in_use",
]
