"""Writes a plan as a Parquet file: one row per clip to render."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowreel.pipeline.identity import to_hex
from flowreel.pipeline.storage import Store
from flowreel.schemas.plan import PLAN
from flowreel.schemas.shards import Shards

GROUP_ROWS = 262_144


def save_plan(store: Store, path: str, shards: Shards) -> None:
    """Writes the clips in order of their shards, a row group at a time."""
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        place = Path(folder) / "plan.parquet"
        with pq.ParquetWriter(place, PLAN, compression="zstd") as writer:
            for first in range(0, shards.clip_count, GROUP_ROWS):
                writer.write_table(_rows(shards, first, min(first + GROUP_ROWS, shards.clip_count)))
        store.upload(path, place)


def _rows(shards: Shards, first: int, stop: int) -> pa.Table:
    shard = np.searchsorted(shards.first_M1, np.arange(first, stop), side="right") - 1
    sequence = pa.array(shards.sequence_C[first:stop])
    columns = [
        to_hex(shards.id_M16[shard]),
        to_hex(shards.clip_C16[first:stop]),
        shards.sequences.ids.take(sequence),
        shards.variant_C[first:stop],
        shards.start_C[first:stop],
        shards.frames_C[first:stop],
        shards.splits.take(sequence).cast(pa.string()),
    ]
    return pa.table(columns, schema=PLAN)
