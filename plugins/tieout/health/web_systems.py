"""Systems behind HTTP: log on, look, log off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tieout.errors import ConfigurationInvalid, ContractBroken, CredentialsRejected, SourceUnavailable
from tieout.health.judging import check_idle_time, check_skew, check_token_life
from tieout.health.model import (
    AUTHENTICATED,
    CLOCK,
    HOST_KEY,
    REACHABLE,
    READABLE,
    SESSION,
    WRITABLE,
    Check,
    Status,
    failed_by,
    not_applicable,
    unknown,
)

if TYPE_CHECKING:
    from tieout.systems.banqup import BanqupSettings, Space
    from tieout.systems.sap_b1.settings import SapB1Settings
    from tieout.systems.syspro.client import SysproClient
    from tieout.systems.syspro.settings import SysproSettings


_MOST_NAMED = 5


def check_sap_b1(settings: SapB1Settings) -> list[Check]:
    """Log in to a Service Layer and out again."""
    from tieout.systems.sap_b1.client import SapB1Client
    from tieout.systems.sap_b1.sessions import MemorySessionStore

    client = SapB1Client(settings, MemorySessionStore())
    try:
        client.login()
        now, server_time = datetime.now(UTC), client.server_time()
        session = check_idle_time(client.idle_time())
    except (SourceUnavailable, ConfigurationInvalid) as error:
        return _failed_at(REACHABLE, error)
    except (CredentialsRejected, ContractBroken) as error:
        return _failed_at(AUTHENTICATED, error)
    client.logout()
    clock = check_skew(server_time - now) if server_time else Check(CLOCK, Status.UNKNOWN)
    good = [Check(REACHABLE, Status.OK), Check(AUTHENTICATED, Status.OK)]
    return [*good, *unknown(READABLE), *not_applicable(HOST_KEY, WRITABLE), clock, session]


def check_syspro(client: SysproClient) -> list[Check]:
    """Log on to SYSPRO, look whose session it is, and read one journal; logging off is the caller's.

    Args:
        client: An open client, on a session of its own or on that of a run.
    """
    from tieout.systems.syspro.tables import GEN_JOURNAL_CTL

    logged_on = False
    try:
        client.login()
        profile = client.profile()
        logged_on = True
        journals = client.probe(GEN_JOURNAL_CTL)
    except SourceUnavailable as error:
        return _failed_at(REACHABLE, error)
    except CredentialsRejected as error:
        return _failed_at(AUTHENTICATED, error)
    except ConfigurationInvalid as error:
        return _failed_at(READABLE if logged_on else REACHABLE, error)
    except ContractBroken as error:
        return _failed_at(READABLE if logged_on else AUTHENTICATED, error)
    readable = Check(READABLE, Status.OK)
    if not journals:
        empty = f"Company {client.settings.company_id} has no journals. Check that company_id is the right one."
        readable = Check(READABLE, Status.WARNING, empty)
    rest = [*not_applicable(HOST_KEY, WRITABLE), *unknown(CLOCK), *_syspro_session(client.settings)]
    return [Check(REACHABLE, Status.OK), _whose(client.settings, profile), readable, *rest]


def _syspro_session(settings: SysproSettings) -> list[Check]:
    """SYSPRO tells nobody how long a session may be idle: runs ask whether it lives before they use it again."""
    if not settings.needs_token:
        return []
    asked = f"one that was unused for {settings.validate_after:g} seconds is tested before it is used."
    return [Check(SESSION, Status.UNKNOWN, f"SYSPRO does not say how long a session lives; {asked}")]


def check_syspro_in_use(settings: SysproSettings, why: str) -> list[Check]:
    """What can be said while a run uses the operator: a log-on would end its session.

    Args:
        settings: Where SYSPRO is.
        why: Who uses the operator, as a sentence.
    """
    return [
        Check(AUTHENTICATED, Status.UNKNOWN, why) if check.name == AUTHENTICATED else check
        for check in check_http(settings.base_url)
    ]


def check_banqup(settings: BanqupSettings, spaces: Mapping[str, str]) -> list[Check]:
    """Get a token, and see which spaces let the application in.

    Args:
        settings: Where Banqup is.
        spaces: The spaces that are read, and whose each is.
    """
    from tieout.systems.banqup import BanqupClient

    logged_in = False
    with BanqupClient(settings) as client:
        try:
            client.login()
            logged_in = True
            found = client.spaces()
        except SourceUnavailable as error:
            return _failed_at(READABLE if logged_in else REACHABLE, error)
        except CredentialsRejected as error:
            return _failed_at(AUTHENTICATED, error)
        except (ConfigurationInvalid, ContractBroken) as error:
            return _failed_at(READABLE if logged_in else REACHABLE, error)
        skew, session = client.clock_skew, check_token_life(client.token_life)
    clock = check_skew(skew) if skew is not None else Check(CLOCK, Status.UNKNOWN)
    good = [Check(REACHABLE, Status.OK), Check(AUTHENTICATED, Status.OK)]
    return [*good, _spaces(found, spaces), *not_applicable(HOST_KEY, WRITABLE), clock, session]


def _spaces(found: Sequence[Space], wanted: Mapping[str, str]) -> Check:
    """Whether the application is let into the spaces that are read."""
    from tieout.systems.banqup import NOT_WHITELISTED

    if not found:
        return Check(READABLE, Status.FAILED, NOT_WHITELISTED)
    open_ones = {space.id.casefold() for space in found}
    closed = [f"{client} ({space})" for space, client in wanted.items() if space.casefold() not in open_ones]
    if not closed:
        return Check(READABLE, Status.OK)
    named = ", ".join(closed[:_MOST_NAMED]) + (f" and {len(closed) - _MOST_NAMED} more" if closed[_MOST_NAMED:] else "")
    return Check(
        READABLE,
        Status.FAILED,
        f"Banqup does not let the application into the spaces of {named}. Each business must whitelist the "
        f"application's id in Banqup; or correct space_id of the client.",
    )


def _whose(settings: SysproSettings, profile: Mapping[str, str]) -> Check:
    """Whether the session is in the configured company, where SYSPRO says so."""
    company = profile.get("CompanyId", settings.company_id)
    if company.upper() != settings.company_id.upper():
        wrong = f"The session is in company {company}, not in {settings.company_id} as the connection's extra says."
        return Check(AUTHENTICATED, Status.FAILED, wrong)
    known = [profile[name] for name in ("CompanyName", "LocalCurrencyCode") if name in profile]
    shown = f" ({', '.join(known)})" if known else ""
    return Check(AUTHENTICATED, Status.OK, f"Operator {settings.operator}, company {company}{shown}.")


def _failed_at(step: str, error: Exception) -> list[Check]:
    """Reachable, authenticated, readable: what comes before the failed step is well, what comes after is not known."""
    steps = (REACHABLE, AUTHENTICATED, READABLE)
    position = steps.index(step)
    return [
        *(Check(name, Status.OK) for name in steps[:position]),
        failed_by(step, error),
        *unknown(*steps[position + 1 :], CLOCK),
        *not_applicable(HOST_KEY, WRITABLE),
    ]


def check_http(url: str) -> list[Check]:
    """Whether a web server answers at all; log-in and clock of systems without a client of ours stay unknown.

    Args:
        url: Base URL with scheme.
    """
    import urllib3

    rest = [*unknown(AUTHENTICATED, READABLE, CLOCK), *not_applicable(HOST_KEY, WRITABLE)]
    try:
        with urllib3.PoolManager(timeout=10.0, retries=False) as http:
            http.request("HEAD", url, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        host = urlsplit(url).hostname or "the host"
        sentence = f"{host} does not answer ({type(error).__name__}). Check its address and the network."
        return [Check(REACHABLE, Status.FAILED, sentence), *rest]
    return [Check(REACHABLE, Status.OK), *rest]
