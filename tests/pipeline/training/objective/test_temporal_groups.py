"""Which frames temporal discriminators are shown."""

from itertools import pairwise

from flowreel.pipeline.training.objective.temporal_groups import Group, choose
from flowreel.schemas.training import DiscriminatorSpec


def groups(spec: DiscriminatorSpec, loads: int, size: int) -> list[list[list[Group]]]:
    """Of each load in turn."""
    found, stores = [], ()
    for load in range(loads):
        chosen, stores = choose(stores, range(load * size, (load + 1) * size), spec)
        found.append(chosen)
    return found


def test_dense_groups_end_in_the_load_and_leave_out_n_each() -> None:
    assert groups(DiscriminatorSpec(temporal_frames=3, temporal_scales=2), 3, 4) == [
        [[(1, 2, 3)]],
        [[(5, 6, 7), (2, 3, 4)], [(1, 4, 7)]],
        [[(9, 10, 11), (6, 7, 8)], [(5, 8, 11), (2, 5, 8)]],
    ]


def test_dense_groups_never_end_in_older_loads() -> None:
    spec = DiscriminatorSpec(temporal_frames=2, temporal_scales=3)
    for load, chosen in enumerate(groups(spec, 12, 3)):
        for s, found in enumerate(chosen):
            assert all(later - sooner == 2**s for group in found for sooner, later in pairwise(group))
            assert all(load * 3 <= group[-1] < load * 3 + 3 for group in found)


def test_only_frames_that_may_be_needed_are_stored() -> None:
    stores = ()
    for first in range(0, 40, 2):
        _, stores = choose(stores, range(first, first + 2), DiscriminatorSpec(temporal_frames=3, temporal_scales=2))
    assert stores == (tuple(range(34, 40)),)


def test_sparse_groups_are_collected_over_loads() -> None:
    spec = DiscriminatorSpec(temporal_frames=2, temporal_scales=3, sparse=True)
    assert groups(spec, 5, 2) == [
        [[(0, 1)]],
        [[(2, 3)], [(0, 2)]],
        [[(4, 5)], [(2, 4)], [(0, 4)]],
        [[(6, 7)], [(4, 6)]],
        [[(8, 9)], [(6, 8)], [(4, 8)]],
    ]


def test_sparse_loads_that_do_not_divide_evenly_drop_the_oldest() -> None:
    spec = DiscriminatorSpec(temporal_frames=3, temporal_scales=2, sparse=True)
    assert groups(spec, 4, 4) == [
        [[(1, 2, 3)]],
        [[(2, 3, 4), (5, 6, 7)], [(0, 3, 6)]],
        [[(6, 7, 8), (9, 10, 11)], [(3, 6, 9)]],
        [[(10, 11, 12), (13, 14, 15)], [(9, 12, 15)]],
    ]


def test_without_time_scales_there_is_nothing() -> None:
    assert choose((), range(3), DiscriminatorSpec(temporal_scales=0)) == ([], ())
