"""Prepares a job: spec -> everything opened and checked, and the plan.

All that can be known before a GPU starts is found out here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.edits import remap_table
from flowreel.pipeline.edits.check import check_edits
from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.checks import check_fits
from flowreel.pipeline.planning.auto_settings import resolve_settings
from flowreel.pipeline.planning.balance import Balanced, balanced
from flowreel.pipeline.planning.base_version import newest_of, settings_there
from flowreel.pipeline.planning.donors import donors_of
from flowreel.pipeline.planning.exemplars import exemplar
from flowreel.pipeline.planning.from_dataset import Origin, open_origin
from flowreel.pipeline.planning.planner import Inputs, plan
from flowreel.pipeline.planning.spans import spans_without_digests
from flowreel.pipeline.planning.variant_matrix import all_combinations, sample
from flowreel.pipeline.render.job import RenderJob, lanes_for
from flowreel.pipeline.sources.catalog import Catalog
from flowreel.pipeline.sources.containers.members import load_members
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.containers.store import keep_members
from flowreel.pipeline.sources.encodings import open_decoder
from flowreel.pipeline.sources.file_index import (
    INDEX,
    FileFacts,
    facts_in,
    fingerprint_of,
    index_of,
    load_index,
    save_index,
)
from flowreel.pipeline.sources.find import find_sequences, open_source
from flowreel.pipeline.sources.keypoints.frames import channels
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import NotFound, Store, open_store
from flowreel.schemas.clip import Exemplar
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import Plan
from flowreel.schemas.spec import Spec
from flowreel.schemas.variants import GENERATE, Balance, Matrix, Variant

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """Holds a job that is ready to run."""

    job: RenderJob
    catalog: Catalog
    base: Version | None
    plan: Plan
    balance: Balanced | None = None  # where the spec asks for one


def prepare(spec: Spec, progress: Progress | None = None, *, dry: bool = False, allow_code: bool = False) -> Prepared:
    """Opens and checks all that the spec names and plans on top of the newest version.

    ``dry``: write nothing. ``allow_code``: accept a segmenter that runs code of its own.

    Raises a UsageError of the fitting kind for the first thing that is wrong; problems of the source are collected,
    and `Catalog.check` raises them.
    """
    job, known = _open_inputs(spec, dry)
    job = replace(job, allow_code=allow_code)
    exemplars = _check_inputs(job)
    if job.source and not known.origin:
        job = replace(job, source=with_members(job.source, spec.source, partial(load_members, job.dataset)))
    catalog = _find_sequences(job, known, progress, dry)
    given = known.origin.splits if known.origin else {}
    del known  # as large as the source's index; the plan needs none of it
    return _make_plan(job, catalog, exemplars, given)


@dataclass(frozen=True)
class _Known:
    """Holds what earlier runs have noted of files."""

    index: pa.Table  # INDEX
    weights: dict[str, FileFacts]  # of the checkpoint's files, those that were just read included
    origin: Origin | None  # of a source that is a dataset


def _open_inputs(spec: Spec, dry: bool) -> tuple[RenderJob, _Known]:
    """Opens all that the spec names: source, dataset, label space, index and checkpoint; resolves its settings.

    Raises a UsageError of the fitting kind for the first that is not there or does not read, and for names of classes
    that the label space does not have.
    """
    spec, origin = _spelled_out(spec), None
    source: Store | None
    if spec.source.dataset:
        origin = open_origin(spec, spec.source_options)
        spec, source, space = origin.spec, origin.store, origin.space
    else:
        source = open_source(spec.source, spec.source_options)
        space = open_label_space(spec.source.label_space_name, spec.source_options)
    dataset = open_store(spec.dataset.uri, spec.dataset_options)
    _check_classes(spec, space)
    if source:
        source.check_readable()
    if dry or versions.numbers(dataset):  # a run that finds nothing to do leaves no trace
        _check_place(dataset)
    else:
        dataset.check_writable()
    index = load_index(dataset)
    weights = checkpoint_store(spec.generator.checkpoint, spec.generator_options)
    known = facts_in(index.filter(pc.starts_with(index["key"], f"other|{weights.uri}")))
    checkpoint = read_checkpoint(weights, lambda store, file: fingerprint_of(store, file, known))
    decoder = open_decoder(spec.source, space, spec.source_options)
    settings = replace(resolve_settings(spec, checkpoint, settings_there(dataset)), encoding=decoder.digest)
    job = RenderJob(spec, space, settings, checkpoint, source, dataset, decoder=decoder)
    return job, _Known(index, known, origin)


def _check_inputs(job: RenderJob) -> dict[str, Exemplar]:
    """Checks that generator, segmenter and exemplars fit what is asked of them; gives the exemplars by style.

    Raises CheckpointError, UsageError or SourceError for the first that does not.
    """
    spec, size = job.spec, job.settings.size
    pictures = channels(spec.source) if spec.source.kind in ("pose", "face") else 0
    check_fits(job.checkpoint, job.space, size, pictures)
    if spec.output.flow and not job.checkpoint.config.flow:
        raise UsageError("output.flow: true, but this generator has no flow; set it to false")
    if spec.quality.segmenter:
        from flowreel.pipeline.quality.segmenters import open_segmenter  # torch: for those who have a segmenter only

        open_segmenter(spec, job.space, allow_code=job.allow_code)
    return {v.style: exemplar(v.style, spec, job.space, size) for v in spec.variants if v.style != GENERATE}


def _find_sequences(job: RenderJob, known: _Known, progress: Progress | None, dry: bool) -> Catalog:
    """Lists and checks the source's sequences, and saves what became known of its files, unless ``dry``.

    Raises SourceError if there are none; problems of files are in the catalog.
    """
    catalog = find_sequences(
        job.source, job.spec.source, job.space, known.index, job.settings.size, progress, job.decoder
    )
    used = pa.concat_tables([catalog.facts, index_of(known.weights.items())])
    if not dry and not used.equals(known.index):
        save_index(job.dataset, used)
        keep_members(job.dataset, job.source)
    return catalog


def _make_plan(job: RenderJob, catalog: Catalog, exemplars: dict[str, Exemplar], splits: dict[str, str]) -> Prepared:
    """Plans on top of the newest version: chooses variants where a rule gives them, then clips and shards. ``splits``:
    of sequences, where the source says them."""
    facts = catalog.facts
    catalog = replace(catalog, facts=INDEX.empty_table())  # saved; a driver does not carry it through its run
    job = replace(job, settings=replace(job.settings, none_rules=catalog.none_rules))
    job, inputs, balance = _variants(job, catalog, facts, exemplars)
    base, held = newest_of(job.dataset, job.spec)
    planned = plan(catalog.sequences, inputs, replace(held, splits={**held.splits, **splits}))
    lanes = lanes_for(job.settings.device, job.spec.execution.num_cpus, len(planned.shards))
    return Prepared(replace(job, lanes=lanes), catalog, base, planned, balance)


def _variants(
    job: RenderJob, catalog: Catalog, facts: pa.Table, exemplars: dict[str, Exemplar]
) -> tuple[RenderJob, Inputs, Balanced | None]:
    """Gives the job with the variants that a rule of its spec gives, and what decides its plan."""
    rule, config, balance, chosen_PK = job.spec.variants_by, job.checkpoint.config, None, None
    if isinstance(rule, Matrix):
        seed = job.spec.clips.seed if rule.seed is None else rule.seed
        chosen_PK = sample(rule, spans_without_digests(catalog.sequences, job.spec.clips), seed)
    if isinstance(rule, Balance) and not catalog.problems:
        pieces = spans_without_digests(catalog.sequences, job.spec.clips)
        skip = 0 if job.spec.clips.lead_in == "repeat" else config.n_frames - 1
        balance = balanced(rule, job, pieces, facts, skip)
        job = replace(job, spec=job.spec.model_copy(update={"variants": balance.variants}))
        chosen_PK = balance.chosen_P[:, None]
    inputs = Inputs(job.spec, job.space, job.settings, config.n_frames, config.use_instance, exemplars)
    if not catalog.problems:  # else it is planned to say what is there, and not rendered
        inputs = replace(inputs, donors=donors_of(job, catalog.sequences))
    return job, replace(inputs, chosen_PK=chosen_PK), balance


def _spelled_out(spec: Spec) -> Spec:
    """Gives the spec with the variants that a rule gives without the source; for balance, the look that all have."""
    match spec.variants_by:
        case Matrix() as rule:
            return spec.model_copy(update={"variants": all_combinations(rule)})
        case Balance() as rule:
            return spec.model_copy(update={"variants": (Variant(style=rule.style, seed=rule.seed),)})
    return spec


def _check_place(dataset: Store) -> None:
    """Checks a dataset that is not written to: a bucket must be there, a local folder need not be yet.

    Raises StorageError.
    """
    try:
        dataset.check_readable()
    except NotFound:
        if "://" in dataset.uri:
            raise


def _check_classes(spec: Spec, space: LabelSpace) -> None:
    """Raises UsageError for a remap or an edit that names no class of the label space."""
    try:
        remap_table(spec.source.classes_of_ids, space)
    except ValueError as error:
        raise UsageError(f"source.remap: {error}") from None
    if isinstance(spec.variants_by, Balance):
        for key in spec.variants_by.balance:
            try:
                space.resolve(key)
            except ValueError as error:
                raise UsageError(f"variants.balance: {error}") from None
    for i, variant in enumerate(spec.variants):
        check_edits(variant, f"variants[{i}]", space, instances=spec.source.has_instances)
