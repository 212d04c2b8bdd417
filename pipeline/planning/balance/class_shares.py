"""Shares of pixels per class, per frame and per span, from the file index: no map is read."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.sources.file_index import DIGEST
from flowreel.schemas.sequence import Sequences


def frame_shares(facts: pa.Table, sequences: Sequences, remap: NDArray[np.uint16], classes: int) -> NDArray[np.float64]:
    """Gives each frame's share of pixels of each class id below C, (N, C). ``facts``: of the source's files."""
    labels = facts.filter(pc.starts_with(facts["key"], "label|"))
    digests = sequences.label_N32
    wanted = pa.Array.from_buffers(DIGEST, len(digests), [None, pa.py_buffer(np.ascontiguousarray(digests))])
    found = labels.take(pc.index_in(wanted, value_set=labels["digest"].combine_chunks()))
    ids, counts = (found[name].combine_chunks() for name in ("ids", "counts"))
    frame = np.repeat(np.arange(len(found)), pc.list_value_length(ids).to_numpy())
    place = frame * classes + remap[ids.flatten().to_numpy()]
    total = np.bincount(place, weights=counts.flatten().to_numpy(), minlength=len(found) * classes)
    pixels_NC = total.reshape(len(found), classes)
    return np.asarray(pixels_NC / pixels_NC.sum(axis=1, keepdims=True))


def span_sums(
    share_NC: NDArray[np.float64], start_P: NDArray[np.int64], stop_P: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sums over the frames of each span, (P, C)."""
    before_NC = np.concatenate([np.zeros((1, share_NC.shape[1])), np.cumsum(share_NC, axis=0)])
    return np.asarray(before_NC[stop_P] - before_NC[start_P])
