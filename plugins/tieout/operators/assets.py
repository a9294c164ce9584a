"""Assets: one per feed that an integration delivers or posts, so that other DAGs can wait for it.

A feed's URI is `tieout://<integration>/<instance>/<entity>` and nothing else: Airflow drops what it has stored for an
asset whose URI changes, so no folder, host or other setting that may change is part of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow.sdk import Asset, BaseOperator, Context

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset

    from tieout.config import Instance
    from tieout.integrations.run import Run
    from tieout.ledger import Ledger, RunRow

SCHEME = "tieout"


def feed(instance: Instance[Any], entity: str) -> Asset:
    """What an instance sends of one entity; of Banqup, what one client gets."""
    name = f"{instance.integration}/{instance.name}/{quote(entity, safe='')}"
    return Asset(name=name, uri=f"{SCHEME}://{name}", group=instance.integration)


def feeds(instance: Instance[Any], entities: Iterable[str]) -> list[Asset]:
    """The feeds of several entities, in their order."""
    return [feed(instance, entity) for entity in entities]


def entity_of(asset: Asset) -> str:
    """The entity of a feed."""
    return unquote(asset.uri.rpartition("/")[2])


def announce(
    operator: BaseOperator, context: Context, ledger: Ledger, run: Run, entities: Collection[str] | None = None
) -> None:
    """Have Airflow make an asset event for each feed that this run sent something of, and for no other.

    Airflow makes an event for every outlet of a task that succeeds. Those that got nothing are therefore taken off the
    running task's outlets; the DAG keeps them. What was sent is read from the ledger, so that it is complete also when
    an earlier attempt sent a part. The feeds' watermarks are shown beside their assets; the ledger's are the truth.

    Args:
        operator: The running task; its outlets are feeds.
        context: The task's context.
        ledger: The book of record.
        run: The run.
        entities: Those that this task sent, where a run has several such tasks; None is all of the run.
    """
    mine = [asset for asset in _feeds_of(operator) if entities is None or entity_of(asset) in entities]
    sent: list[Asset] = []
    if not run.dry_run:
        rows = _rows(ledger, run)
        for asset in mine:
            row = rows.get(entity_of(asset))
            event = _event(ledger, row) if row is not None else None
            if event is not None:
                context["outlet_events"][asset].extra.update(event)
                sent.append(asset)
        _show_watermarks(operator, context, ledger.watermarks(run.integration, run.instance), mine)
    operator.outlets = sent


def _feeds_of(operator: BaseOperator) -> list[Asset]:
    return [outlet for outlet in operator.outlets if isinstance(outlet, Asset)]


def _rows(ledger: Ledger, run: Run) -> dict[str, RunRow]:
    from tieout.ledger import Filters

    filters = Filters(integration=run.integration, instance=run.instance, run_id=run.run_id)
    return {row.entity: row for row in ledger.runs(filters)}


def _event(ledger: Ledger, row: RunRow) -> dict[str, Any] | None:
    """What others learn of a delivery: counts, and money as decimal text by currency; None where nothing went."""
    from tieout.ledger import Filters

    key = row.key
    files = ledger.count_files(
        Filters(
            integration=key.integration,
            instance=key.instance,
            entity=key.entity,
            run_id=key.run_id,
            status="delivered",
        )
    )
    if not files and not row.posted:
        return None
    return {
        "run_id": key.run_id,
        "files": files,
        "records": row.delivered + row.posted,
        "totals": {currency: str(amount) for currency, amount in row.target_totals.items()},
    }


def _show_watermarks(
    operator: BaseOperator, context: Context, watermarks: dict[str, dict[str, Any]], feeds: Iterable[Asset]
) -> None:
    """Nothing depends on what is shown, so a failure of Airflow's store is no failure of the run."""
    stores: Any = context.get("asset_state_store")
    if stores is None:
        return
    try:
        for asset in feeds:
            if entity_of(asset) in watermarks:
                stores[asset].set("watermark", watermarks[entity_of(asset)])
    except Exception as error:
        operator.log.warning("The watermarks are not shown in Airflow (%s: %s).", type(error).__name__, error)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check the URI of a feed for Airflow; see `tieout.provider`.

    Raises:
        ValueError: It does not name integration, instance and entity.
    """
    parts = uri.path.split("/")
    if not uri.netloc or len(parts) != 3 or not all(parts[1:]) or uri.query or uri.fragment:
        raise ValueError(f"URI format {SCHEME}:// must be {SCHEME}://<integration>/<instance>/<entity>")
    return uri


def to_openlineage(asset: Asset, lineage_context: Any) -> Dataset:
    """The dataset of a feed in lineage, where a DAG of somebody else's names it as its inlet."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    parts = urlsplit(asset.uri)
    return Dataset(namespace=SCHEME, name=f"{parts.netloc}{parts.path}")
