"""Finds the sequences of a source of files: lists by the templates, reads new files, reports every problem."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.concurrency import ByteBudget
from flowreel.pipeline.edits import remap_table
from flowreel.pipeline.sources.file_index import FileFacts, Role, index_of, inspect, keys_of
from flowreel.pipeline.sources.frame_order import order_frames
from flowreel.pipeline.sources.label_ids import count_ids
from flowreel.pipeline.sources.listing import FILES, list_matching
from flowreel.pipeline.sources.sequences import Maps, SourceFrames
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.sequence import Sequences
from flowreel.schemas.spec import SourceSpec
from flowreel.schemas.wording import counted, one_line

READING = ByteBudget(256 * 2**20)  # files that are being read and looked into
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

    def check(self) -> None:
        """Raises SourceError if there is any problem."""
        if self.problems:
            raise SourceError(problem_report(self.problems))


def scan(
    store: Store, source: SourceSpec, space: LabelSpace, known: pa.Table, progress: Progress | None = None
) -> Catalog:
    """Lists and checks a source. ``known``: the index, so that unchanged files are not read again.

    Raises SourceError if there are no frames at all, StorageError if the source cannot be listed or read.
    """
    labels, *others = list_matching(store, [t for t in (source.labels, source.instances) if t])
    if not len(labels):
        raise SourceError(nothing_found(store, "labels", source.labels))
    instances = others[0] if others else FILES.empty_table()
    facts, read = read_facts(store, [(labels, "label"), (instances, "instance")], known, progress)
    order, of_labels = order_frames(labels, instances), facts.slice(0, len(labels))
    frames = SourceFrames(order, Maps(labels, of_labels), Maps(instances, facts.slice(len(labels))))
    pixels, unknown = count_ids(of_labels, remap_table(source.remap, space), space, order.label_N, labels["path"])
    of_frames = frames.problems(wants_instances=source.instances is not None, numbered=source.consecutive)
    problems = [*of_frames, *unknown]
    return Catalog(frames.sequences(source), tuple(problems), facts, read, pixels)


def problem_report(problems: tuple[str, ...], use: str = "rendered", hint: str = PLAN_LISTS_ALL) -> str:
    """Formats one screen of problems; ``use``: what cannot be done with the source; ``hint``: how to see all of
    them."""
    head = f"the source has {counted(len(problems), 'problem')} and cannot be {use}"
    lines = [head, *(f"  {p}" for p in problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f"  ... and {len(problems) - SHOWN} more: {hint}")
    return "\n".join(lines)


def read_facts(
    store: Store, wanted: list[tuple[pa.Table, Role]], known: pa.Table, progress: Progress | None
) -> tuple[pa.Table, int]:
    """Gives the facts of all wanted files in their order, and how many had to be read."""
    keys = pa.chunked_array([keys_of(store.uri, files, role) for files, role in wanted]).combine_chunks()
    row_N = pc.fill_null(pc.index_in(keys, value_set=known["key"].combine_chunks()), -1).to_numpy().astype(np.int64)
    new = np.flatnonzero(row_N < 0)
    row_N[new] = len(known) + np.arange(len(new))
    files = pa.concat_tables([table.select(["path", "size"]) for table, _ in wanted])
    roles: list[Role] = [role for _, role in wanted]
    ends = np.cumsum([len(table) for table, _ in wanted])

    def one(row: int) -> tuple[str, FileFacts]:
        size = files["size"][row].as_py()
        with READING.hold(size):
            data = store.read(files["path"][row].as_py(), size=size)
            return keys[row].as_py(), inspect(data, roles[int(np.searchsorted(ends, row, side="right"))])

    tables, done = [known], 0
    with ThreadPoolExecutor(READERS) as pool:
        for first in range(0, len(new), BLOCK):
            found = []
            for item in pool.map(one, new[first : first + BLOCK].tolist()):
                found.append(item)
                done += 1
                if progress:
                    progress(done, len(new))
            tables.append(index_of(found))
    facts = pa.concat_tables(tables)
    unchanged = len(row_N) == len(facts) and bool((row_N == np.arange(len(row_N))).all())
    return facts if unchanged else facts.take(pa.array(row_N)), len(new)


def nothing_found(store: Store, role: str, template: str) -> str:
    """Says that a template matches no file, and what lies there instead."""
    lines = [f"no frames found: nothing below {store.uri} matches source.{role} '{template}'"]
    there = store.list()
    lines += (
        [
            f"  it holds {counted(len(there), 'file')}, for example:",
            *(f"    {one_line(info.path)}" for info in there[:5]),
        ]
        if there
        else ["  the folder is empty or does not exist"]
    )
    return "\n".join(lines)
