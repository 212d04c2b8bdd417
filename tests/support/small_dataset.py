"""A dataset that is cheap to refresh: one or two tiny frames a sequence, rendered in this process, for real."""

import io
import os
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from flowreel.jobs.refresh import refresh
from flowreel.jobs.render import Result
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.dataset.runs import summary
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.versions import MANIFEST_FILE, SHARDS_FILE, Version
from flowreel.pipeline.generator.engine import Engine, engine_for
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.maintenance.gc import Garbage
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.render.shard import ShardRenderer
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.spec import Spec

SIZE = (32, 16)
_engines: dict[str, Engine] = {}
_device = threading.Semaphore()  # threads that refresh take turns with the engine, as those of an actor do


def render_here(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
    """In place of Ray's actors: the same renderer, one shard after the other."""
    checkpoint = prepared.job.checkpoint
    with _device:
        if checkpoint.digest not in _engines:
            _engines[checkpoint.digest] = engine_for(load_generator(checkpoint, "cpu"))
    renderer = ShardRenderer(prepared.job, prepared.plan.plan_id, _engines[checkpoint.digest])
    renderer.device = _device
    for shard in done.left():
        yield renderer.render(shard)


@dataclass(frozen=True)
class Small:
    """A source on disk, and a dataset anywhere."""

    source: Path
    dataset: str
    checkpoint: Path

    @property
    def store(self) -> Store:
        return open_store(self.dataset)

    def spec(self, **groups: Any) -> Spec:
        tree: dict[str, Any] = {
            "dataset": {"uri": self.dataset, "report": False},
            "source": {"uri": str(self.source)},
            "generator": {"checkpoint": str(self.checkpoint), "size": list(SIZE), "precision": "float32"},
            "clips": {"frames": 2},
            "execution": {"num_gpus": 0},
        }
        for name, group in groups.items():
            tree[name] = tree.get(name, {}) | group if isinstance(group, dict) else group
        return Spec.model_validate(tree)

    def add(self, name: str, content: int, frames: int = 1) -> None:
        """A sequence whose label maps follow from ``content``; replaces what is there."""
        folder = self.source / name / "labels"
        folder.mkdir(parents=True, exist_ok=True)
        for t in range(frames):
            ids_HW = np.full(SIZE[::-1], 7, np.uint8)
            ids_HW[:, : 1 + content % SIZE[0]] = 26
            ids_HW[: 1 + t, content // SIZE[0] % SIZE[0] :] = 23
            part = folder / f"{t:03d}.part"
            part.write_bytes(encode_ids(ids_HW))
            os.utime(part, ns=(content, content))  # the same size at the same time would pass for the same file
            part.rename(folder / f"{t:03d}.png")  # whole from the first moment: someone may be listing

    def remove(self, name: str) -> None:
        for path in (self.source / name / "labels").iterdir():
            path.unlink()

    def refresh(
        self, display: Display | None = None, grace_s: float = 0.0, **groups: Any
    ) -> tuple[Result, Garbage | None]:
        return refresh(self.spec(**groups), grace_s, display or Quiet(), render_here)


class Quiet(Display):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str, level: str = "info", **ids: str) -> None:
        self.said.append(text)


def run_records(store: Store) -> list[str]:
    """What runs have left but for their summaries."""
    return [info.path for info in store.list("runs") if not info.path.startswith(summary.FOLDER)]


def missing(version: Version) -> list[str]:
    """What a version names and its dataset does not hold in full length, down to the row groups of the manifest."""
    shards = {row["path"]: row["size"] for row in version.table(SHARDS_FILE).to_pylist()}
    sizes = {info.path: info.size for info in version.dataset.list("data")}
    lost = [path for path, size in shards.items() if sizes.get(path) != size]
    named = version.table(MANIFEST_FILE, ["shard", "row_group", "clip_id"])
    held = {}
    for path in set(named["shard"].to_pylist()) - set(lost):
        file = pq.ParquetFile(io.BytesIO(version.dataset.read(path)))
        for group in range(file.num_row_groups):
            held[path, group] = file.read_row_group(group, columns=["clip_id"])["clip_id"][0].as_py()
    rows = [row for row in named.to_pylist() if row["shard"] not in lost]
    lost += [f"{r['shard']}: {r['clip_id']}" for r in rows if held.get((r["shard"], r["row_group"])) != r["clip_id"]]
    return lost


def clip_ids(version: Version) -> list[str]:
    """One per clip of the manifest, also where a clip should stand in it twice."""
    rows = version.manifest(["clip_id", "frame_index"]).to_pylist()
    return sorted(row["clip_id"] for row in rows if row["frame_index"] == 0)
