"""Objects of a class that sequences show, for use in others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits.instances import no_instance
from flowreel.pipeline.edits.maps import Maps
from flowreel.pipeline.planning.spans import Spans
from flowreel.pipeline.render.fetch import fetch_maps
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.edit import Insert

PIECES = 6  # looked through: those that show most of the class
FRAMES = 120  # of each at most
OBJECTS = 8
SHIFTS = (0.0, -0.15, 0.15)  # of the frame's width, in turn: not all stand at one place


def objects(label: int, job: RenderJob, pieces: Spans, share_P: NDArray[np.float64]) -> list[Insert]:
    """Edits that put objects of class ``label`` into a clip, those that cover most first; all of a sequence at once
    where instance maps do not tell them apart. Empty where no sequence with instance maps shows any. ``share_P``: how
    much of the class each piece shows."""
    found: list[tuple[float, str, int, int]] = []
    together: list[tuple[str, int, str]] = []
    for piece in np.argsort(-share_P, kind="stable")[:PIECES].tolist():
        if share_P[piece] <= 0:
            break
        s, start = int(pieces.sequence_P[piece]), int(pieces.start_P[piece])
        frames = pieces.sequences.frames(s, start, start + min(FRAMES, int(pieces.frames_P[piece])))
        if not all(frame.instance for frame in frames):
            continue
        name = pieces.sequences.ids[s].as_py()
        maps = fetch_maps(frames, job, instances=True)
        together.append((name, start, job.space.by_id[label].name))
        found += [(-cover, name, start + first, instance) for cover, first, instance in _tracks(maps, label)]
    best = [(name, first, instance) for _, name, first, instance in sorted(found)[:OBJECTS]] or together
    edits = (
        {"insert": instance, "from": name, "first": first, "by": (SHIFTS[k % len(SHIFTS)], 0.0)}
        for k, (name, first, instance) in enumerate(best)
    )
    return [Insert.model_validate(edit) for edit in edits]


def _tracks(maps: Maps, label: int) -> Iterator[tuple[float, int, int]]:
    """(pixels of the class from its first frame on, that frame, id) of each object that is mostly of the class."""
    assert maps.instance_THW is not None
    of_class = maps.label_THW == label
    ids, counts = np.unique(maps.instance_THW[of_class], return_counts=True)
    for instance, count in zip(ids.tolist(), counts.tolist(), strict=True):
        is_it = maps.instance_THW == instance
        if instance == no_instance(maps.instance_THW) or count * 2 < is_it.sum():
            continue
        first = int(np.flatnonzero((is_it & of_class).any(axis=(1, 2)))[0])
        yield count / len(is_it), first, instance
