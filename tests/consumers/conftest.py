"""A published version of 300 frames as those who use it find it: a folder DATASET, a bucket, exports.

These tests run in the environment that `make consumers` makes; elsewhere they are skipped.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from flowreel.pipeline.export.formats import FORMATS
from flowreel.pipeline.export.run import export
from flowreel.pipeline.reader.dataset import Dataset, open_dataset
from flowreel.pipeline.storage import open_store
from tests.support.label_source import write_source
from tests.support.local_run import LocalRun

TOOLS = ("cityscapesscripts", "datasets", "duckdb", "mlcroissant", "panopticapi", "polars", "pyspark", "webdataset")


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    missing = [name for name in TOOLS if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `make consumers` runs these tests")


@pytest.fixture(scope="session")
def place(tools: None, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """The folder that the snippets run in: DATASET of 10 clips of 30 frames, two splits, with flow; EXPORT."""
    root = tmp_path_factory.mktemp("consumers")
    write_source(root / "source", sequences=10, frames=30)
    run = LocalRun(root, tiny_checkpoint)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more are slower where pictures are as small as these
    run.publish(run.prepare(clips={"frames": 30}, output={"flow": True}, split={"train": 0.7, "val": 0.3}))
    torch.set_num_threads(threads)
    run.dataset.rename(root / "DATASET")
    dataset = open_dataset(str(root / "DATASET"))
    for name, form in FORMATS.items():
        export(dataset, open_store(str(root / "EXPORT" / name)), form)
    return root


@pytest.fixture(scope="session")
def dataset(place: Path) -> Dataset:
    return open_dataset(str(place / "DATASET"))


@pytest.fixture(scope="session")
def bucket(place: Path, s3_env: dict[str, Any]) -> dict[str, str]:
    """The environment in which s3://bucket/DATASET is there."""
    import s3fs

    s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"]).mkdir("bucket")
    local, remote = open_store(str(place / "DATASET")), open_store("s3://bucket/DATASET")
    for info in local.list():
        remote.write(info.path, local.read(info.path))
    return dict(os.environ)
