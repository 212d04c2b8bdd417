"""A published dataset as the source of another: its labels, splits, frame rate and instance maps."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flowreel.pipeline.planning.prepare import prepare
from flowreel.schemas.errors import UsageError
from flowreel.schemas.spec import Spec
from tests.support.local_run import LocalRun


def spec_of(run: LocalRun, source: str) -> Spec:
    return Spec.model_validate(
        {
            "dataset": {"uri": str(run.root / "again")},
            "source": {"dataset": source},
            "generator": {"checkpoint": str(run.checkpoint), "batch": 2},
            "clips": {"frames": 0},
            "execution": {"num_gpus": 0},
            "split": {"test": 1.0},
        }
    )


def pixels(data: bytes) -> "np.ndarray":
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_labels_of_a_dataset_are_rendered_again(local_run: LocalRun) -> None:
    first = local_run.publish(local_run.prepare(source={"fps": 11}, split={"train": 0.5, "val": 0.5}))
    prepared = prepare(spec_of(local_run, str(local_run.dataset)))
    prepared.catalog.check()
    assert prepared.job.spec.source.dataset == f"{local_run.dataset}@1" and prepared.job.spec.source.fps == 11
    second = local_run.publish(prepared)
    old, new = first.manifest().to_pylist(), second.manifest().to_pylist()
    assert len(old) == len(new) == 10
    key = {(f"{r['sequence_id']}/v0/{r['clip_id'][:12]}", r["frame_index"]): r for r in old}
    for row in new:
        was = key[row["sequence_id"], row["frame_index"]]
        assert row["split"] == was["split"] and row["class_pixels"] == was["class_pixels"]
        cells = [
            pq.ParquetFile(version.dataset.uri + "/" + r["shard"]).read_row_group(r["row_group"]).to_pylist()[r["row"]]
            for version, r in ((first, was), (second, row))
        ]
        for column in ("label", "instance"):
            a, b = (pixels(cell[column]["bytes"]) for cell in cells)
            np.testing.assert_array_equal(a, b)
    again = prepare(spec_of(local_run, f"{local_run.dataset}@1"))
    assert again.catalog.read == 0 and not again.plan.shards


def test_a_dataset_that_is_not_there_or_is_the_target(local_run: LocalRun) -> None:
    local_run.publish(local_run.prepare())
    with pytest.raises(UsageError, match="has no version 7; published versions: 1"):
        prepare(spec_of(local_run, f"{local_run.dataset}@7"))
    with pytest.raises(UsageError, match="source.dataset and dataset.uri are both"):
        prepare(spec_of(local_run, str(local_run.root / "again")))
