"""The same clips as a Flowreel version and as each peer would have them, from real frames."""

import io
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from flowreel.pipeline.codec import decode_ids, decode_image, encode_ids
from flowreel.pipeline.dataset.data_file import build, describe
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.generator.clip_data import ClipFrames
from flowreel.pipeline.identity import shard_id
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.publish import commit
from flowreel.pipeline.publish.draft import draft_version
from flowreel.pipeline.reader.dataset import Dataset, open_dataset
from flowreel.pipeline.render.encode import encode_clip
from flowreel.pipeline.render.fetch import fetch_clip
from flowreel.schemas.outcome import Rendered, ShardOutcome
from flowreel.schemas.spec import Spec

Pair = tuple[bytes, bytes]  # image and label of a frame, as they are stored


def write_source(real: Path, root: Path, clips: int) -> None:
    """``clips`` sequences of real frames; those after the first round are moved sideways, so that no two are alike."""
    sequences = sorted(p for p in real.iterdir() if (p / "labels").is_dir())
    for i in range(clips):
        original, shift = sequences[i % len(sequences)], 37 * (i // len(sequences))
        for role in ("labels", "images"):
            (root / f"seq_{i:03d}" / role).mkdir(parents=True)
        folder = root / f"seq_{i:03d}"
        files = (sorted((original / role).iterdir()) for role in ("labels", "images"))
        for label, image in zip(*files, strict=True):
            ids = np.roll(decode_ids(label.read_bytes()), shift, axis=1)
            rgb = np.roll(decode_image(image.read_bytes()), shift, axis=1)
            (folder / "labels" / f"{label.stem}.png").write_bytes(encode_ids(ids))
            Image.fromarray(rgb).save(folder / "images" / f"{label.stem}.png", compress_level=1)


def publish_real(source: Path, target: Path) -> Dataset:
    """A version whose images are the real ones: what a render does, without its generator."""
    width, height = Image.open(next(source.rglob("labels/*.png"))).size
    spec = Spec.model_validate({
        "dataset": {"uri": str(target)}, "source": {"uri": str(source)},
        "generator": {"size": [width, height]}, "execution": {"num_gpus": 0},
    })  # fmt: skip
    prepared = prepare(spec)
    job, plan, outcomes = prepared.job, prepared.plan, []
    for shard in plan.shards:
        encoded = []
        for clip in shard.clips:
            files = sorted((source / clip.sequence_id / "images").iterdir())
            frames = ClipFrames(0, np.stack([decode_image(f.read_bytes()) for f in files]), None)
            encoded.append(encode_clip(clip, fetch_clip(clip, job), frames, {}, job))
        name = shard_id(e.clip_id for e in encoded)
        data = build(name, encoded)
        file = describe(name, data)
        job.dataset.write(file.path, data)
        outcomes.append(ShardOutcome(shard.shard_id, file, tuple(Rendered(e.clip_id, len(e.rows)) for e in encoded)))
    done = Ledger(plan.shards, outcomes)
    commit.commit(job, plan, draft_version(job, plan, done, None))
    return open_dataset(str(target))


def clips_of(dataset: Dataset) -> Iterator[list[Pair]]:
    for i in range(len(dataset)):
        rows = dataset.rows(i, ["image", "label"]).to_pylist()
        yield [(row["image"]["bytes"], row["label"]["bytes"]) for row in rows]


def write_folders(dataset: Dataset, root: Path) -> None:
    """A folder per clip, a file per image and label."""
    for i, clip in enumerate(clips_of(dataset)):
        folder = root / f"{i:05d}"
        folder.mkdir(parents=True)
        for t, (image, label) in enumerate(clip):
            (folder / f"{t:03d}.jpg").write_bytes(image)
            (folder / f"{t:03d}.png").write_bytes(label)


def write_tars(dataset: Dataset, root: Path) -> None:
    """Four clips a tar, a clip per sample: t.jpg and t.png are its members."""
    root.mkdir(parents=True)
    for number, clips in enumerate(_groups(clips_of(dataset))):
        with tarfile.open(root / f"{number:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for i, clip in enumerate(clips):
                for t, pair in enumerate(clip):
                    for ending, data in zip(("jpg", "png"), pair, strict=True):
                        entry = tarfile.TarInfo(f"{number:05d}_{i}.{t:03d}.{ending}")
                        entry.size = len(data)
                        tar.addfile(entry, io.BytesIO(data))


def write_parquet(dataset: Dataset, root: Path) -> None:
    """Four clips a file, a clip per row and row group."""
    root.mkdir(parents=True)
    for number, clips in enumerate(_groups(clips_of(dataset))):
        columns = [[[pair[k] for pair in clip] for clip in clips] for k in (0, 1)]
        table = pa.table(columns, schema=pa.schema([(name, pa.list_(pa.binary())) for name in ("image", "label")]))
        pq.write_table(
            table, root / f"{number:05d}.parquet", row_group_size=1, compression="none", use_dictionary=False
        )


def write_mds(dataset: Dataset, root: Path) -> None:
    """MosaicML's shards, a clip per sample."""
    from benchmarks.loader_peers import mosaicml

    with mosaicml().MDSWriter(out=str(root), columns={"clip": "pkl"}, size_limit=8 * 2**20) as writer:
        for clip in clips_of(dataset):
            writer.write({"clip": clip})


def _groups(clips: Iterator[list[Pair]]) -> Iterator[list[list[Pair]]]:
    while group := list(itertools.islice(clips, 4)):
        yield group
