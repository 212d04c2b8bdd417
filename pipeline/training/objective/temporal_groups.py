"""Chooses the frames of a clip that are judged together, at several time scales. Numbers only: frames count from 0 in a
clip.

At time scale s (0: neighbours) frames are n_D^s apart. Two rules: dense (every chunk judges groups that end in its own
frames) and sparse (frames are collected over chunks, so that a group of a coarse scale is judged once).
"""

from flowreel.schemas.training import DiscriminatorSpec

Group = tuple[int, ...]  # n_D frame numbers, oldest first
Stores = tuple[tuple[int, ...], ...]  # frames that later chunks may need, ascending; sparse: one store per time scale


def choose(stores: Stores, new: range, spec: DiscriminatorSpec) -> tuple[list[list[Group]], Stores]:
    """Chooses groups of a chunk per time scale, finest first, up to the last one that has any; and gives the stores
    after it.

    ``new``: the chunk's frames, which follow those of earlier chunks. ``stores``: () before the first chunk.
    """
    if not spec.temporal_scales:
        return [], ()
    groups, stores = (_sparse if spec.sparse else _dense)(stores, new, spec)
    first_empty = next((s for s, found in enumerate(groups) if not found), len(groups))
    return groups[:first_empty], stores


def _dense(stores: Stores, new: range, spec: DiscriminatorSpec) -> tuple[list[list[Group]], Stores]:
    n = spec.temporal_frames
    stored = [*(stores[0] if stores else ()), *new]
    groups: list[list[Group]] = []
    for s in range(spec.temporal_scales):
        step = n**s
        span = step * (n - 1)
        newest = range(0, min(len(stored) - span, len(new)), n)  # of each group, counted from the end
        groups.append([tuple(stored[-1 - t - span + k * step] for k in range(n)) for t in newest])
    longest = n ** (spec.temporal_scales - 1) * (n - 1)
    return groups, (tuple(stored[-longest:]),)


def _sparse(stores: Stores, new: range, spec: DiscriminatorSpec) -> tuple[list[list[Group]], Stores]:
    n, groups, after = spec.temporal_frames, [], []
    for s in range(spec.temporal_scales):
        stored = list(stores[s]) if stores else []
        if len(stored) % n == 0:  # these were judged
            stored = stored[len(stored) - (n - 1) :] if stored else []
        stored += [number for number in new if number % n**s == 0]
        found: list[Group] = []
        if len(stored) >= n:
            stored = stored[len(stored) % n :]
            found = [tuple(stored[i : i + n]) for i in range(0, len(stored), n)]
        groups.append(found)
        after.append(tuple(stored))
    return groups, tuple(after)
