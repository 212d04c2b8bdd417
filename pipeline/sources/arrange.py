"""Arranges listed files to the sequences that a spec asks for: cut or filled at gaps, chosen by name and length."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate

import numpy as np
import pyarrow as pa

from flowreel.pipeline.sources.frame_order import Order, Rows, order_frames
from flowreel.pipeline.sources.numbering import Breaks, copies_in, numbering_of
from flowreel.pipeline.sources.problems import numbering_problems, written_otherwise
from flowreel.schemas.errors import SourceError
from flowreel.schemas.source import SourceSpec
from flowreel.schemas.wording import counted

HELD_S = 1.0  # longer gaps are not filled: what stands still for longer is no recording any more
PIECE = "@"  # between the name of a sequence and of the first frame of a piece of it


@dataclass(frozen=True)
class Arranged:
    """The files of a source in order: one table and one order for each kind of file beside the label maps."""

    tables: tuple[pa.Table, ...]  # label maps first
    orders: tuple[Order, ...]
    recordings: pa.Array | None  # string, per sequence: see `Sequences.recordings`
    problems: tuple[tuple[str, str], ...]  # sequence, what is wrong with its numbering
    left_out: dict[str, int]  # sequences that are not chosen, by the field that leaves them out
    notes: tuple[str, ...]

    @property
    def order(self) -> Order:
        """Gives the first order; all have the same frames."""
        return self.orders[0]


@dataclass(frozen=True)
class _Sequences:
    """Sequences of frames before they are chosen, by rows of an Order."""

    ids: pa.Array
    first_S1: Rows
    row_N: Rows
    origin_S: Rows  # index of what each was before
    recordings: pa.Array | None = None


def arrange(tables: Sequence[pa.Table], source: SourceSpec) -> Arranged:
    """Orders, cuts and chooses; ``tables``: label maps, then at least one kind of file beside them (listing.FILES).

    Raises SourceError if no sequence is left.
    """
    orders = [order_frames(tables[0], beside) for beside in tables[1:]]
    order = orders[0]
    breaks = dict(numbering_of(order.names, order.first_S1, source.step).breaks) if source.consecutive else {}
    found = _Sequences(order.ids, order.first_S1, np.arange(len(order.names)), np.arange(len(order.ids)))
    if source.gaps == "split":
        found, breaks = _split(order, breaks)
    elif source.gaps == "hold":
        found, breaks = _held(order, breaks, max(1, round(HELD_S * source.fps)))
    chosen, left_out, notes = _choose(found, order, source)
    problems = tuple(_problems(tables[0], order, breaks, found.origin_S[chosen], source.frames))
    twins = () if problems else tuple(_twins(order.ids.to_pylist(), set(found.origin_S[chosen].tolist())))
    if left_out or len(found.row_N) != len(order.names) or len(found.ids) != len(order.ids):
        found = _only(found, chosen)
        orders = [each.select(found.row_N, found.ids, found.first_S1, found.origin_S) for each in orders]
    if left_out:
        tables, orders = _without_unused(tables, orders, source)
    return Arranged(tuple(tables), tuple(orders), found.recordings, problems, left_out, (*notes, *twins))


def _split(order: Order, breaks: dict[int, Breaks]) -> tuple[_Sequences, dict[int, Breaks]]:
    """Cuts sequences into pieces; the first keeps the name, the others add that of their first frame.

    Pieces between gaps belong to one recording, which decides their split.
    """
    starts, names, recordings, origin = [], [], [], []
    cut_at = {s: {cut.at: cut.missing for cut in of_one.cuts} for s, of_one in breaks.items() if of_one.cuts}
    for s, name in enumerate(order.ids.to_pylist()):
        first, recording = int(order.first_S1[s]), name
        for at, missing in {0: 1, **cut_at.get(s, {})}.items():
            piece = f"{name}{PIECE}{order.names[first + at].as_py()}" if at else name
            recording = recording if missing else piece
            starts.append(first + at)
            names.append(piece)
            recordings.append(recording)
            origin.append(s)
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise SourceError(f"two sequences would be called '{twice}': one is a piece of another; rename its folder")
    cut = _Sequences(
        pa.array(names, pa.string()), np.array([*starts, len(order.names)]), np.arange(len(order.names)),
        np.array(origin), pa.array(recordings, pa.string()) if cut_at else None,
    )  # fmt: skip
    return cut, {s: Breaks((), of_one.twice, of_one.copies) for s, of_one in breaks.items()}


def _held(order: Order, breaks: dict[int, Breaks], most: int) -> tuple[_Sequences, dict[int, Breaks]]:
    """Fills gaps of up to ``most`` frames with the frame before them."""
    times_N, left = np.ones(len(order.names), np.int64), {}
    for s, of_one in breaks.items():
        for cut in of_one.cuts:
            if cut.missing <= most:
                times_N[order.first_S1[s] + cut.at - 1] += cut.missing
        rest = tuple(cut for cut in of_one.cuts if not 0 < cut.missing <= most)
        left[s] = Breaks(rest, of_one.twice, of_one.copies)
    first_S1 = np.concatenate([[0], np.cumsum(times_N)])[order.first_S1]
    rows = np.repeat(np.arange(len(times_N)), times_N)
    return _Sequences(order.ids, first_S1, rows, np.arange(len(order.ids))), left


def _choose(found: _Sequences, order: Order, source: SourceSpec) -> tuple[Rows, dict[str, int], tuple[str, ...]]:
    """Gives the indices of the sequences to render, how many each field leaves out, and notes on idle patterns.

    Raises SourceError if none is left.
    """
    names, of_piece = order.ids.to_pylist(), found.ids.to_pylist()
    both = [(of_piece[i], names[s]) for i, s in enumerate(found.origin_S.tolist())]
    out: dict[str, set[int]] = {}
    notes = []
    for field, patterns in (("source.include", source.include), ("source.exclude", source.exclude)):
        hit = set[int]()
        for pattern in patterns:
            matches = re.compile(translate(pattern)).match
            now = {i for i, (piece, name) in enumerate(both) if matches(piece) or matches(name)}
            if not now:
                notes.append(f"{field}: '{pattern}' matches no sequence, of which '{of_piece[0]}' is one")
            hit |= now
        if patterns:
            out[field] = hit if field == "source.exclude" else set(range(len(both))) - hit
    out["source.min_frames"] = set(np.flatnonzero(np.diff(found.first_S1) < source.min_frames).tolist())
    left, counts = set(range(len(both))), {}
    for field, unwanted in out.items():
        if gone := left & unwanted:
            counts[field], left = len(gone), left - gone
    if not left:
        why = ", ".join(f"{field} leaves out {count:,}" for field, count in counts.items())
        raise SourceError("\n  ".join([f"no sequence is left of {counted(len(both), 'sequence')}: {why}", *notes]))
    return np.array(sorted(left)), counts, tuple(notes)


def _wanted(name: str, source: SourceSpec) -> bool:
    """Tells whether patterns choose a sequence that has no label map."""
    kept, dropped = ([re.match(translate(p), name) for p in ps] for ps in (source.include, source.exclude))
    return (any(kept) or not kept) and not any(dropped)


def _only(found: _Sequences, chosen: Rows) -> _Sequences:
    """Gives the chosen sequences."""
    length_S = np.diff(found.first_S1)[chosen]
    first_S1 = np.concatenate([[0], np.cumsum(length_S)])
    row_N = np.repeat(found.first_S1[chosen] - first_S1[:-1], length_S) + np.arange(first_S1[-1])
    indices = pa.array(chosen)
    recordings = found.recordings and found.recordings.take(indices)
    return _Sequences(found.ids.take(indices), first_S1, found.row_N[row_N], found.origin_S[chosen], recordings)


def _without_unused(
    tables: Sequence[pa.Table], orders: list[Order], source: SourceSpec
) -> tuple[list[pa.Table], list[Order]]:
    """Drops files of sequences that were not chosen: they are not read."""
    used_L = np.unique(orders[0].label_N)
    kept_tables, kept = [tables[0].take(pa.array(used_L))], []
    for table, order in zip(tables[1:], orders, strict=True):
        names = table["sequence"].take(pa.array(order.orphan_K)).to_pylist()
        wanted = (order.orphan_sequence_K >= 0) | np.array([_wanted(name, source) for name in names], np.bool_)
        orphan_K, of_K = order.orphan_K[wanted], order.orphan_sequence_K[wanted]
        has = order.instance_N >= 0
        used_I = np.unique(np.concatenate([order.instance_N[has], orphan_K]))
        instance_N = np.where(has, np.searchsorted(used_I, order.instance_N), -1)
        label_N, orphan_K = np.searchsorted(used_L, order.label_N), np.searchsorted(used_I, orphan_K)
        kept.append(Order(order.ids, order.first_S1, order.names, label_N, instance_N, orphan_K, of_K))
        kept_tables.append(table.take(pa.array(used_I)))
    return kept_tables, kept


def _twins(names: list[str], chosen: set[int]) -> Iterator[str]:
    """Yields which of the chosen sequences look like copies of others, or have names that look the same."""
    for i, of in copies_in(names):
        if i in chosen and of in chosen:
            yield f"sequence '{names[i]}' looks like a copy of '{names[of]}'; if so, name it in source.exclude"
    here = [names[i] for i in sorted(chosen) if not names[i].isascii()]
    for i, name in enumerate(here):
        if twin := written_otherwise(name, here[i + 1 :]):
            yield f"sequence '{name}'{twin}; if both are the same, remove one"


def _problems(
    labels: pa.Table, order: Order, breaks: dict[int, Breaks], wanted: Iterable[int], template: str
) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with the numbering of the wanted sequences, and copies that are sequences."""
    here = set(map(int, wanted))
    for s in sorted(here & breaks.keys()):
        rows = slice(int(order.first_S1[s]), int(order.first_S1[s + 1]))
        name, paths = order.ids[s].as_py(), labels["path"].take(pa.array(order.label_N[rows])).to_pylist()
        for problem in numbering_problems(name, paths, order.names[rows].to_pylist(), breaks[s], template):
            yield name, problem
    if "*" not in template.rpartition("/")[2]:  # each file is a sequence
        names = order.ids.to_pylist()
        for i, of in copies_in(names):
            if i in here and of in here:
                path, other = (labels["path"][int(order.label_N[order.first_S1[s]])].as_py() for s in (i, of))
                yield names[i], f"{path}: looks like a copy of {other}; remove it, or name it in source.exclude"
