"""Loaders that are compared: each gives shuffled batches of whole clips, decoded by the same OpenCV calls.

A sample is image (T, H, W, 3) and label (T, H, W) as uint8 tensors; PyTorch's DataLoader makes batches of them in
worker processes. What differs is how samples are found, shuffled, read and fetched.
"""

import itertools
import os
import random
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from flowreel.pipeline.reader.dataset import open_dataset
from flowreel.pipeline.reader.torch_dataset import Samples
from flowreel.pipeline.reader.torch_stream import ClipStream

Sample = dict[str, torch.Tensor]
Batches = Iterable[Sample]
Make = Callable[[str, int, int, int], Batches]  # place, workers, batch, epoch -> an epoch
SHUFFLE = 8  # clips in the buffers of those that shuffle with one


def decoded(images: Sequence[bytes], labels: Sequence[bytes]) -> Sample:
    return {
        "image": torch.from_numpy(np.stack([_pixels(data, cv2.IMREAD_COLOR_RGB) for data in images])),
        "label": torch.from_numpy(np.stack([_pixels(data, cv2.IMREAD_UNCHANGED) for data in labels])),
    }


def _pixels(data: bytes, flag: int) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    assert found is not None
    return found


def flowreel(place: str, workers: int, batch: int, epoch: int) -> Batches:
    """Threads of this process instead of worker processes: as many."""
    stream = ClipStream(Samples(open_dataset(place)), threads=workers)
    stream.set_epoch(epoch)
    return DataLoader(stream, batch_size=batch)


def flowreel_workers(place: str, workers: int, batch: int, epoch: int) -> Batches:
    stream = ClipStream(Samples(open_dataset(place)), threads=1)
    stream.set_epoch(epoch)
    return DataLoader(stream, batch_size=batch, num_workers=workers)


class _Folders(Dataset[Sample]):
    """A folder per clip; from a bucket, all files of a clip at a time."""

    def __init__(self, place: str) -> None:
        self.place, self.remote = place, "://" in place
        files = fsspec.filesystem("s3").find(place) if self.remote else sorted(map(str, Path(place).rglob("*.*")))
        self.clips = [list(files) for _, files in itertools.groupby(sorted(files), os.path.dirname)]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> Sample:
        files = self.clips[i]
        if self.remote:
            found = fsspec.filesystem("s3").cat(files)
            data = [found[file] for file in files]
        else:
            data = [Path(file).read_bytes() for file in files]
        return decoded(data[0::2], data[1::2])


def folders(place: str, workers: int, batch: int, epoch: int) -> Batches:
    order = torch.Generator().manual_seed(epoch)
    return DataLoader(_Folders(place), batch_size=batch, num_workers=workers, shuffle=True, generator=order)


def webdataset(place: str, workers: int, batch: int, epoch: int) -> Batches:
    import webdataset as wds

    if "://" in place:  # by HTTP, as its documentation has it where a cloud's command line tool is missing
        bucket = fsspec.filesystem("s3")
        tars = [f"pipe:curl -s -f '{bucket.sign(name)}'" for name in sorted(bucket.find(place))]
    else:
        tars = sorted(map(str, Path(place).glob("*.tar")))
    random.Random(epoch).shuffle(tars)
    split = wds.shardlists.split_by_worker
    stream = wds.WebDataset(tars, shardshuffle=False, workersplitter=split, empty_check=False).shuffle(SHUFFLE)
    return DataLoader(stream.map(_of_tar), batch_size=batch, num_workers=workers)


def _of_tar(sample: dict[str, Any]) -> Sample:
    members = sorted(key for key in sample if key.endswith(("jpg", "png")))
    return decoded([sample[k] for k in members if k.endswith("jpg")], [sample[k] for k in members if k.endswith("png")])


def datasets(place: str, workers: int, batch: int, epoch: int) -> Batches:
    """On a disk memory-mapped with random access, from a bucket streamed with a shuffle buffer."""
    from datasets import load_dataset

    if "://" in place:
        files = [f"s3://{name}" for name in sorted(fsspec.filesystem("s3").find(place))]
        stream = load_dataset("parquet", data_files=files, split="train", streaming=True)
        stream = stream.shuffle(seed=epoch, buffer_size=SHUFFLE).map(_of_row)
        return DataLoader(stream, batch_size=batch, num_workers=workers)
    table = load_dataset("parquet", data_files=f"{place}/*.parquet", split="train", cache_dir=f"{place}-cache")
    order = torch.Generator().manual_seed(epoch)
    table = table.with_transform(_of_rows)
    return DataLoader(table, batch_size=batch, num_workers=workers, shuffle=True, generator=order)


def _of_row(row: dict[str, Any]) -> Sample:
    return decoded(row["image"], row["label"])


def _of_rows(rows: dict[str, Any]) -> dict[str, list[torch.Tensor]]:
    found = [decoded(images, labels) for images, labels in zip(rows["image"], rows["label"], strict=True)]
    return {key: [sample[key] for sample in found] for key in ("image", "label")}


def mosaicml() -> Any:
    """The package `streaming`. Its ready-made datasets, which want torchvision and more, are left out."""
    for name in ("vision", "multimodal", "text"):
        sys.modules.setdefault(f"streaming.{name}", types.ModuleType(f"streaming.{name}"))
    import streaming

    return streaming


class _Mds(IterableDataset[Sample]):
    def __init__(self, place: str, batch: int, epoch: int) -> None:
        self.local = tempfile.mkdtemp(prefix="mds-") if "://" in place else None  # what it fetches: as if a first epoch
        where = {"remote": place, "local": self.local} if self.local else {"local": place}
        self.inner = mosaicml().StreamingDataset(
            **where, shuffle=True, shuffle_seed=epoch, batch_size=batch, allow_unsafe_types=True
        )

    def __iter__(self) -> Iterator[Sample]:
        for sample in self.inner:
            yield decoded([image for image, _ in sample["clip"]], [label for _, label in sample["clip"]])

    def __del__(self) -> None:
        if self.local and torch.utils.data.get_worker_info() is None:
            shutil.rmtree(self.local, ignore_errors=True)


def mosaicml_streaming(place: str, workers: int, batch: int, epoch: int) -> Batches:
    mosaicml().base.util.clean_stale_shared_memory()
    return DataLoader(_Mds(place, batch, epoch), batch_size=batch, num_workers=workers)


LOADERS: dict[str, Make] = {
    "flowreel": flowreel,
    "flowreel-workers": flowreel_workers,
    "datasets": datasets,
    "webdataset": webdataset,
    "mosaicml": mosaicml_streaming,
    "folders": folders,
}
