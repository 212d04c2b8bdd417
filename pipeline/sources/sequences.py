"""Builds sequences and their problems from listed files and what the index says of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.sources.frame_order import Order
from flowreel.pipeline.sources.problems import File, sequence_problems, written_otherwise
from flowreel.pipeline.sources.template import Template
from flowreel.schemas.sequence import DIGEST_BYTES, Sequences
from flowreel.schemas.spec import SourceSpec

_NO_STEP = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Maps:
    """Label or instance maps: the listed files and, row by row, what the index says of them."""

    files: pa.Table
    facts: pa.Table

    def file(self, row: int) -> File:
        """Gives what the checks need to know of one map."""
        facts = self.facts.slice(row, 1)
        size = (facts["width"][0].as_py(), facts["height"][0].as_py())
        return File(self.path(row), size, facts["error"][0].as_py())

    def path(self, row: int) -> str:
        """Gives a map's path below the source's root."""
        return str(self.files["path"][row].as_py())

    def numbers(self, column: str) -> NDArray[np.int64]:
        """Gives a column of facts as integers, one per map."""
        return self.facts[column].to_numpy().astype(np.int64)

    def broken(self) -> NDArray[np.bool_]:
        """Tells for each map whether it cannot be used."""
        return np.asarray(pc.not_equal(self.facts["error"], ""))

    def digests(self) -> NDArray[np.uint8]:
        """Gives the SHA-256 of each map, uint8 (rows, 32)."""
        column = self.facts["digest"].combine_chunks()
        data = np.frombuffer(column.buffers()[1] or b"", np.uint8)
        start = column.offset * DIGEST_BYTES
        return data[start : start + len(column) * DIGEST_BYTES].reshape(-1, DIGEST_BYTES)


@dataclass(frozen=True)
class SourceFrames:
    """N frames of S sequences with their maps."""

    order: Order
    labels: Maps
    instances: Maps
    recordings: pa.Array | None = None  # string, per sequence

    def sequences(self, source: SourceSpec) -> Sequences:
        """Builds the sequences that plans and workers use."""
        order, instance_N32 = self.order, None
        width_N, height_N = (self.labels.numbers(name)[order.label_N] for name in ("width", "height"))
        # A sequence's size is that of its first map that is whole.
        number = np.where(self.labels.broken()[order.label_N], _NO_STEP, np.arange(len(order.label_N)))
        whole_S = np.minimum.reduceat(number, order.first_S1[:-1])
        none = whole_S == _NO_STEP
        size_S2 = np.stack([width_N[np.where(none, 0, whole_S)], height_N[np.where(none, 0, whole_S)]], axis=1)
        size_S2[none] = 0
        if source.instance_maps:
            has = order.instance_N >= 0
            instance_N32 = np.zeros((len(has), DIGEST_BYTES), np.uint8)
            instance_N32[has] = self.instances.digests()[order.instance_N[has]]
        label_N32 = rows_of(self.labels.digests(), order.label_N)
        cut = self.recordings is not None
        return Sequences(
            source.labels, source.instance_maps, order.ids, size_S2.astype(np.int32), order.first_S1, order.names,
            label_N32, instance_N32,
            label_paths=given_paths(self.labels.files, order.label_N, source.labels, cut=cut),
            instance_paths=given_paths(self.instances.files, order.instance_N, source.instances, cut=cut),
            recordings=self.recordings,
        )  # fmt: skip

    def problems(self, *, wants_instances: bool) -> Iterator[tuple[str, str]]:
        """Yields all problems of maps with their sequence. Only suspicious sequences are checked frame by frame."""
        order = self.order
        for s in np.flatnonzero(self._suspicious(wants_instances)).tolist():
            name = order.ids[s].as_py()
            rows = range(int(order.first_S1[s]), int(order.first_S1[s + 1]))
            frames = {order.names[i].as_py(): self.labels.file(int(order.label_N[i])) for i in rows}
            paired = {
                order.names[i].as_py(): self.instances.file(int(order.instance_N[i]))
                for i in rows
                if order.instance_N[i] >= 0
            }
            for row in order.orphan_K[order.orphan_sequence_K == s].tolist():
                paired[self.instances.files["frame"][row].as_py()] = self.instances.file(row)
            for problem in sequence_problems(name, frames, paired if wants_instances else None):
                yield name, problem
        yield from self._without_labels()

    def _without_labels(self) -> Iterator[tuple[str, str]]:
        """Yields sequences that have instance maps but no label map."""
        rows = self.order.orphan_K[self.order.orphan_sequence_K < 0]
        alone = self.instances.files.take(pa.array(rows))
        for name in alone["sequence"].unique().to_pylist():
            paths = alone.filter(pc.equal(alone["sequence"], name))["path"]
            first = pc.min(paths).as_py()
            twin = written_otherwise(name, self.order.ids.to_pylist())
            yield name, f"sequence '{name}': {len(paths)} instance maps, but no label map{twin}; first {first}"

    def _suspicious(self, wants_instances: bool) -> NDArray[np.bool_]:
        """Tells for each sequence whether anything may be wrong with it."""
        order, first = self.order, self.order.first_S1[:-1]
        length_S = np.diff(order.first_S1)
        has = order.instance_N >= 0
        bad_N = self.labels.broken()[order.label_N]
        for column in ("width", "height"):
            side_N = self.labels.numbers(column)[order.label_N]
            usual_N = np.repeat(side_N[first], length_S)
            bad_N |= side_N != usual_N
            bad_N[has] |= self.instances.numbers(column)[order.instance_N[has]] != usual_N[has]
        bad_N[has] |= self.instances.broken()[order.instance_N[has]]
        if wants_instances:
            bad_N |= ~has
        bad_S = np.logical_or.reduceat(bad_N, first)
        bad_S[order.orphan_sequence_K[order.orphan_sequence_K >= 0]] = True
        return bad_S


def rows_of(column: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Gives ``column[rows]``, without a copy where that is the whole column in order."""
    unchanged = len(rows) == len(column) and bool((rows == np.arange(len(rows))).all())
    return column if unchanged else column[rows]


def given_paths(files: pa.Table, row_N: NDArray[np.int64], template: str | None, *, cut: bool) -> pa.Array | None:
    """Gives the paths of files by row (null for -1), large_string; None where they follow from the template.

    They do not where sequences are pieces of what {sequence} stands for (``cut``), or an ending has another case.
    """
    if template is None or not len(files):
        return None
    if not cut and pc.all(pc.ends_with(files["path"], Template(template).ending)).as_py():
        return None
    paths = files["path"].cast(pa.large_string()).combine_chunks().take(pa.array(row_N, mask=row_N < 0))
    return paths if isinstance(paths, pa.Array) else paths.combine_chunks()
