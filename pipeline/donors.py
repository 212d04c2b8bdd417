"""Sequences that edits take objects from: found when planning, so that a change of theirs renders clips again."""

from schemas.edit import Insert
from schemas.errors import UsageError
from schemas.plan import Donor
from schemas.sequence import Sequences
from schemas.spec import Spec

LONGEST = 300  # frames that are taken where clips are whole sequences: each clip reads them again


def donors_of(spec: Spec, sequences: Sequences) -> dict[Insert, Donor]:
    """For every `insert` of the spec the frames that its object is cut from, with their fingerprints.

    Raises UsageError for a sequence that is not there, is too short or has no instance maps.
    """
    places = {name: s for s, name in enumerate(sequences.ids.to_pylist())}
    found: dict[Insert, Donor] = {}
    for i, variant in enumerate(spec.variants):
        for k, edit in enumerate(variant.edits):
            if isinstance(edit, Insert):
                found[edit] = _donor(edit, f"variants[{i}].edits[{k}]", spec, sequences, places)
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
