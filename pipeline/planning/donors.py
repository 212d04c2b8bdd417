"""Finds the sequences that edits take objects from; their fingerprints become part of clip ids."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from flowreel.pipeline.edits import Ids, Maps
from flowreel.pipeline.edits.instances import no_instance
from flowreel.pipeline.render.fetch import fetch_maps
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.clip import Donor
from flowreel.schemas.edit import Insert
from flowreel.schemas.errors import UsageError
from flowreel.schemas.sequence import Frame, Sequences
from flowreel.schemas.spec import Spec

LONGEST = 300  # frames to take where clips are whole sequences: each clip reads them again


def donors_of(job: RenderJob, sequences: Sequences) -> dict[Insert, Donor]:
    """Gives for every `insert` of the spec the frames that its object is extracted from, with their fingerprints.

    Raises UsageError for a sequence that does not exist, is too short, has no instance maps or lacks the object.
    """
    found: dict[Insert, Donor] = {}
    spec = job.spec
    for i, variant in enumerate(spec.variants):
        for k, edit in enumerate(variant.edits):
            if isinstance(edit, Insert) and edit not in found:
                place = f"variants[{i}].edits[{k}]"
                _check_sequence(edit, place, spec, sequences)
                found[edit] = Donor(edit.from_, frames_of(edit, spec, sequences))
                if not all(frame.instance for frame in found[edit].frames):
                    raise UsageError(
                        f"{place}: sequence '{edit.from_}' lacks instance maps, so no object can be extracted"
                    )
                _check_there(edit, found[edit], place, job)
    return found


def frames_of(edit: Insert, spec: Spec, sequences: Sequences) -> Sequence[Frame]:
    """Gives the donor's frames: from the edit's first one on, as many as a clip may have."""
    s = pc.index(sequences.ids, edit.from_).as_py()
    stop = min(int(sequences.length_S[s]), edit.first + (spec.clips.frames or LONGEST))
    return sequences.frames(s, edit.first, stop)


def _check_sequence(edit: Insert, place: str, spec: Spec, sequences: Sequences) -> None:
    s = pc.index(sequences.ids, edit.from_).as_py()
    if s < 0:
        some = ", ".join(sequences.ids.slice(0, 5).to_pylist())
        raise UsageError(f"{place}: there is no sequence '{edit.from_}' in {spec.source.place}; it has {some}, ...")
    length = int(sequences.length_S[s])
    if edit.first >= length:
        raise UsageError(f"{place}: sequence '{edit.from_}' has {length} frames; first {edit.first} must be below")


def _check_there(edit: Insert, donor: Donor, place: str, job: RenderJob) -> None:
    """Reads frames until the object is in sight. Raises UsageError, naming objects there are, if it never is."""
    seen: dict[int, int] = {}
    for frame in donor.frames:
        (label_HW,), (instance_HW,) = _whole(fetch_maps([frame], job, instances=True))
        if isinstance(edit.insert, str) and (label_HW == job.space.resolve(edit.insert)).any():
            return
        thing_HW = np.isin(label_HW, list(job.space.things)) & (instance_HW != no_instance(instance_HW))
        ids, counts = np.unique(instance_HW[thing_HW], return_counts=True)
        if edit.insert in ids:
            return
        for instance, count in zip(ids.tolist(), counts.tolist(), strict=True):
            seen[instance] = seen.get(instance, 0) + count
    where = f"frames {edit.first}..{edit.first + len(donor.frames) - 1} of sequence '{edit.from_}'"
    if isinstance(edit.insert, str):
        raise UsageError(f"{place}: no {edit.insert} in {where}; `first` says where to begin")
    largest = ", ".join(str(i) for i in sorted(seen, key=lambda i: -seen[i])[:5])
    raise UsageError(f"{place}: no object {edit.insert} in {where}; it has {largest or 'none'}")


def _whole(maps: Maps) -> tuple[Ids, Ids]:
    """Gives both maps."""
    assert maps.instance_THW is not None
    return maps.label_THW, maps.instance_THW
