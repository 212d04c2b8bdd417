"""Assigns listed files to frames and sequences."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.sources.template import natural

Rows = NDArray[np.int64]
_GONE = -2


@dataclass(frozen=True)
class Order:
    """N frames of S sequences, both in natural order. Files are rows of the tables that `list_matching` gave."""

    ids: pa.Array  # string, S
    first_S1: Rows  # frames of sequence s are first_S1[s] to first_S1[s + 1]
    names: pa.Array  # large_string, N
    label_N: Rows  # row of the label map
    instance_N: Rows  # row of the instance map, -1 where there is none
    orphan_K: Rows  # rows of instance maps without a label map, in natural order
    orphan_sequence_K: Rows  # index of their sequence, -1 for those that have no label map at all

    @property
    def sequence_N(self) -> Rows:
        """Gives the index of each frame's sequence, (N,)."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.first_S1))

    def select(self, row_N: Rows, ids: pa.Array, first_S1: Rows, origin_S: Rows) -> "Order":
        """Gives some of its frames, by row and perhaps more than once, as the sequences ``ids``.

        ``origin_S``: the sequence that each was; orphans go with the first one that is left of theirs.
        """
        of_old = np.full(len(self.ids) + 1, _GONE)  # the last: for orphans of no sequence
        of_old[origin_S[::-1]] = np.arange(len(origin_S))[::-1]
        of_old[-1] = -1
        place_K = of_old[self.orphan_sequence_K]
        kept = place_K != _GONE
        return Order(
            ids, first_S1, self.names.take(pa.array(row_N)), self.label_N[row_N], self.instance_N[row_N],
            self.orphan_K[kept], place_K[kept],
        )  # fmt: skip


def order_frames(labels: pa.Table, instances: pa.Table) -> Order:
    """Pairs label maps with instance maps by sequence and frame name; both tables have columns `listing.FILES`."""
    sequences, sequence_L, sequence_I = _ranked(labels["sequence"], instances["sequence"])
    names, frame_L, frame_I = _ranked(labels["frame"], instances["frame"])
    key_L, key_I = sequence_L * len(names) + frame_L, sequence_I * len(names) + frame_I
    label_N, sorted_I = _sorted_rows(key_L), _sorted_rows(key_I)
    key_N = key_L[label_N]
    with_labels, first = np.unique(sequence_L[label_N], return_index=True)
    instance_N = _found(key_N, key_I[sorted_I], sorted_I)
    orphan_K = sorted_I[_found(key_I[sorted_I], key_N, label_N) < 0]
    return Order(
        ids=sequences.take(pa.array(with_labels)).cast(pa.string()),
        first_S1=np.append(first, len(label_N)).astype(np.int64),
        names=names.take(pa.array(frame_L[label_N])),
        label_N=label_N,
        instance_N=instance_N,
        orphan_K=orphan_K,
        orphan_sequence_K=_found(sequence_I[orphan_K], with_labels, np.arange(len(with_labels))),
    )


def _ranked(labels: pa.ChunkedArray, instances: pa.ChunkedArray) -> tuple[pa.Array, Rows, Rows]:
    """Gives the distinct texts of both columns in natural order, and for each row of either its rank among them."""
    both = pa.chunked_array([*labels.chunks, *instances.chunks], pa.string()).cast(pa.large_string())
    encoded = both.combine_chunks().dictionary_encode()
    order = natural_order(encoded.dictionary)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    ranks = rank[encoded.indices.to_numpy()]
    return encoded.dictionary.take(pa.array(order)), ranks[: len(labels)], ranks[len(labels) :]


def natural_order(texts: pa.Array) -> Rows:
    """Gives the indices that put distinct texts into natural order."""
    shapes = pc.unique(pc.replace_substring_regex(texts, "[0-9]", "0"))
    if len(shapes) <= 1:  # the same digits at the same places: natural order is that of bytes
        return pc.sort_indices(texts).to_numpy().astype(np.int64)
    values = texts.to_pylist()
    return np.array(sorted(range(len(values)), key=lambda i: (natural(values[i]), values[i])), np.int64)


def _sorted_rows(keys: Rows) -> Rows:
    """Gives the rows in rising order of their keys."""
    in_order = bool((keys[1:] > keys[:-1]).all())
    return np.arange(len(keys)) if in_order else np.argsort(keys, kind="stable")


def _found(wanted: Rows, among: Rows, values: Rows) -> Rows:
    """Gives the value beside each wanted key in ``among`` (rising), -1 for keys that are not there."""
    if not len(among):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[place] == wanted, values[place], -1)
