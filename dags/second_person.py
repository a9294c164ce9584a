"""# A second person for large held records

An instance whose file has a section `second_person` says up to which amount one person alone may replay or discard held
records. For whatever is above, somebody asks (on the Tieout page, with `bin/tieout`, or by triggering this DAG) and
somebody else answers here.

| task | what happens |
| --- | --- |
| `ask_second_person` | shows the records with amounts and reasons, and waits (**Required Actions**) |
| `carry_out` | after a yes: triggers the integration's run over these records, or discards them |

**To answer**: open *Browse → Required Actions*, or the run's task `ask_second_person`, read, and choose *Approve* or
*Reject*. Whoever may answer is a matter of Airflow's rights on this DAG; whoever asked cannot.

**When it is red**: the one who asked also answered, or nobody answered in time. Nothing was done, the records are still
held; ask again. *Reject* is not red: the records stay held, and their history says who declined.
"""

from __future__ import annotations

from tieout.config import (
    Instance,
    IntegrationConfig,
    SapB1ToPeakflo,
    StampliToSapB1,
    SysproToLegacyErp,
    instances,
)
from tieout.integrations.banqup_to_sftp.config import BanqupToSftp
from tieout.operators.approvals import second_person_dag

INTEGRATIONS: dict[str, type[IntegrationConfig]] = {
    "sap_b1_to_peakflo": SapB1ToPeakflo,
    "syspro_to_legacy_erp": SysproToLegacyErp,
    "stampli_to_sap_b1": StampliToSapB1,
    "banqup_to_sftp": BanqupToSftp,
}

for integration, model in INTEGRATIONS.items():
    for each in instances(integration, model):
        # An instance whose file is wrong says so in its own DAG.
        if isinstance(each, Instance) and each.config.second_person is not None:
            second_person_dag(each, __doc__)
