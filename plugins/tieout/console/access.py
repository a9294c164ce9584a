"""Who may see and do what: Airflow's own log-in and its own rights on DAGs and their runs.

Whoever may see Airflow's website reads here of those instances whose DAG runs they may read; whoever may trigger an
instance's DAG may replay and discard its held records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user, requires_access_view
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request

from tieout.console.book import book_of
from tieout.console.instances import Pair, configured
from tieout.replays import dag_id_of

Right = Literal["GET", "POST"]

User = Annotated[BaseUser, Depends(get_user)]
on_website = Depends(requires_access_view(AccessView.WEBSITE))


def permitted(right: Right, dag_ids: Collection[str], user: BaseUser) -> set[str]:
    """Those of the DAGs whose runs the user may read (GET) or trigger (POST)."""
    teams = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
    manager = get_auth_manager()
    return {
        dag_id
        for dag_id in dag_ids
        if manager.is_authorized_dag(
            method=right,
            access_entity=DagAccessEntity.RUN,
            details=DagDetails(id=dag_id, team_name=teams.get(dag_id)),
            user=user,
        )
    }


class Visible(NamedTuple):
    """The instances that a user may read of, of those configured or ever run, and whether that is all of them."""

    pairs: frozenset[Pair]
    everything: bool


def readable(request: Request, user: User) -> Visible:
    """What the user may read of."""
    known, allowed = _of_those_known(request, "GET", user)
    # Where nothing is known yet, nothing of it says what they may not.
    everything = len(allowed) == len(known) if known else _anywhere("GET", user)
    return Visible(frozenset(allowed), everything)


Readable = Annotated[Visible, Depends(readable)]


def triggerable(request: Request, user: User) -> frozenset[str]:
    """The DAGs, of those configured or ever run, that the user may trigger."""
    return frozenset(dag_id_of(*pair) for pair in _of_those_known(request, "POST", user)[1])


Triggerable = Annotated[frozenset[str], Depends(triggerable)]


class Decidable(NamedTuple):
    """Whose held records a user may replay and discard.

    Attributes:
        pairs: Of the instances configured or ever run, those whose DAG they may read and trigger.
        anywhere: They may trigger DAGs in general.
    """

    pairs: frozenset[Pair]
    anywhere: bool

    def of(self, integration: str | None, instance: str | None) -> frozenset[Pair]:
        """Those of them that the filters leave.

        Raises:
            HTTPException: 403: the filters name what is none of theirs, whether there is such a thing or not.
        """
        left = frozenset(pair for pair in self.pairs if integration in (None, pair[0]) and instance in (None, pair[1]))
        named = [name for name in (integration, instance) if name]
        if named and not left and not self.anywhere:
            raise HTTPException(403, f"You may not trigger runs of {', '.join(named)} in Airflow.")
        return left


def decidable(request: Request, user: User) -> Decidable:
    """Whose held records the user may act on."""
    readable_ones = _of_those_known(request, "GET", user)[1]
    pairs = frozenset(readable_ones) & frozenset(_of_those_known(request, "POST", user)[1])
    return Decidable(pairs, _anywhere("POST", user))


def may_trigger_something(request: Request, user: User) -> BaseUser:
    """The user, who may trigger runs of at least one of the integrations, or of DAGs in general.

    Raises:
        HTTPException: 403.
    """
    if not _anywhere("POST", user) and not _of_those_known(request, "POST", user)[1]:
        raise HTTPException(403, "You may not trigger runs in Airflow, which replaying and discarding need.")
    return user


Trigger = Annotated[BaseUser, Depends(may_trigger_something)]


def require_trigger(dag_ids: Iterable[str], user: BaseUser) -> None:
    """Refuse unless the user may trigger all of the DAGs.

    Raises:
        HTTPException: 403, naming those they may not.
    """
    wanted = set(dag_ids)
    forbidden = sorted(wanted - permitted("POST", wanted, user))
    if forbidden:
        raise HTTPException(403, f"You may not trigger runs of {', '.join(forbidden)} in Airflow.")


def same_origin(request: Request) -> None:
    """Refuse a request that another site made a browser send with the user's cookie.

    A token in the `Authorization` header is never sent by a browser of itself.

    Raises:
        HTTPException: 403.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site != "same-origin":
        raise HTTPException(403, "This request came from another site's page; it was refused.")
    if site is None and (origin is None or urlsplit(origin).netloc not in _own_hosts(request)):
        raise HTTPException(403, "With the session's cookie, Origin or Sec-Fetch-Site must say that our own page asks.")


def _own_hosts(request: Request) -> set[str]:
    """Where the API server is for browsers; behind a proxy only `[api] base_url` tells."""
    hosts = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
    return hosts - {""}


def _anywhere(right: Right, user: BaseUser) -> bool:
    """Whether the user has the right on the runs of DAGs in general."""
    return get_auth_manager().is_authorized_dag(method=right, access_entity=DagAccessEntity.RUN, user=user)


def _of_those_known(request: Request, right: Right, user: BaseUser) -> tuple[list[Pair], list[Pair]]:
    """The instances that are configured or have ever run, and those of them that the user has the right on."""
    with book_of(request).open() as ledger:
        ran = ledger.known_instances() if ledger else []
    known = sorted({*ran, *configured()})
    allowed = permitted(right, {dag_id_of(*pair) for pair in known}, user)
    return known, [pair for pair in known if dag_id_of(*pair) in allowed]
