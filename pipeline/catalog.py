"""Bucket -> sequences: lists by the templates, reads what is new, checks everything, reports every problem."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from pipeline.edits import remap_table
from pipeline.file_index import FileFacts, Role, inspect, key_of
from pipeline.storage import FileInfo, Store
from pipeline.template import Template, natural, number_of
from schemas.errors import SourceError
from schemas.label_space import LabelSpace
from schemas.sequence import Frame, Sequence, SourceFile
from schemas.spec import SourceSpec

READERS = 16  # requests under way at once
SHOWN = 12  # problems in a message: one screen
PLAN_LISTS_ALL = "`flowreel plan SPEC --json` lists all"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Catalog:
    """All sequences of a source, and what became known of its files."""

    sequences: tuple[Sequence, ...]  # in natural order of their ids
    problems: tuple[str, ...]  # each names sequence and frame; rendering must not start unless empty
    facts: dict[str, FileFacts]  # for the index
    read: int  # files that were read; the rest was known
    pixels: dict[int, int]  # class id -> pixels, after the remap

    def check(self) -> None:
        """Raises SourceError if there is any problem."""
        if self.problems:
            raise SourceError(problem_report(self.problems))


@dataclass(frozen=True)
class _Entry:
    """A listed file with what its bytes say."""

    info: FileInfo
    facts: FileFacts

    @property
    def file(self) -> SourceFile:
        return SourceFile(self.info.path, self.facts.digest)


Listed = dict[str, dict[str, FileInfo]]  # sequence -> frame name -> file


def scan(
    store: Store, source: SourceSpec, space: LabelSpace, known: dict[str, FileFacts], progress: Progress | None = None
) -> Catalog:
    """Lists and checks a source. ``known``: the index, so that unchanged files are not read again.

    Raises SourceError if there are no frames at all, StorageError if the source cannot be listed or read.
    """
    labels = listed(store, source.labels)
    if not labels:
        raise SourceError(nothing_found(store, "labels", source.labels))
    instances = listed(store, source.instances) if source.instances else {}
    wanted: list[tuple[FileInfo, Role]] = [(info, "label") for frames in labels.values() for info in frames.values()]
    wanted += [(info, "instance") for frames in instances.values() for info in frames.values()]
    facts, read = read_facts(store, wanted, known, progress)
    problems: list[str] = []
    pixels, unknown, sequences = Counter[int](), _UnknownIds(space), []
    table = remap_table(source.remap, space)
    for name in sorted(labels, key=natural):
        frames = {k: _Entry(i, facts[key_of(store.url(i.path), i, "label")]) for k, i in labels[name].items()}
        companions = instances.get(name, {})
        paired = {k: _Entry(i, facts[key_of(store.url(i.path), i, "instance")]) for k, i in companions.items()}
        problems += _sequence_problems(name, frames, paired if source.instances else None)
        problems += (f"{paired[k].info.path}: instance map without a label map" for k in paired if k not in frames)
        for entry in frames.values():
            for raw, count in zip(entry.facts.ids, entry.facts.counts, strict=True):
                pixels[int(table[raw])] += count
                unknown.see(entry.info.path, raw, int(table[raw]), count)
        sequences.append(_sequence(name, frames, paired))
    for name in sorted(instances.keys() - labels.keys(), key=natural):
        first = min(info.path for info in instances[name].values())
        problems.append(f"sequence '{name}': {len(instances[name])} instance maps, but no label map; first {first}")
    problems += unknown.problems()
    return Catalog(tuple(sequences), tuple(problems), facts, read, dict(pixels))


def problem_report(problems: tuple[str, ...], use: str = "rendered", hint: str = PLAN_LISTS_ALL) -> str:
    """One screen of problems; ``use``: what cannot be done with the source."""
    head = f"the source has {len(problems)} problem{'s' if len(problems) > 1 else ''} and cannot be {use}"
    lines = [head, *(f"  {p}" for p in problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f"  ... and {len(problems) - SHOWN} more: {hint}")
    return "\n".join(lines)


def listed(store: Store, text: str) -> Listed:
    """Files that match a template. Raises SourceError for names that are no text."""
    template, found = Template(text), defaultdict[str, dict[str, FileInfo]](dict)
    for info in store.list(template.prefix):
        if any("\udc80" <= c <= "\udcff" for c in info.path):
            raise SourceError(f"{store.uri}: the name of the file {info.path!r} is no valid UTF-8; rename it")
        matched = template.match(info.path)
        if matched:
            sequence, frame = matched
            found[sequence][frame] = info
    return found


def read_facts(
    store: Store, wanted: list[tuple[FileInfo, Role]], known: dict[str, FileFacts], progress: Progress | None
) -> tuple[dict[str, FileFacts], int]:
    """Facts of all wanted files by their keys, and how many had to be read."""
    keys = [key_of(store.url(info.path), info, role) for info, role in wanted]
    facts = {key: known[key] for key in keys if key in known}
    new = [(key, info, role) for key, (info, role) in zip(keys, wanted, strict=True) if key not in facts]

    def one(item: tuple[str, FileInfo, Role]) -> tuple[str, FileFacts]:
        key, info, role = item
        return key, inspect(store.read(info.path, size=info.size), role)

    with ThreadPoolExecutor(READERS) as pool:
        for done, (key, found) in enumerate(pool.map(one, new), start=1):
            facts[key] = found
            if progress:
                progress(done, len(new))
    return facts, len(new)


def _sequence(name: str, frames: dict[str, _Entry], paired: dict[str, _Entry]) -> Sequence:
    ordered = sorted(frames, key=natural)
    size = next(((e.facts.width, e.facts.height) for e in frames.values() if not e.facts.error), (0, 0))
    return Sequence(
        name, size, tuple(Frame(k, frames[k].file, paired[k].file if k in paired else None) for k in ordered)
    )


def _sequence_problems(name: str, frames: dict[str, _Entry], paired: dict[str, _Entry] | None) -> Iterator[str]:
    """Broken files, sizes that differ, gaps, missing instance maps of one sequence."""
    ordered = sorted(frames, key=natural)
    entries = [frames[k] for k in ordered] + list((paired or {}).values())
    yield from (f"{e.info.path}: {e.facts.error}" for e in entries if e.facts.error)
    sizes = Counter((e.facts.width, e.facts.height) for e in entries if not e.facts.error)
    if len(sizes) > 1:
        usual = sizes.most_common(1)[0][0]
        other = [e for e in entries if not e.facts.error and (e.facts.width, e.facts.height) != usual]
        for e in other:
            yield (
                f"{e.info.path}: size {e.facts.width}x{e.facts.height}, but sequence '{name}' is"
                f" {usual[0]}x{usual[1]}; label and instance maps of a sequence must have one size"
            )
    yield from _gaps(name, ordered)
    if paired is not None:
        missing = [k for k in ordered if k not in paired]
        if missing:
            yield (
                f"sequence '{name}': no instance map for {len(missing)} of {len(ordered)} frames, first '{missing[0]}';"
                " add them, or leave source.instances out"
            )


def _gaps(name: str, ordered: list[str]) -> Iterator[str]:
    """Frames missing between two neighbours: numbers must rise evenly; time stamps, give or take half a step."""
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
                f"sequence '{name}': {round(step / usual) - 1} frame(s) missing between '{ordered[i]}' and"
                f" '{ordered[i + 1]}'; add them, or split the sequence there"
            )


class _UnknownIds:
    """Collects label ids that the label space does not have."""

    def __init__(self, space: LabelSpace) -> None:
        self.space = space
        self.pixels, self.files = Counter[int](), defaultdict[int, list[str]](list)

    def see(self, path: str, raw: int, mapped: int, count: int) -> None:
        if mapped not in self.space.ids:
            self.pixels[raw] += count
            self.files[raw].append(path)

    def problems(self) -> Iterator[str]:
        for raw in sorted(self.pixels):
            files = self.files[raw]
            more = f" and {len(files) - 3:,} more" if len(files) > 3 else ""
            yield (
                f"label id {raw} is unknown in label space '{self.space.name}': {self.pixels[raw]:,} pixels in"
                f" {len(files):,} file(s): {', '.join(files[:3])}{more}; add it to source.remap"
            )


def nothing_found(store: Store, role: str, template: str) -> str:
    """What to say when a template matches no file: what lies there instead."""
    lines = [f"no frames found: nothing below {store.uri} matches source.{role} '{template}'"]
    there = store.list()
    lines += (
        [f"  {len(there):,} files lie there, for example:", *(f"    {info.path}" for info in there[:5])]
        if there
        else ["  the folder is empty or does not exist"]
    )
    return "\n".join(lines)
