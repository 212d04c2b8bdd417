"""What sources cost that hold their frames in different ways: time and requests of a plan, and of reading all clips.

    python -m benchmarks.containers s3://bucket/place [--frames 10000] [--size 128x64]

The same label maps as PNGs, tar archives, one lossless video, and Parquet. Planning lists the source and reads all of
it once; a second plan knows what the first has kept; reading is what a worker does, clip by clip. Requests are those
that leave for the endpoint.
"""

import argparse
import io
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.common import count, size
from flowreel.pipeline.codec import decode_ids, encode_ids
from flowreel.pipeline.sources.catalog import scan
from flowreel.pipeline.sources.containers.members import MEMBERS
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.containers.store import ContainerStore
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.sources.verified_read import read_all_unchanged
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.source import SourceSpec

SEQUENCE, CLIP = 100, 30  # frames
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
Maps = list[NDArray[np.uint8]]
HEAD = "| frames as | objects | MB | plan | requests | planned again | requests | read all clips | requests |"


@dataclass(frozen=True)
class Case:
    """One way to hold the frames."""

    name: str
    source: dict[str, Any]
    write: Callable[[Store, Maps], None]


@dataclass(frozen=True)
class Step:
    """What a step took."""

    seconds: float
    requests: int


def draw(frames: int, width_height: tuple[int, int]) -> Maps:
    """Draws label maps (H, W) of blocks that move, with ids below 34."""
    rng = np.random.default_rng(0)
    width, height = width_height
    scene = np.kron(rng.integers(0, 34, (height // 8, width // 4)), np.ones((8, 8), np.int64)).astype(np.uint8)
    return [np.ascontiguousarray(np.roll(scene, t, axis=1)[:, :width]) for t in range(frames)]


def sequences(maps: Maps) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Yields names of sequences with the names and PNGs of their frames."""
    for first in range(0, len(maps), SEQUENCE):
        part = maps[first : first + SEQUENCE]
        yield f"drive_{first // SEQUENCE:05d}", [(f"{t:06d}", encode_ids(ids_HW)) for t, ids_HW in enumerate(part)]


def write_pngs(store: Store, maps: Maps) -> None:
    """Writes one object per frame."""
    files = [(f"{name}/labels/{frame}.png", png) for name, pngs in sequences(maps) for frame, png in pngs]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda file: store.write(*file), files))


def write_tars(store: Store, maps: Maps) -> None:
    """Writes one archive per sequence."""
    for name, pngs in sequences(maps):
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w") as archive:
            for frame, png in pngs:
                info = tarfile.TarInfo(f"labels/{frame}.png")
                info.size = len(png)
                archive.addfile(info, io.BytesIO(png))
        store.write(f"{name}.tar", sink.getvalue())


def write_video(store: Store, maps: Maps) -> None:
    """Writes all frames as one video in FFV1."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=17)
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = maps[0].shape
            stream.pix_fmt = "gray"
            for ids_HW in maps:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(ids_HW, format="gray")))
            container.mux(stream.encode())
        store.upload("drive.mkv", path)


def write_parquet(store: Store, maps: Maps) -> None:
    """Writes ten files with one row per frame, as Hugging Face's `datasets` does."""
    rows = [(name, frame, png) for name, pngs in sequences(maps) for frame, png in pngs]
    each = -(-len(rows) // 10)
    for k, first in enumerate(range(0, len(rows), each)):
        drives, frames, pngs = zip(*rows[first : first + each], strict=True)
        images = pa.array([{"bytes": png, "path": None} for png in pngs], IMAGE)
        sink = io.BytesIO()
        pq.write_table(pa.table({"drive": drives, "frame": frames, "label": images}), sink, row_group_size=SEQUENCE)
        store.write(f"data/train-{k:05d}-of-00010.parquet", sink.getvalue())


CASES = (
    Case("PNGs", {"labels": "{sequence}/labels/*.png"}, write_pngs),
    Case("tar per sequence", {"labels": "{sequence}.tar/labels/*.png"}, write_tars),
    Case("one FFV1 video", {"labels": "{sequence}.mkv"}, write_video),
    Case("Parquet", {"columns": {"sequence": "drive", "frame": "frame"}}, write_parquet),
)


@contextmanager
def measured(requests: Counter[str], steps: list[Step]) -> Iterator[None]:
    """Adds what the block takes to ``steps``."""
    before, began = requests.total(), time.perf_counter()
    yield
    steps.append(Step(time.perf_counter() - began, requests.total() - before))


def count_requests(remote: bool) -> Counter[str]:
    """Counts the requests of this process to S3 from now on, by their kind."""
    found: Counter[str] = Counter()
    for bucket in type(fsspec.filesystem("s3"))._cache.values() if remote else ():
        bucket.connect()
        bucket.s3.meta.events.register("before-send.s3", lambda event_name, **_: found.update([event_name]))
    return found


def run(case: Case, root: str, maps: Maps) -> str:
    """Writes, plans and reads one case; gives its row of the table."""
    store = open_store(f"{root}/{case.write.__name__}")
    store.delete(*(info.path for info in store.list()))
    case.write(store, maps)
    there = store.list()
    source = SourceSpec(uri=store.uri, fps=17, **case.source)
    space = open_label_space(source.label_space_name, {})
    requests, steps = count_requests(root.startswith("s3://")), list[Step]()
    with measured(requests, steps):
        opened = with_members(store, source, MEMBERS.empty_table)
        catalog = scan(opened, source, space, INDEX.empty_table())
    catalog.check()
    known = opened.members.select(MEMBERS.names) if isinstance(opened, ContainerStore) else MEMBERS.empty_table()
    with measured(requests, steps):
        assert scan(with_members(store, source, lambda: known), source, space, catalog.facts).read == 0
    pngs: list[bytes] = []
    with measured(requests, steps):
        for sequence in catalog.sequences:
            for first in range(0, len(sequence.frames), CLIP):
                files = [frame.label for frame in sequence.frames[first : first + CLIP]]
                pngs = read_all_unchanged(opened, files)
    np.testing.assert_array_equal(decode_ids(pngs[-1]), maps[-1])
    numbers = [f"{step.seconds:.1f} s | {step.requests:,}" for step in steps]
    return f"| {case.name} | {len(there):,} | {sum(i.size for i in there) / 1e6:.1f} | {' | '.join(numbers)} |"


def main(given: list[str] | None = None) -> int:
    """Runs all cases and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.containers", description=__doc__)
    parser.add_argument("root", help="folder of a bucket to write to; what lies in it is deleted")
    parser.add_argument("--frames", type=count, default=10_000)
    parser.add_argument("--size", type=size, default=(128, 64), metavar="WxH")
    args = parser.parse_args(given)
    maps = draw(args.frames, args.size)
    print(HEAD, "| --- | " + "--- | " * 8, sep="\n", flush=True)
    for case in CASES:
        print(run(case, args.root.rstrip("/"), maps), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
