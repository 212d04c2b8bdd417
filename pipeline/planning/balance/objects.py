"""Finds objects of a class in sequences, for use in others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits.instances import no_instance
from flowreel.pipeline.edits.maps import Maps
from flowreel.pipeline.planning.spans import Spans
from flowreel.pipeline.render.fetch import fetch_maps
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.edit import Insert

SPANS = 6  # searched: those that show most of the class
FRAMES = 120  # of each at most
OBJECTS = 8
SHIFTS = (0.0, -0.15, 0.15)  # of the frame's width, in turn: not all stand at one place


def find_objects(label: int, job: RenderJob, spans: Spans, share_P: NDArray[np.float64]) -> list[Insert]:
    """Gives edits that insert objects of class ``label`` into a clip, those that cover most first; all of a sequence at
    once where instance maps do not tell them apart.

    Empty where no sequence with instance maps shows any. ``share_P``: how much of the class each span shows.
    """
    found: list[tuple[float, str, int, int]] = []
    whole_class: list[tuple[str, int, str]] = []
    for span in np.argsort(-share_P, kind="stable")[:SPANS].tolist():
        if share_P[span] <= 0:
            break
        s, start = int(spans.sequence_P[span]), int(spans.start_P[span])
        frames = spans.sequences.frames(s, start, start + min(FRAMES, int(spans.frames_P[span])))
        if not all(frame.instance for frame in frames):
            continue
        name = spans.sequences.ids[s].as_py()
        maps = fetch_maps(frames, job, instances=True)
        whole_class.append((name, start, job.space.by_id[label].name))
        found += [(-cover, name, start + first, instance) for cover, first, instance in _tracks(maps, label)]
    best = [(name, first, instance) for _, name, first, instance in sorted(found)[:OBJECTS]] or whole_class
    edits = (
        {"insert": instance, "from": name, "first": first, "by": (SHIFTS[k % len(SHIFTS)], 0.0)}
        for k, (name, first, instance) in enumerate(best)
    )
    return [Insert.model_validate(edit) for edit in edits]


def _tracks(maps: Maps, label: int) -> Iterator[tuple[float, int, int]]:
    """Yields (pixels of the class per frame, first frame, id) of each object that is mostly of the class."""
    assert maps.instance_THW is not None
    of_class = maps.label_THW == label
    ids, counts = np.unique(maps.instance_THW[of_class], return_counts=True)
    for instance, count in zip(ids.tolist(), counts.tolist(), strict=True):
        is_it = maps.instance_THW == instance
        if instance == no_instance(maps.instance_THW) or count * 2 < is_it.sum():
            continue
        first = int(np.flatnonzero((is_it & of_class).any(axis=(1, 2)))[0])
        yield count / len(is_it), first, instance
