"""Splits sequences into the spans of frames that become clips, each with a digest of all that it takes from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.identity import id_array, span_digest
from flowreel.schemas.clip import ID_BYTES
from flowreel.schemas.containers import without_container
from flowreel.schemas.sequence import DIGEST_BYTES, Sequences
from flowreel.schemas.spec import ClipsSpec

_BLOCK = 16_384  # spans that are Python objects at a time


@dataclass(frozen=True)
class Spans:
    """P spans of frames, in order of their sequences and starts."""

    sequences: Sequences
    sequence_P: NDArray[np.int32]  # index into ``sequences``
    start_P: NDArray[np.int32]
    frames_P: NDArray[np.int32]
    digest_P16: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sequence_P)

    def where(self, mask_P: NDArray[np.bool_]) -> "Spans":
        """Gives the spans that a mask selects."""
        if mask_P.all():
            return self
        return Spans(
            self.sequences,
            self.sequence_P[mask_P],
            self.start_P[mask_P],
            self.frames_P[mask_P],
            self.digest_P16[mask_P],
        )

    def names(self, mask_P: NDArray[np.bool_]) -> Iterator[str]:
        """Yields names of some spans for messages."""
        for p in np.flatnonzero(mask_P):
            start, stop = int(self.start_P[p]), int(self.start_P[p] + self.frames_P[p])
            yield f"{self.sequences.ids[int(self.sequence_P[p])].as_py()} frames {start}..{stop - 1}"


def split_into_spans(sequences: Sequences, splits: Sequence[str], clips: ClipsSpec, *, instances: bool) -> Spans:
    """Splits the sequences into spans; ``instances``: whether instance maps decide what is rendered from them."""
    sequence_P, start_P, stop_P = span_bounds(sequences.length_S, clips.frames, clips.stride)
    template = without_container(sequences.labels)
    heads = b"".join(  # no path and no template holds a line break
        span_digest(f"{sequence_id}\n{split}\n{template}".encode())
        for sequence_id, split in zip(sequences.ids.to_pylist(), splits, strict=True)
    )
    digests = np.empty((len(sequence_P), ID_BYTES), np.uint8)
    for first in range(0, len(digests), _BLOCK):
        part = slice(first, first + _BLOCK)
        s = sequence_P[part]
        rows = (sequences.first_S1[s] + start_P[part], sequences.first_S1[s] + stop_P[part])
        spots = np.stack([start_P[part], stop_P[part] - start_P[part]], axis=1).astype("<i8").tobytes()
        known = b"".join(
            heads[i * ID_BYTES : (i + 1) * ID_BYTES] + spots[k * 16 : k * 16 + 16] for k, i in enumerate(s.tolist())
        )
        digests[part] = _digests(sequences, rows, known, instances)
    return Spans(sequences, sequence_P, start_P.astype(np.int32), (stop_P - start_P).astype(np.int32), digests)


def spans_without_digests(sequences: Sequences, clips: ClipsSpec) -> Spans:
    """Gives the spans of `split_into_spans` without digests."""
    sequence_P, start_P, stop_P = span_bounds(sequences.length_S, clips.frames, clips.stride)
    nothing = np.empty((len(sequence_P), 0), np.uint8)
    return Spans(sequences, sequence_P, start_P.astype(np.int32), (stop_P - start_P).astype(np.int32), nothing)


def span_bounds(
    length_S: NDArray[np.int64], frames: int, stride: int | None
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Gives (sequence, start, stop) of all spans of sequences of so many frames, to their ends: a last one may be
    shorter."""
    size = np.full_like(length_S, frames) if frames else length_S
    step = np.full_like(length_S, stride or frames) if frames else length_S
    step = np.maximum(step, 1)
    # as many as are needed to reach the end, but none that starts beyond it (stride > frames)
    number_S = np.minimum(-(-np.maximum(length_S - size, 0) // step) + 1, -(-length_S // step))
    sequence_P = np.repeat(np.arange(len(length_S), dtype=np.int32), number_S)
    within_P = np.arange(len(sequence_P)) - np.repeat(np.cumsum(number_S) - number_S, number_S)
    start_P = within_P * step[sequence_P]
    return sequence_P, start_P, np.minimum(start_P + size[sequence_P], length_S[sequence_P])


def _digests(
    sequences: Sequences, rows: tuple[NDArray[np.int64], NDArray[np.int64]], known: bytes, instances: bool
) -> NDArray[np.uint8]:
    """Hashes one block of spans: ``known`` (sequence, start, count: 32 bytes each), then names and fingerprints."""
    lowest, highest = int(rows[0].min()), int(rows[1].max())
    # No name holds a slash, so that what stands between two of them is one.
    empty, slash = pa.scalar("", pa.large_string()), pa.scalar("/", pa.large_string())
    joined = pc.binary_join_element_wise(sequences.names.slice(lowest, highest - lowest), empty, slash)
    offsets, names = _large_string_buffers(joined)
    label = _flat(sequences.label_N32, lowest, highest)
    instance = None
    if instances and sequences.instance_N32 is not None:
        instance = _flat(sequences.instance_N32, lowest, highest)
    guide = b"" if sequences.guide_N32 is None else _flat(sequences.guide_N32, lowest, highest)
    starts, stops = (rows[0] - lowest).tolist(), (rows[1] - lowest).tolist()
    found = []
    for k, (a, b) in enumerate(zip(starts, stops, strict=True)):
        x, y = a * DIGEST_BYTES, b * DIGEST_BYTES
        of_instances = instance[x:y] if instance is not None else bytes(y - x) if instances else b""
        head = known[k * 32 : k * 32 + 32]
        found.append(span_digest(head, names[offsets[a] : offsets[b]], label[x:y], of_instances, guide[x:y]))
    return id_array(b"".join(found))


def _large_string_buffers(text: pa.Array) -> tuple[list[int], memoryview]:
    """Gives the offsets and bytes of a large_string array."""
    _, offsets, data = text.buffers()
    numbers = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1].tolist()
    return numbers, memoryview(data or b"")


def _flat(digest_N32: NDArray[np.uint8], start: int, stop: int) -> memoryview:
    """Views rows of digests as bytes."""
    return np.ascontiguousarray(digest_N32[start:stop]).reshape(-1).data
