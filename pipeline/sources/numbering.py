"""Finds where the numbering of a sequence's frames breaks: other recordings, gaps, numbers given twice, copies.

Frames of one recording share their name but for the number, which rises evenly. Names without a number are taken as
they come.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_NUMBER = r"\A(?P<before>(?s:.*?))(?P<digits>[0-9]+)(?P<after>[^0-9]*)\z"  # the last number of a name
_TAIL = r"\A(?s:.*)[0-9](?s:.*?)(?P<tail>[A-Za-z]+[0-9]+[^0-9]*)\z"  # digits that stand within a word
_DIGITS = 18  # an int64 always holds that many
_NO_STEP = np.iinfo(np.int64).max
_UNEVEN = 1.5  # times the usual step; beyond, frames are missing
_COPY = re.compile(
    r"(?i)(?:copy of|kopie von) (?P<plain>.+)"
    r"|(?P<name>.+?)(?: ?\(\d+\)| ?[-_ ] ?(?:copy|kopie|copie|copia)(?: \(?\d+\)?)?| \(copy(?: \d+)?\)|(?<=\d) [2-9])"
)
_SECONDS = re.compile(r"(.*?)(1[0-9]{9})[._]([0-9]{9}|[0-9]{6}|[0-9]{3})")  # since 1970, with a fraction
_DATE = re.compile(r"(.*?)((?:19|20)\d\d)-?(\d\d)-?(\d\d)[T_ -]?(\d\d)[-_:.]?(\d\d)[-_:.]?(\d\d)(?:[-_.,](\d{1,9}))?Z?")


class Number(NamedTuple):
    """The last number of a name, with what stands before and after it."""

    before: str
    value: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where frames do not follow on each other."""

    at: int  # the first frame after it
    missing: int  # frames between it and the one before; 0: another recording begins


@dataclass(frozen=True)
class Breaks:
    """What breaks the numbering of a sequence's frames, which are counted in natural order."""

    cuts: tuple[Cut, ...] = ()
    twice: tuple[tuple[int, int], ...] = ()  # frames with the same number
    copies: tuple[tuple[int, int], ...] = ()  # a frame, and the one whose file it seems to be a copy of


@dataclass(frozen=True)
class Numbering:
    """The breaks of those sequences that have any, by their index."""

    breaks: Mapping[int, Breaks] = field(default_factory=dict)


def numbering_of(names: pa.Array, first_S1: NDArray[np.int64], step: int | None) -> Numbering:
    """Finds the breaks of all sequences. ``step``: from one frame number to the next; None: as the numbers say."""
    found = {}
    for s in np.flatnonzero(_uneven(names, first_S1, step)).tolist():
        found[s] = _breaks(names.slice(first_S1[s], first_S1[s + 1] - first_S1[s]).to_pylist(), step)
    return Numbering({s: breaks for s, breaks in found.items() if breaks != Breaks()})


def _common_tail(names: pa.Array) -> str:
    """Gives what all names end with where it holds digits that count nothing, such as the 8 of `_leftImg8bit`."""
    tails = pc.unique(pc.struct_field(pc.extract_regex(names, _TAIL), "tail"))
    return str(tails[0].as_py()) if len(tails) == 1 and tails[0].is_valid else ""


def _uneven(names: pa.Array, first_S1: NDArray[np.int64], step: int | None) -> NDArray[np.bool_]:
    """Tells for each sequence whether its names fail to be one text with a number that rises by one step."""
    if tail := _common_tail(names):
        names = pc.utf8_slice_codeunits(names, 0, -len(tail))
    parts = pc.extract_regex(names, _NUMBER)
    digits, around = pc.struct_field(parts, "digits"), [pc.struct_field(parts, name) for name in ("before", "after")]
    rest = pc.binary_join_element_wise(*around, pa.scalar("\0", names.type)).dictionary_encode()
    long = pc.fill_null(pc.greater(pc.binary_length(digits), _DIGITS), False)
    number = pc.fill_null(pc.if_else(long, None, digits).cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    group = pc.fill_null(rest.indices, -1).to_numpy(zero_copy_only=False)
    rises = np.diff(number, append=0)
    same = np.append(group[:-1] == group[1:], True)
    last = first_S1[1:] - 1
    same[last] = True
    counts = same & (group >= 0)
    counts[last] = False
    first = first_S1[:-1]
    least = np.minimum.reduceat(np.where(counts, rises, _NO_STEP), first)
    most = np.maximum.reduceat(np.where(counts, rises, -_NO_STEP), first)
    within = most <= _UNEVEN * step if step else True
    even = (most == -_NO_STEP) | ((least == most) & (least > 0) & within)
    return ~even | np.logical_or.reduceat(np.asarray(long), first) | ~np.logical_and.reduceat(same, first)


def _breaks(names: list[str], step: int | None) -> Breaks:
    """Finds the breaks of one sequence."""
    copies = copies_in(names)
    strays = {i for i, _ in copies}
    kept = [i for i in range(len(names)) if i not in strays]
    tail = _common_tail(pa.array([names[i] for i in kept], pa.string()))
    numbers = [number_of(names[i].removesuffix(tail)) for i in kept]
    cuts, twice = _steps(numbers, step)
    if any(not cut.missing for cut in cuts) and (times := _times([names[i] for i in kept])):
        in_time, _ = _steps(times, None)
        if not in_time:  # the seconds change, as they do in one recording
            cuts, twice = in_time, []
    return Breaks(
        tuple(Cut(kept[cut.at], cut.missing) for cut in cuts), tuple((kept[a], kept[b]) for a, b in twice), copies
    )


def _steps(numbers: Sequence[Number | None], step: int | None) -> tuple[list[Cut], list[tuple[int, int]]]:
    """Gives the cuts between numbers in order, and pairs of frames with the same number."""
    steps = [(i + 1, _rise(a, b)) for i, (a, b) in enumerate(pairwise(numbers)) if a or b]
    rising = [rise for _, rise in steps if rise and rise > 0]
    least = min(rising, default=1)
    usual = step or (least if all(rise % least == 0 for rise in rising) else median_low(rising))
    cuts = [
        Cut(at, 0 if rise is None else max(1, round(rise / usual) - 1))
        for at, rise in steps
        if rise is None or rise > _UNEVEN * usual
    ]
    return cuts, [(at - 1, at) for at, rise in steps if rise == 0]


def _rise(a: Number | None, b: Number | None) -> int | None:
    """Gives by how much a number rises; None where other text changes too, unless the number stays the same."""
    if not a or not b or a.before != b.before or (a.after != b.after and a.value != b.value):
        return None
    return b.value - a.value


def number_of(name: str) -> Number | None:
    """Splits a frame name at its last number; None if it has none."""
    found = re.fullmatch(r"(?s)(.*?)([0-9]+)([^0-9]*)", name)
    return Number(found[1], int(found[2]), found[3]) if found else None


def copies_in(names: list[str]) -> tuple[tuple[int, int], ...]:
    """Finds names that file managers give to copies, such as `x (1)`, `x copy` and `Copy of x`, beside their `x`."""
    place = {name: i for i, name in enumerate(names)}
    found = []
    for i, name in enumerate(names):
        if (copy := _COPY.fullmatch(name)) and (copy["plain"] or copy["name"]) in place:
            found.append((i, place[copy["plain"] or copy["name"]]))
    return tuple(found)


def _times(names: list[str]) -> list[Number] | None:
    """Reads names as times in nanoseconds, each with what stands before; None unless all are times."""
    found: list[Number] = []
    for name in names:
        if seconds := _SECONDS.fullmatch(name):
            found.append(Number(seconds[1], int(seconds[2]) * 10**9 + int(seconds[3].ljust(9, "0"))))
        elif date := _DATE.fullmatch(name):
            try:
                day = datetime(*(int(part) for part in date.groups()[1:7]), tzinfo=UTC)  # type: ignore[misc, arg-type]
            except ValueError:
                return None
            found.append(Number(date[1], int(day.timestamp()) * 10**9 + int((date[8] or "").ljust(9, "0"))))
        else:
            return None
    return found
