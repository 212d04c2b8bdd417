"""Consumer access: versions -> clips with decoded frames. Plain pyarrow works as well; this saves writing it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.codec import decode_flow, decode_ids, decode_image
from pipeline.versions import Version


@dataclass(frozen=True)
class ClipData:
    """One published clip, decoded."""

    clip_id: str
    sequence_id: str
    variant: int
    image_THW3: NDArray[np.uint8]  # RGB
    label_THW: NDArray[np.integer]  # ids of the label space
    instance_THW: NDArray[np.integer] | None
    flow_THW2: NDArray[np.float32] | None  # backward flow t -> t-1 in pixels (x, y); frame 0 is zero
    timestamp_T: NDArray[np.float64]  # seconds in the sequence


def clips(version: Version, limit: int | None = None) -> Iterator[ClipData]:
    """The version's clips in manifest order; ``limit``: at most so many."""
    manifest = version.manifest(["clip_id", "shard", "row_group", "row"])
    heads = manifest.filter(pa.compute.equal(manifest["row"], 0))
    for head in heads.slice(0, limit).to_pylist():
        with version.dataset.open_input(head["shard"]) as source:
            yield decode_clip(pq.ParquetFile(source).read_row_group(head["row_group"]))


def decode_clip(rows: pa.Table) -> ClipData:
    """One row group of a data file. Raises ValueError for media that do not decode."""

    def media(column: str) -> list[bytes | None]:
        return [cell["bytes"] if cell else None for cell in rows[column].to_pylist()]

    instances, flows = media("instance"), media("flow")
    labels: NDArray[np.integer] = np.stack([decode_ids(data) for data in media("label") if data is not None])
    flow = None
    if any(flows):
        still = np.zeros((*labels.shape[1:], 2), np.float32)
        flow = np.stack([decode_flow(data)[0] if data else still for data in flows])
    return ClipData(
        clip_id=rows["clip_id"][0].as_py(),
        sequence_id=rows["sequence_id"][0].as_py(),
        variant=rows["variant"][0].as_py(),
        image_THW3=np.stack([decode_image(data) for data in media("image") if data is not None]),
        label_THW=labels,
        instance_THW=np.stack([decode_ids(data) for data in instances if data]) if any(instances) else None,
        flow_THW2=flow,
        timestamp_T=rows["timestamp_s"].to_numpy(),
    )
