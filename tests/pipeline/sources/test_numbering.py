"""Where the numbering of frames breaks, over many ways in which frames are named."""

import numpy as np
import pyarrow as pa
import pytest

from flowreel.pipeline.sources.frame_order import natural_order
from flowreel.pipeline.sources.numbering import Breaks, Cut, number_of, numbering_of

CITY = [f"aachen_{s:06}_{t:06}" for s in range(3) for t in range(4)]
SECONDS = ["1403636579.763555584", "1403636579.963555584", "1403636580.163555584", "1403636580.363555584"]


def breaks(names: list[str], step: int | None = None) -> Breaks:
    column = pa.array(names, pa.large_string())
    ordered = column.take(pa.array(natural_order(column)))
    assert ordered.to_pylist() == names, "the test's names are not in natural order"
    return numbering_of(ordered, np.array([0, len(names)]), step).breaks.get(0, Breaks())


@pytest.mark.parametrize(
    "names",
    [
        *(["0", "1", "2"], ["5", "10", "15"], ["f8", "f9", "f10"], ["7"], ["a", "b", "d"]),
        [f"{t:06}_leftImg8bit" for t in range(4)],
        [f"aachen_000000_{t:06}_gtFine_v2" for t in range(4)],
        [f"n015-2018-07-24-11-22-45+0800__CAM_FRONT__15324029276{t}2460" for t in range(4)],
        ["1000", "1033", "1067", "1100"],
        SECONDS,
        [text.replace(".", "_") for text in SECONDS],
        ["2011-09-26T13-02-59.800", "2011-09-26T13-02-59.900", "2011-09-26T13-03-00.000", "2011-09-26T13-03-00.100"],
        [f"frame ({t})" for t in range(1, 4)],
        ["9" * 30],
    ],
)
def test_one_recording_has_no_breaks(names: list[str]) -> None:
    assert breaks(names) == Breaks()


@pytest.mark.parametrize(
    ("names", "cuts"),
    [
        (CITY, [(4, 0), (8, 0)]),
        (CITY[::4], [(1, 0), (2, 0)]),
        (["0", "1", "4"], [(2, 2)]),
        (["10", "20", "50"], [(2, 2)]),
        (["000000_10", "000001_10", "000002_10"], [(1, 0), (2, 0)]),
        (["000d4f89-3bcbe37a", "0000f77c-6257be58"], [(1, 0)]),
        (["0", "1", "preview"], [(2, 0)]),
        (["0_left", "1_left", "2_right", "3_right"], [(2, 0)]),
        (["0_left", "1_right", "2_left"], [(1, 0), (2, 0)]),
        (["2011-09-26T13-02-25", "2011-09-26T13-02-26", "2011-09-26T13-05-00", "2011-09-26T13-05-01"], [(2, 0)]),
        ([f"cam{c}_{t}" for c in (1, 2) for t in (1, 2, 4)], [(2, 1), (3, 0), (5, 1)]),
    ],
)
def test_other_recordings_and_gaps_are_cuts(names: list[str], cuts: list[tuple[int, int]]) -> None:
    assert breaks(names).cuts == tuple(Cut(*cut) for cut in cuts)


def test_a_step_given_says_what_a_gap_is() -> None:
    names = ["294", "576", "796"]
    assert breaks(names).cuts == ()  # as far apart as frames of one recording may be
    assert [cut.at for cut in breaks(names, step=1).cuts] == [1, 2]
    assert breaks(["7959", "7961", "7963"], step=2).cuts == () and breaks(["1", "2"], step=2).cuts == ()


@pytest.mark.parametrize(
    "copy",
    ["3 (1)", "3(2)", "3 copy", "3 copy 2", "3 - Copy", "3 - Copy (2)", "3_copy", "3 - Kopie", "3 2", "3 (copy)"],
)
def test_copies_of_a_file_are_found_and_cut_nothing(copy: str) -> None:
    names = ["1", "2", "3", copy, "4"]
    assert breaks(names) == Breaks(copies=((3, 2),))


def test_a_copy_whose_name_comes_first_is_found() -> None:
    assert breaks(["1", "2", "Copy of 2"]) == Breaks(copies=((2, 1),))


def test_the_same_number_twice_is_no_cut() -> None:
    assert breaks(["01", "1", "2"]).twice == ((0, 1),)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("000012", ("", 12)),
        ("frame_7", ("frame_", 7)),
        ("aachen_000003_000019_x", ("aachen_000003_", 19)),
        ("0016E5_07959", ("0016E5_", 7959)),
        *(("first", None), ("", None)),
    ],
)
def test_the_last_number_of_a_name_counts(name: str, expected: tuple[str, int] | None) -> None:
    found = number_of(name)
    assert (found and found[:2]) == expected
