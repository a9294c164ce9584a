"""From what was staged of an entity to the files that would go and the records that are held."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tieout.errors import ConfigurationInvalid
from tieout.integrations.expectations import unfit
from tieout.integrations.sorting import HeldCheck, Place, Sorter, in_currency
from tieout.integrations.syspro_to_legacy_erp.documents import Extracted
from tieout.integrations.syspro_to_legacy_erp.gl import writers
from tieout.integrations.syspro_to_legacy_erp.gl.files import DATA
from tieout.integrations.syspro_to_legacy_erp.gl.judging import NOTHING_KNOWN, KnownPostings, known_postings
from tieout.integrations.syspro_to_legacy_erp.gl.preparing import prepare_period
from tieout.integrations.syspro_to_legacy_erp.gl.reading import PeriodRead, load_account_names, load_periods
from tieout.integrations.syspro_to_legacy_erp.numbering import Number
from tieout.integrations.syspro_to_legacy_erp.plan import GL_POSTINGS, Plan
from tieout.integrations.syspro_to_legacy_erp.prepared import Output, Prepared
from tieout.integrations.syspro_to_legacy_erp.setup import Setup
from tieout.ledger import FileRow, Ledger, Tally
from tieout.mapping.compiler import compile_mapping
from tieout.mapping.frame import MapContext
from tieout.mapping.held import HeldReason
from tieout.staging import Folder, StagedPath, read_parts

DELIVERED_BEFORE = "delivered_before"
EXTRACT, PREPARED = "extract", "prepared"
INDEX = "index.parquet"
"""A document file's records with their byte ranges."""

_ROUNDS = 4

log = logging.getLogger(__name__)


def prepare_entity(setup: Setup, plan: Plan, ledger: Ledger, staging: Folder, number: Number) -> Prepared:
    """Judge an entity's records and write its files.

    Args:
        setup: The run's surroundings.
        plan: What was read.
        ledger: What was delivered, held and discarded before.
        staging: The run's folder.
        number: The numbers for the files.

    Raises:
        DoesNotTieOut: A file does not hold what was to be written to it.
        ContractBroken: Most of the records would be held.
        ConfigurationInvalid: A mapping or record spec is wrong.
    """
    folder = staging / plan.entity / PREPARED
    folder.mkdir(parents=True, exist_ok=True)
    for path in list(folder.iterdir()):
        # An earlier attempt may have read periods that this one does not; what it held is not to be held again.
        if path.name.isdigit():
            _empty(path)
    prepare = _prepare_postings if plan.entity == GL_POSTINGS else _prepare_documents
    prepared = prepare(setup, plan, ledger, staging, number)
    prepared.save(folder)
    return prepared


def part_folder(staging: Folder, entity: str, part: str) -> Folder:
    """Where an output's file and what belongs to it are."""
    return staging / entity / PREPARED / part


def _empty(folder: Folder) -> Folder:
    """The folder without what an earlier attempt wrote: those bytes may be in the archive under another name."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in list(folder.iterdir()):
        path.unlink()
    return folder


# --- postings


def _prepare_postings(setup: Setup, plan: Plan, ledger: Ledger, staging: Folder, number: Number) -> Prepared:
    scope, source = setup.run.scope(GL_POSTINGS), setup.config.source
    rules = setup.gl_rules()
    prepared = Prepared(GL_POSTINGS, ledger.entity_version(scope), rules.version)
    staged = staging / GL_POSTINGS / EXTRACT
    names = _account_names(load_account_names(staged), rules.code)
    open_keys = ledger.open_held_keys(scope)
    for period in load_periods(staged):
        known = known_of(setup, ledger, period.code)
        late = known is not NOTHING_KNOWN and not plan.resend
        folder = _empty(part_folder(staging, GL_POSTINGS, period.code))
        # Numbers are only asked for where there is a file: an empty period takes none.
        asked: list[writers.Numbers] = []

        def make(
            first_pass: Any, period: PeriodRead = period, asked: list[writers.Numbers] = asked, late: bool = late
        ) -> writers.GlFileWriter:
            if not asked:
                asked.append(number(period.code))
            return gl_file_writer(setup, plan, period.code, asked[0], names, first_pass, late=late)

        found = prepare_period(
            staged / period.code,
            folder,
            period,
            rules,
            source,
            known,
            make,
            resend=plan.resend,
            open_keys=open_keys,
            discarded=lambda keys: ledger.discarded_payloads(scope, keys),
        )
        for place, tally in found.tallies.items():
            prepared.add(place, tally)
        prepared.settled += found.settled
        if found.missing and plan.read == "period":
            prepared.missing[period.code] = found.missing
        if found.file is not None:
            file, totals = found.file, found.file.control_totals(source.currency)
            prepared.outputs.append(
                Output(period.code, file.bytes, file.sha256, file.total.postings, totals, asked[0], late)
            )
            prepared.preview += file.preview
    return prepared


def known_of(setup: Setup, ledger: Ledger, code: str) -> KnownPostings:
    """What the receiver has of a period, but for what this very attempt has sent."""
    own = {file.id for file in own_files(setup, ledger, GL_POSTINGS)}
    partition = f"{int(code[:4])}|{int(code[4:])}"
    batches = ledger.packed_records(setup.run.scope(GL_POSTINGS), partition)
    return known_postings(batch for file_id, batch in batches if file_id not in own)


def own_files(setup: Setup, ledger: Ledger, entity: str) -> list[FileRow]:
    """Files of this run since it was begun; a run that was cleared answers only for what it does now."""
    key = setup.run.key(entity)
    row = ledger.get_run(key)
    return [] if row is None else [file for file in ledger.files_of_run(key) if file.created_at >= row.started_at]


def _account_names(by_code: Mapping[str, str], code: Any) -> dict[str, str]:
    """The receiver's account → a name: that of the first G/L code that becomes it."""
    names: dict[str, str] = {}
    for gl_code, name in by_code.items():
        account = code(gl_code).account
        if account is not None:
            names.setdefault(account, name)
    return names


def gl_file_writer(
    setup: Setup,
    plan: Plan,
    code: str,
    numbers: writers.Numbers,
    names: dict[str, str],
    first_pass: Any,
    *,
    late: bool = False,
) -> writers.GlFileWriter:
    """The writer of the partner's format; `late` is for postings of a period that was sent before."""
    entity, partner = setup.entity(GL_POSTINGS), setup.config.partner
    facts = setup.facts(code, replaces=plan.replaces, account_names=names)
    if entity.format == "csv":
        return writers.CsvGl(setup.gl_rules().file.columns, partner.csv, facts)
    if entity.format == "fixed_width":
        return writers.FixedWidthGl(setup.record_spec(GL_POSTINGS), facts, numbers, first_pass)
    set_id = entity.gl_set or (partner.x12.gl_set if partner.x12 else None)
    if partner.x12 is None or set_id is None:
        raise ConfigurationInvalid("gl_postings as x12 needs partner.x12 with gl_set: 830 or 821.")
    if set_id == "830":
        log.warning(
            "G/L postings go as X12 830, a planning schedule: amounts travel as quantities. Where the partner loads "
            "it, 821 is the better choice (gl_set)."
        )
    return writers.X12Gl(set_id, partner.x12, facts, numbers, late=late)


# --- documents


def _prepare_documents(setup: Setup, plan: Plan, ledger: Ledger, staging: Folder, number: Number) -> Prepared:
    from tieout.integrations.syspro_to_legacy_erp.conversion import convert

    entity, scope = plan.entity, setup.run.scope(plan.entity)
    version = ledger.entity_version(scope)
    mapping = setup.mapping(entity)
    compiled = compile_mapping(mapping)
    staged = staging / entity / EXTRACT
    extracted = load_extracted(staged)
    wanting = unfit(staging / entity / PREPARED)
    misfits: dict[str, HeldReason] = {}
    for _ in range(_ROUNDS):
        folder = _empty(part_folder(staging, entity, plan.period))
        sorter = Sorter(
            compiled,
            map_context(setup, entity, ledger),
            ledger,
            scope,
            resend=plan.resend,
            also_held=_checks(wanting, misfits),
        )
        outcome = sorter.sort(read_parts(staged, names=extracted.part_names), folder)
        prepared = Prepared(
            entity,
            version,
            mapping.version,
            tallies=outcome.tallies,
            settled=outcome.settled,
            watermark=_next_watermark(setup, plan, extracted, ledger),
            preview=list(outcome.preview),
        )
        count = outcome.tallies[Place.SEND].count
        if not count:
            return prepared
        numbers = number(plan.period)
        converted = convert(
            folder / "data.csv", folder / "records.parquet", compiled, document_target(setup, plan, numbers, folder)
        )
        if not converted.misfits:
            for what, altered in converted.altered.items():
                log.warning("%s: %s characters or texts of %s were altered, as configured.", entity, altered, what)
            totals = {"amount": {c: f"{a:f}" for c, a in sorted(outcome.control_totals.items())}}
            prepared.outputs.append(Output(plan.period, converted.bytes, converted.sha256, count, totals, numbers))
            return prepared
        misfits |= {key: HeldReason(*why) for key, why in converted.misfits.items()}
    raise ConfigurationInvalid(
        f"{entity}: records do not fit the partner's format although those that do not are left out; please report "
        "this with the staged files."
    )


def document_target(setup: Setup, plan: Plan, numbers: writers.Numbers, folder: Folder) -> Any:
    """Where and how an entity's data file is written."""
    from tieout.integrations.syspro_to_legacy_erp.conversion import DocumentTarget

    entity = setup.entity(plan.entity)
    return DocumentTarget(
        path=folder / DATA,
        index=folder / INDEX,
        format=entity.format,
        csv=setup.config.partner.csv,
        spec=setup.record_spec(plan.entity) if entity.format == "fixed_width" else None,
        profile=setup.config.partner.x12,
        facts=setup.facts(plan.period, replaces=plan.replaces),
        numbers=numbers,
    )


def map_context(setup: Setup, entity: str, ledger: Ledger) -> MapContext:
    """What mappings get from the run."""
    scope = setup.run.scope(entity)

    def delivered_before(keys: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(ledger.fingerprints(scope, keys), "yes")

    return MapContext(
        lookups={DELIVERED_BEFORE: delivered_before},
        settings={"currency": setup.config.source.currency, "company": setup.company},
    )


def _checks(wanting: Mapping[str, str], misfits: Mapping[str, HeldReason]) -> list[HeldCheck]:
    """Records that the quality gate found wanting, or that the partner's format has no room for."""
    reasons = {
        key: HeldReason(
            "QUALITY",
            f"The record does not meet an expectation: {why}",
            "Correct it in SYSPRO, or the expectation in include/quality.",
        )
        for key, why in wanting.items()
    } | dict(misfits)

    def check(batch: pa.RecordBatch) -> dict[int, HeldReason]:
        keys = batch.column("_key").to_pylist()
        return {position: reasons[key] for position, key in enumerate(keys) if key in reasons}

    return [check] if reasons else []


def load_extracted(staged: Folder) -> Extracted:
    """What `extract` said it staged of a document entity."""
    with (staged / "extract.json").open("rb") as file:
        return Extracted.from_json(file.read().decode())


def _next_watermark(setup: Setup, plan: Plan, extracted: Extracted, ledger: Ledger) -> dict[str, Any] | None:
    """Where the next run starts: the newest date seen, never later than the run's own day."""
    if not plan.moves_watermark:
        return None
    mark: dict[str, Any] = dict(ledger.watermark(setup.run.scope(plan.entity)) or {})
    if extracted.max_date is not None:
        seen = min(extracted.max_date, setup.made().date().isoformat())
        mark["seen"] = max(seen, str(mark.get("seen") or ""))
    mark["read_by"] = setup.run.run_id
    return mark


def gl_tally(periods: Sequence[PeriodRead], currency: str) -> Tally:
    """What was read: postings, and their debits."""
    debit = sum((period.debit for period in periods), Decimal(0))
    # A posting that will be held may have more decimals than the currency.
    with contextlib.suppress(ArithmeticError):
        debit = in_currency(currency, debit)
    return Tally(sum(period.postings for period in periods), {currency: debit} if periods else {})


def data_files(staging: Folder, prepared: Prepared) -> Iterator[tuple[Output, StagedPath]]:
    """The prepared files, in the order of delivery."""
    for output in prepared.outputs:
        yield output, part_folder(staging, prepared.entity, output.part) / DATA
