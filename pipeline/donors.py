"""Sequences that edits take objects from: found when planning, so that a change of theirs renders clips again."""

import numpy as np
from numpy.typing import NDArray

from pipeline.codec import decode_ids
from pipeline.edits import remap_table
from pipeline.edits.maps import no_instance
from pipeline.source_file import read_unchanged
from pipeline.storage import Store
from schemas.edit import Insert
from schemas.errors import UsageError
from schemas.label_space import LabelSpace
from schemas.plan import Donor
from schemas.sequence import Sequences
from schemas.spec import Spec

LONGEST = 300  # frames that are taken where clips are whole sequences: each clip reads them again


def donors_of(spec: Spec, sequences: Sequences, source: Store, space: LabelSpace) -> dict[Insert, Donor]:
    """For every `insert` of the spec the frames that its object is cut from, with their fingerprints.

    Raises UsageError for a sequence that is not there, is too short, has no instance maps or lacks the object.
    """
    places = {name: s for s, name in enumerate(sequences.ids.to_pylist())}
    found: dict[Insert, Donor] = {}
    for i, variant in enumerate(spec.variants):
        for k, edit in enumerate(variant.edits):
            if isinstance(edit, Insert) and edit not in found:
                place = f"variants[{i}].edits[{k}]"
                found[edit] = _donor(edit, place, spec, sequences, places)
                _check_there(edit, found[edit], place, source, space, remap_table(spec.source.remap, space))
    return found


def _donor(edit: Insert, place: str, spec: Spec, sequences: Sequences, places: dict[str, int]) -> Donor:
    if edit.from_ not in places:
        some = ", ".join(list(places)[:5])
        raise UsageError(f"{place}: there is no sequence '{edit.from_}' below {spec.source.uri}; it has {some}, ...")
    s = places[edit.from_]
    length = int(sequences.length_S[s])
    if edit.first >= length:
        raise UsageError(f"{place}: sequence '{edit.from_}' has {length} frames; first {edit.first} must be below")
    stop = min(length, edit.first + (spec.clips.frames or LONGEST))
    frames = sequences.frames(s, edit.first, stop)
    if not all(frame.instance for frame in frames):
        raise UsageError(f"{place}: sequence '{edit.from_}' lacks instance maps, so that nothing can be cut out of it")
    return Donor(edit.from_, frames)


def _check_there(
    edit: Insert, donor: Donor, place: str, source: Store, space: LabelSpace, table: NDArray[np.uint16]
) -> None:
    """Reads frames until the object is in sight."""
    seen: dict[int, int] = {}
    for frame in donor.frames:
        assert frame.instance is not None
        label_HW, instance_HW = (decode_ids(read_unchanged(source, file)) for file in (frame.label, frame.instance))
        thing_HW = np.isin(table[label_HW], list(space.things)) & (instance_HW != no_instance(instance_HW))
        ids, counts = np.unique(instance_HW[thing_HW], return_counts=True)
        if edit.insert in ids:
            return
        for instance, count in zip(ids.tolist(), counts.tolist(), strict=True):
            seen[instance] = seen.get(instance, 0) + count
    largest = ", ".join(str(i) for i in sorted(seen, key=lambda i: -seen[i])[:5])
    raise UsageError(
        f"{place}: no object {edit.insert} in frames {edit.first}..{edit.first + len(donor.frames) - 1} of sequence"
        f" '{edit.from_}'; it has {largest or 'no objects there'}"
    )
