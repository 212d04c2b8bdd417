"""Opens and checks real frames: from folders by a spec's templates, or from a published dataset."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pyarrow as pa

from flowreel.pipeline.dataset.versions import open_version, split_uri
from flowreel.pipeline.edits import remap_table
from flowreel.pipeline.sources.catalog import Catalog, nothing_found, read_facts
from flowreel.pipeline.sources.containers.members import load_members
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.containers.store import keep_members
from flowreel.pipeline.sources.encodings import open_decoder
from flowreel.pipeline.sources.file_index import load_index, save_index
from flowreel.pipeline.sources.find import find_sequences
from flowreel.pipeline.sources.keypoints.crop import Crop
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.sources.listing import list_matching
from flowreel.pipeline.sources.template import Template
from flowreel.pipeline.storage import Store, open_store
from flowreel.pipeline.training.data.keypoint_frames import sequence_crops
from flowreel.pipeline.training.data.preflight import (
    Picture,
    hold_out_problems,
    length_problems,
    picture_problems,
    spec_problems,
)
from flowreel.pipeline.training.data.published_dataset import published_sequences
from flowreel.pipeline.training.data.sequences import TrainingFrame, TrainingSequence
from flowreel.pipeline.training.data.training_data import TrainingData, TrainingSource
from flowreel.schemas.errors import SourceError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.sequence import Sequence, SourceFile
from flowreel.schemas.spec import SourceSpec
from flowreel.schemas.training import TrainSpec
from flowreel.schemas.training_data import TrainSourceSpec

__all__ = ["TrainingData", "TrainingFrame", "TrainingSequence", "TrainingSource", "open_data", "open_source"]

Progress = Callable[[int, int], None]


def open_data(spec: TrainSpec, progress: Progress | None = None) -> TrainingData:
    """Lists and checks a spec's data.

    What was read is remembered in the run's storage (``spec.output``), so that unchanged files are only listed the next
    time. ``progress(done, total)`` counts files that must be read. Raises SourceError if there are no frames at all,
    StorageError if something cannot be read, UsageError for an invalid label space, remap or dataset. All else becomes
    one of the ``problems``.
    """
    found = _of_folders(spec, progress) if spec.every_source else [_of_dataset(spec)]
    weights = tuple(source.weight for source in spec.sources) or (1.0,)
    data = TrainingData(tuple(_numbered(source, i) for i, source in enumerate(found)), weights, ())
    problems = (
        *spec_problems(spec, data.space),
        *hold_out_problems(spec, data.sequences),
        *(
            f"sources.{i}: all its sequences are held out"
            for i, s in enumerate(found)
            if len(found) > 1 and not s.trained
        ),
        *(problem for source in found for problem in source.problems),
        *length_problems(spec, data.trained, held_out=False),
        *length_problems(spec, data.held_out, held_out=True),
    )
    return replace(data, problems=problems)


def open_source(spec: TrainSpec, progress: Progress | None = None) -> TrainingSource:
    """Does `open_data` for a spec with one source, and gives that one with all problems."""
    data = open_data(spec, progress)
    return replace(data.sources[0], problems=data.problems)


def _numbered(source: TrainingSource, number: int) -> TrainingSource:
    return replace(source, sequences=tuple(replace(s, source=number) for s in source.sequences))


def _of_dataset(spec: TrainSpec) -> TrainingSource:
    assert spec.dataset is not None  # the spec's validator ensures it
    uri, number = split_uri(spec.dataset)
    version = open_version(open_store(uri, spec.storage_options), number)
    space = LabelSpace.model_validate(version.record.label_space)
    sequences, problems = published_sequences(version, space)
    published_spec = version.record.spec
    instances = published_spec.output.instances and published_spec.source.has_instances
    return TrainingSource(version.dataset, sequences, space, {}, spec.data.hold_out, instances, problems)


def _of_folders(spec: TrainSpec, progress: Progress | None) -> list[TrainingSource]:
    """Opens all sources, and remembers their files."""
    run = open_store(spec.output, spec.storage_options)
    known = load_index(run)
    found = [_of_folder(source, spec, run, known, progress) for source in spec.every_source]
    together = pa.concat_tables([facts for _, facts in found])
    if not together.equals(known):
        save_index(run, together)
        if len(found) == 1:  # the paths of members are below one root: several sources' would be mixed up
            keep_members(run, found[0][0].store)
    return [source for source, _ in found]


def _of_folder(
    source: SourceSpec, spec: TrainSpec, run: Store, known: pa.Table, progress: Progress | None
) -> tuple[TrainingSource, pa.Table]:
    """Opens a source, and gives the facts of its files. ``known``: of files (INDEX), as earlier runs have noted them;
    ``run``: where they have noted those of containers."""
    assert source.images is not None
    options = spec.source_options(source)
    store = open_store(source.uri, options)
    space = open_label_space(source.label_space_name, options)
    try:
        remap_table(source.classes_of_ids, space)
    except ValueError as error:
        raise UsageError(f"source.remap: {error}") from None
    store = with_members(store, source, partial(load_members, run), source.images)
    decoder = open_decoder(source, space, options)
    catalog = find_sequences(store, source, space, known, spec.data.size, progress, decoder)
    listing = list_matching(store, [source.images])
    (images,) = listing.tables
    if not len(images):
        raise SourceError(nothing_found(store, "images", source.images, listing.skipped))
    facts, _ = read_facts(store, [(images, "image")], known, progress)

    pictures = _of_chosen(_pictures(images, facts), catalog, source)
    problems = (*catalog.problems, *picture_problems(catalog.sequences, pictures))
    sequences = tuple(_sequence(s, pictures.get(s.sequence_id, {})) for s in catalog.sequences)
    points = source if source.kind in ("pose", "face") else None
    if points and not problems:
        sequences = tuple(
            _with_crops(sequence, sequence_crops(store, points, found.frames, spec.data.size))
            for sequence, found in zip(sequences, catalog.sequences, strict=True)
        )
    if isinstance(source, TrainSourceSpec) and source.stills:
        sequences = tuple(still for sequence in sequences for still in _stills(sequence))
    remap, held, instances = source.classes_of_ids, spec.data.hold_out, source.has_instances
    opened = TrainingSource(store, sequences, space, remap, held, instances, problems, points, decoder)
    return opened, pa.concat_tables([catalog.facts, facts])


def _stills(sequence: TrainingSequence) -> Iterator[TrainingSequence]:
    """Yields each frame as a sequence of its own, of the same scene."""
    for frame in sequence.frames:
        yield replace(sequence, name=f"{sequence.name}/{frame.name}", frames=(frame,))


def _with_crops(sequence: TrainingSequence, crops: list[Crop]) -> TrainingSequence:
    frames = (replace(frame, crop=crop) for frame, crop in zip(sequence.frames, crops, strict=True))
    return replace(sequence, frames=tuple(frames))


def _pictures(images: pa.Table, facts: pa.Table) -> dict[str, dict[str, Picture]]:
    """Gives images by sequence and frame; ``facts``: row by row of these files."""
    found = defaultdict[str, dict[str, Picture]](dict)
    for file, fact in zip(images.to_pylist(), facts.to_pylist(), strict=True):
        source_file = SourceFile(file["path"], fact["digest"].hex())
        found[file["sequence"]][file["frame"]] = Picture(source_file, (fact["width"], fact["height"]), fact["error"])
    return found


def _of_chosen(
    pictures: dict[str, dict[str, Picture]], catalog: Catalog, source: SourceSpec
) -> dict[str, dict[str, Picture]]:
    """Gives the images of the sequences that were chosen or cut out of others; all, where none was."""
    if not catalog.left_out and catalog.sequences.recordings is None:
        return pictures
    found, template = {}, Template(source.frames)
    for sequence in catalog.sequences:
        match = template.match(sequence.frames[0].label.path)
        of_name = pictures.get(match[0], {}) if match else {}
        found[sequence.sequence_id] = {f.name: of_name[f.name] for f in sequence.frames if f.name in of_name}
    return found


def _sequence(labelled: Sequence, pictures: dict[str, Picture]) -> TrainingSequence:
    """Pairs frames that have both map and image; others are among the problems."""
    frames = (
        TrainingFrame(f.name, f.label, pictures[f.name].file, f.instance, f.guide)
        for f in labelled.frames
        if f.name in pictures
    )
    return TrainingSequence(labelled.sequence_id, labelled.sequence_id, labelled.size, tuple(frames))
