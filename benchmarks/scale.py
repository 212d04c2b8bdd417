"""Planning, a refresh that finds nothing to do, and publishing, against the size of the dataset.

    python -m benchmarks.scale [--clips N ...] [--refresh N ...] [--shards N ...] [--json FILE]

The catalog is synthetic: sequences of 30 frames (refresh: 10) in 10 variants, one clip each, no pixels anywhere.
Listing (through a made-up bucket), index, planner, plan file, manifest and commit are the real code on a local disk.
Each size is measured in a process of its own.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.synthetic import (
    LABELS,
    manifest_rows_of,
    synthetic_index,
    synthetic_sequences,
    write_data_files,
)
from jobs.progress import Display
from jobs.render import render
from pipeline import publish
from pipeline.file_index import save_index
from pipeline.label_spaces import open_label_space
from pipeline.manifest_file import write_manifest
from pipeline.plan_file import save_plan
from pipeline.planner import Held, Inputs, plan
from pipeline.prepare import prepare
from pipeline.storage import open_store
from pipeline.versions import FAILURES_FILE, MANIFEST_FILE, SHARDS_FILE, folder
from schemas.manifest import FAILURES, SHARDS
from schemas.plan import Plan, RenderSettings
from schemas.spec import Spec
from schemas.version import Counts

VARIANTS, FRAMES, REFRESH_FRAMES = 10, 30, 10
CLIPS, REFRESH, SHARD_COUNTS = (
    (1_000_000, 3_000_000, 10_000_000),
    (100_000, 300_000, 1_000_000),
    (10_000, 30_000, 100_000),
)


@dataclass
class Cost:
    """What a step took."""

    step: str
    size: int
    wall_s: float
    cpu_s: float
    before_mib: float  # of memory, with the synthetic catalog
    peak_mib: float


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def measured(step: str, size: int, into: list[Cost]) -> Iterator[None]:
    before, wall, cpu = peak_mib(), time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    into.append(Cost(step, size, wall, cpu, before, peak_mib()))


def make_spec(dataset: Path, source: str, frames: int) -> Spec:
    return Spec.model_validate(
        {
            "dataset": {"uri": str(dataset)},
            "source": {"uri": source, "labels": LABELS},
            "generator": {"size": (512, 256)},
            "clips": {"frames": frames},
            "variants": [{"seed": seed} for seed in range(VARIANTS)],
            "execution": {"num_gpus": 0},
        }
    )


def make_plan(clips: int, spec: Spec, device: Any = "cpu") -> Plan:
    settings = RenderSettings(device, 1, "float32", (512, 256), "0" * 32)
    space = open_label_space("cityscapes", {})
    sequences = synthetic_sequences(clips // VARIANTS, FRAMES)
    return plan(sequences, Inputs(spec, space, settings, 3, False), Held())


def measure_planning(clips: int, root: Path) -> list[Cost]:
    """All clips are new: nothing is published yet."""
    costs: list[Cost] = []
    spec = make_spec(root, "nowhere", FRAMES)
    settings = RenderSettings("cuda", 8, "bfloat16", (512, 256), "0" * 32)
    inputs = Inputs(spec, open_label_space("cityscapes", {}), settings, 3, False)
    sequences = synthetic_sequences(clips // VARIANTS, FRAMES)
    with measured("plan", clips, costs):
        planned = plan(sequences, inputs, Held())
    assert planned.clip_count == clips
    with measured("plan, saved as Parquet", clips, costs):
        save_plan(open_store(str(root)), "plan.parquet", planned.shards)
    return costs


def publish_synthetic(clips: int, root: Path) -> None:
    """A dataset whose newest version holds all that its spec wants, and an index of its source."""
    sequences = clips // VARIANTS
    uri = f"synthetic://{sequences}x{REFRESH_FRAMES}"
    spec = make_spec(root / "dataset", uri, REFRESH_FRAMES)
    dataset = open_store(spec.dataset.uri)
    save_index(dataset, synthetic_index(uri, sequences, REFRESH_FRAMES))
    prepared = prepare(spec)
    shards, place = prepared.plan.shards, root / MANIFEST_FILE
    step = 50_000
    totals = write_manifest(
        place, (manifest_rows_of(shards, range(i, min(i + step, clips))) for i in range(0, clips, step))
    )
    counts = Counts(
        sequences=sequences, clips=clips, frames=totals.frames, shards=len(shards), bytes=0,
        rendered=clips, reused=0, dropped=0, failed=0, rejected=0,
    )  # fmt: skip
    files = {MANIFEST_FILE: publish._record_of_file(place)}
    dataset.upload(f"{folder(1)}/{MANIFEST_FILE}", place)
    for name, schema in ((FAILURES_FILE, FAILURES), (SHARDS_FILE, SHARDS)):
        dataset.write(f"{folder(1)}/{name}", publish._parquet(schema.empty_table()))
    record = publish._record(prepared.job, prepared.plan, 1, counts, files)
    dataset.write(f"{folder(1)}/version.json", record.model_dump_json().encode())


def measure_refresh(clips: int, root: Path) -> list[Cost]:
    """The dataset of `publish_synthetic`, found up to date."""
    costs: list[Cost] = []
    spec = make_spec(root / "dataset", f"synthetic://{clips // VARIANTS}x{REFRESH_FRAMES}", REFRESH_FRAMES)
    with measured("refresh, nothing to do", clips, costs):
        result = render(spec, Display())
    assert result.version is not None and result.version.number == 1 and not result.published
    assert "ray" not in sys.modules and "torch" not in sys.modules
    return costs


def make_shards(shards: int, root: Path) -> None:
    """Data files of a plan with so many shards. Those of a smaller plan are among them."""
    planned = make_plan(shards * 2, make_spec(root, "nowhere", FRAMES))
    with open(root / "files.jsonl", "w") as out:
        for file in write_data_files(root / "dataset", planned.shards):
            out.write(json.dumps(asdict(file)) + "\n")


def measure_publishing(shards: int, root: Path) -> list[Cost]:
    """Two clips of 30 frames per shard, as on CPUs: 60 rows of the manifest from each footer."""
    costs: list[Cost] = []
    spec = make_spec(root / f"dataset-{shards}", "nowhere", FRAMES)
    planned = make_plan(shards * 2, spec)
    dataset = open_store(spec.dataset.uri)
    (root / f"dataset-{shards}").mkdir()
    (root / f"dataset-{shards}" / "data").symlink_to(root / "dataset" / "data")
    checkpoint = prepare(make_spec(root / "other", f"synthetic://1x{FRAMES}", FRAMES), dry=True) if False else None
    assert checkpoint is None
    return costs
