"""Problems of a sequence, in words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from unicodedata import is_normalized, normalize

from flowreel.pipeline.sources.numbering import Breaks, number_of
from flowreel.schemas.template import SEQUENCE


@dataclass(frozen=True, slots=True)
class File:
    """What the checks know of one map of a sequence."""

    path: str
    size: tuple[int, int]  # width, height
    error: str


def sequence_problems(name: str, frames: Mapping[str, File], paired: Mapping[str, File] | None) -> Iterator[str]:
    """Yields broken files, sizes that differ and missing instance maps of one sequence.

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
    if paired is not None:
        missing = [k for k in ordered if k not in paired]
        if missing:
            yield (
                f"sequence '{name}': no instance map for {len(missing)} of {len(ordered)} frames, first '{missing[0]}';"
                " add them, or leave source.instances out"
            )
        yield from (
            f"{paired[k].path}: instance map without a label map{written_otherwise(k, missing)}; add that, or remove it"
            for k in paired
            if k not in frames
        )


def numbering_problems(name: str, paths: list[str], names: list[str], breaks: Breaks, template: str) -> Iterator[str]:
    """Yields what breaks the numbering of a sequence: ``paths`` and ``names`` of its frames in natural order.

    ``template``: of the paths, from which the one to write instead follows.
    """
    for i, of in breaks.copies:
        yield f"{paths[i]}: looks like a copy of {paths[of]}; remove it"
    for a, b in breaks.twice:
        if names[a] == names[b]:
            yield f"{paths[a]} and {paths[b]} are the same frame of sequence '{name}'; remove one of them"
        else:
            yield (
                f"sequence '{name}': frames '{names[a]}' and '{names[b]}' have the same number; is one of them"
                " a stray copy? Remove it"
            )
    others = [cut.at for cut in breaks.cuts if not cut.missing]
    if others:
        at, length = others[0], len(names)
        yield (
            f"sequence '{name}': not one recording but {len(others) + 1}: after '{names[at - 1]}' comes '{names[at]}';"
            f" {_way_out(template, names[at - 1], names[at], stills=len(others) + 1 == length)}"
        )
    for cut in breaks.cuts:
        if cut.missing:
            yield (
                f"sequence '{name}': {_count(cut.missing)} missing between '{names[cut.at - 1]}' and '{names[cut.at]}';"
                " add them, or set source.gaps: split (or hold, for gaps within a second)"
            )


def _way_out(template: str, last: str, frame: str, *, stills: bool) -> str:
    """Says how to write the template so that recordings whose files share a folder become sequences of their own."""
    folder, _, name = template.rpartition("/")
    before, earlier = number_of(frame), number_of(last)
    if before and earlier and before.before == earlier.before and earlier.after and "*" in name:
        one = f"{folder}/{name.replace('*', f'*{earlier.after}')}"
        return f"write the template of one kind as '{one}', or set source.gaps: split"
    between = before.before[-1:] if before and not before.before[-1:].isalnum() else ""
    if not folder.endswith(SEQUENCE) or not name.startswith("*") or not (between or stills):
        return "set source.gaps: split, which makes each a sequence"
    better = f"{folder}{between}{name}" if between else f"{folder}{name[1:]}"
    return f"write the template as '{better}', or set source.gaps: split"


def written_otherwise(name: str, others: Iterable[str]) -> str:
    """Says that one of the others looks the same but is another name, as accents may be written in two ways (NFC, as
    most systems have it, and NFD, as macOS does); empty if none does."""
    if name.isascii():
        return ""
    looks = normalize("NFC", name)
    twin = next((other for other in others if other != name and normalize("NFC", other) == looks), None)
    if twin is None:
        return ""
    return f": its name is in Unicode's {_form(name)}, '{twin}' in {_form(twin)}, so they are not the same name"


def _form(name: str) -> str:
    """Names the form that a text is in."""
    return next((form for form in ("NFC", "NFD") if is_normalized(form, name)), "a mixed form")


def _count(frames: int) -> str:
    """Says how many frames, with the right plural."""
    return f"{frames} frame{'' if frames == 1 else 's'}"
