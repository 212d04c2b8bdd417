"""Problems of a sequence, in words."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from flowreel.pipeline.sources.template import number_of


@dataclass(frozen=True, slots=True)
class File:
    """What the checks know of one map of a sequence."""

    path: str
    size: tuple[int, int]  # width, height
    error: str


def sequence_problems(
    name: str, frames: Mapping[str, File], paired: Mapping[str, File] | None, numbered: bool = True
) -> Iterator[str]:
    """Yields broken files, sizes that differ, gaps and missing instance maps of one sequence.

    ``frames``: label maps by frame name in natural order; ``paired``: its instance maps, None if none are wanted.
    ``numbered``: no frame may be missing between two.
    """
    ordered = list(frames)
    entries = [frames[k] for k in ordered] + list((paired or {}).values())
    yield from (f"{e.path}: {e.error}" for e in entries if e.error)
    sizes = Counter(e.size for e in entries if not e.error)
    if len(sizes) > 1:
        usual = sizes.most_common(1)[0][0]
        other = [e for e in entries if not e.error and e.size != usual]
        for e in other:
            yield (
                f"{e.path}: size {e.size[0]}x{e.size[1]}, but sequence '{name}' is"
                f" {usual[0]}x{usual[1]}; label and instance maps of a sequence must have one size"
            )
    yield from _gaps(name, ordered) if numbered else ()
    if paired is not None:
        missing = [k for k in ordered if k not in paired]
        if missing:
            yield (
                f"sequence '{name}': no instance map for {len(missing)} of {len(ordered)} frames, first '{missing[0]}';"
                " add them, or leave source.instances out"
            )
        yield from (
            f"{paired[k].path}: instance map without a label map; add that, or remove it"
            for k in paired
            if k not in frames
        )


def _gaps(name: str, ordered: list[str]) -> Iterator[str]:
    """Yields gaps between neighbours: frame numbers must rise evenly, time stamps give or take half a step."""
    numbers = [number_of(k) for k in ordered]
    steps = [(b[1] - a[1], i) for i, (a, b) in enumerate(pairwise(numbers)) if a and b and a[0] == b[0]]
    rising = [step for step, _ in steps if step > 0]
    least = min(rising, default=1)
    usual = least if all(step % least == 0 for step in rising) else median_low(rising)
    for step, i in steps:
        if step == 0:
            yield (
                f"sequence '{name}': frames '{ordered[i]}' and '{ordered[i + 1]}' have the same number; is one of them"
                " a stray copy? Remove it"
            )
        if step > 1.5 * usual:
            yield (
                f"sequence '{name}': {_count(round(step / usual) - 1)} missing between '{ordered[i]}' and"
                f" '{ordered[i + 1]}'; add them, or split the sequence there"
            )


def _count(frames: int) -> str:
    """Says how many frames, with the right plural."""
    return f"{frames} frame{'' if frames == 1 else 's'}"
