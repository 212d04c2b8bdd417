"""Finds the sequences of a source of files: lists by the templates, reads new files, reports every problem."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from unicodedata import normalize

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.edits import remap_table
from flowreel.pipeline.sources.arrange import arrange
from flowreel.pipeline.sources.containers.batches import Batch, batches
from flowreel.pipeline.sources.encodings import PLAIN, MapDecoder, open_decoder
from flowreel.pipeline.sources.file_index import FileFacts, Role, index_of, inspect, keys_of, known_rows
from flowreel.pipeline.sources.frame_order import Order
from flowreel.pipeline.sources.instance_ids import none_rules
from flowreel.pipeline.sources.label_ids import IdRow, count_ids, mixed_readings
from flowreel.pipeline.sources.listing import FILES, list_matching
from flowreel.pipeline.sources.problems import written_otherwise
from flowreel.pipeline.sources.sequences import Maps, SourceFrames
from flowreel.pipeline.sources.system_names import skipped_names
from flowreel.pipeline.storage import DanglingLink, Store
from flowreel.schemas.encoding import holds_instances
from flowreel.schemas.errors import SourceError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.sequence import Sequences
from flowreel.schemas.spec import SourceSpec
from flowreel.schemas.template import SEQUENCE
from flowreel.schemas.wording import counted, one_line

READERS = 32  # requests in flight: as many as the S3 client has connections; some stores take 40 ms for each
BLOCK = 4096  # new files whose facts are held as Python objects at a time
SHOWN = 12  # problems in a message: one screen
PLAN_LISTS_ALL = "`flowreel plan SPEC --json` lists all"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Catalog:
    """All sequences of a source, and what is known of its files."""

    sequences: Sequences
    problems: tuple[str, ...]  # each names its sequence and frame; nothing is rendered while there are any
    facts: pa.Table  # of its files, for the index
    read: int  # files that had to be read; the index knew the others
    pixels: dict[int, int]  # class id -> pixels, after the remap
    ids: tuple[IdRow, ...] = field(default=(), compare=False)  # what its label maps hold, and what becomes of it
    none_rules: str = ""  # what its instance maps write for "no instance" beside 0: see `instance_ids.none_rules`
    notes: tuple[str, ...] = ()  # what looks wrong, but may be meant
    skipped: dict[str, int] = field(default_factory=dict)  # files with hidden or system names, by kind
    left_out: dict[str, int] = field(default_factory=dict)  # sequences that are not chosen, by field of the source
    by_sequence: dict[str, list[str]] = field(default_factory=dict)  # those of the problems that are of one sequence

    def check(self) -> None:
        """Raises SourceError if there is any problem."""
        if self.problems:
            raise SourceError(problem_report(self.problems))


def scan(
    store: Store,
    source: SourceSpec,
    space: LabelSpace,
    known: pa.Table,
    progress: Progress | None = None,
    decoder: MapDecoder | None = None,
) -> Catalog:
    """Lists and checks a source. ``known``: the index, so that unchanged files are not read again; ``decoder``: of its
    encoding, which follows from the spec if it needs no file.

    Raises SourceError if there are no frames at all, StorageError if the source cannot be listed or read.
    """
    listing = list_matching(store, [t for t in (source.labels, source.instance_maps) if t])
    labels, *others = listing.tables
    if not len(labels):
        raise SourceError(nothing_found(store, "labels", source.labels, listing.skipped))
    found = arrange([labels, *(others or [FILES.empty_table()])], source)
    labels, instances = found.tables
    decoder = decoder or open_decoder(source, space, {})
    together = holds_instances(source.encoding)
    wanted: list[tuple[pa.Table, Role]] = [(labels, "label")]
    wanted += [] if together else [(instances, "instance")]
    facts, read = read_facts(store, wanted, known, progress, decoder)
    order, of_labels = found.order, facts.slice(0, len(labels))
    of_instances = of_labels if together else facts.slice(len(labels))
    frames = SourceFrames(order, Maps(labels, of_labels), Maps(instances, of_instances), found.recordings)
    ids = count_ids(of_labels, source, space, order.label_N, labels["path"])
    named = [*found.problems, *frames.problems(wants_instances=source.instance_maps is not None)]
    problems = (*(problem for _, problem in named), *ids.problems, *mixed_readings(wanted, facts))
    if decoder.panoptic is not None:
        problems = (*problems, *decoder.panoptic.problems(labels["path"].to_pylist()))
    table = remap_table(source.classes_of_ids, space)
    rules = "" if together else none_rules(of_labels, of_instances, _pairs(order), table, space)
    return Catalog(
        frames.sequences(source), problems, facts, read, ids.pixels, ids.rows, rules, (*ids.notes, *found.notes),
        listing.skipped, found.left_out, by_sequence(named),
    )  # fmt: skip


def by_sequence(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Groups problems by their sequence."""
    groups: dict[str, list[str]] = {}
    for name, problem in named:
        groups.setdefault(name, []).append(problem)
    return groups


def _pairs(order: Order) -> NDArray[np.int64]:
    """Gives the rows of label map and instance map of each frame that has both, (N, 2)."""
    both = order.instance_N >= 0
    return np.stack([order.label_N[both], order.instance_N[both]], axis=1)


def problem_report(problems: tuple[str, ...], use: str = "rendered", hint: str = PLAN_LISTS_ALL) -> str:
    """Formats one screen of problems; ``use``: what cannot be done with the source; ``hint``: how to see all of
    them."""
    head = f"the source has {counted(len(problems), 'problem')} and cannot be {use}"
    lines = [head, *(f"  {p}" for p in problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f"  ... and {len(problems) - SHOWN} more: {hint}")
    return "\n".join(lines)


def read_facts(
    store: Store,
    wanted: list[tuple[pa.Table, Role]],
    known: pa.Table,
    progress: Progress | None,
    decoder: MapDecoder = PLAIN,
) -> tuple[pa.Table, int]:
    """Gives the facts of all wanted files in their order, and how many had to be read. ``decoder``: of maps."""
    keys = pa.chunked_array([keys_of(store.uri, files, role) for files, role in wanted]).combine_chunks()
    row_N = known_rows(known, keys, [(len(table), role) for table, role in wanted], decoder)
    new = np.flatnonzero(row_N < 0)
    row_N[new] = len(known) + np.arange(len(new))
    files = pa.concat_tables([table.select(["path", "size"]) for table, _ in wanted])
    roles: list[Role] = [role for _, role in wanted]
    ends = np.cumsum([len(table) for table, _ in wanted])

    def some(batch: Batch) -> list[tuple[int, FileFacts]]:
        with closing(batch()) as found:
            return [(row, facts_of(row, data)) for row, data in found]

    def facts_of(row: int, data: bytes | DanglingLink) -> FileFacts:
        if isinstance(data, DanglingLink):
            return FileFacts("0" * 64, error=str(data))
        role = roles[int(np.searchsorted(ends, row, side="right"))]
        return inspect(data, role, decoder, files["path"][row].as_py())

    tables, done = [known], 0
    with ThreadPoolExecutor(READERS) as pool:
        for first in range(0, len(new), BLOCK):
            block, found = new[first : first + BLOCK].tolist(), dict[int, FileFacts]()
            for items in pool.map(some, batches(store, files, block)):
                found.update(items)
                done += len(items)
                if progress:
                    progress(done, len(new))
            tables.append(index_of((keys[row].as_py(), found[row]) for row in block))
    facts = pa.concat_tables(tables)
    unchanged = len(row_N) == len(facts) and bool((row_N == np.arange(len(row_N))).all())
    return facts if unchanged else facts.take(pa.array(row_N)), len(new)


def nothing_found(store: Store, role: str, template: str, skipped: Mapping[str, int]) -> str:
    """Says that a template matches no file, and what lies there instead."""
    lines = [f"no frames found: nothing below {store.uri} matches source.{role} '{template}'"]
    if skipped:
        lines.append(f"  skipped: {skipped_names(skipped)}")
    there = store.list()
    plain = template.partition(SEQUENCE)[0].rstrip("/")
    if twin := written_otherwise(plain, {info.path[: len(normalize("NFD", plain))] for info in there}):
        lines.append(f"  '{plain}'{twin}")
    lines += (
        [
            f"  it holds {counted(len(there), 'file')}, for example:",
            *(f"    {one_line(info.path)}" for info in there[:5]),
        ]
        if there
        else ["  the folder is empty or does not exist"]
    )
    return "\n".join(lines)
