"""Planning, a refresh that finds nothing to do, and publishing, against the size of the dataset.

    python -m benchmarks.scale [--clips N ...] [--refresh N ...] [--shards N ...] [--json FILE]

The catalog is synthetic: sequences of 30 frames (refresh: 10) in 10 variants, one clip each, no pixels anywhere.
Listing (through a made-up bucket), index, planner, plan file, manifest and commit are the real code on a local disk.
Each size is measured in a process of its own.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Cost, measured, table
from benchmarks.synthetic import (
    LABELS,
    manifest_rows_of,
    synthetic_index,
    synthetic_sequences,
    write_data_files,
)
from flowreel.jobs.render import render
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.manifest_writer import write_manifest
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.runs.plan_file import save_plan
from flowreel.pipeline.dataset.versions import FAILURES_FILE, MANIFEST_FILE, SHARDS_FILE, folder
from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
from flowreel.pipeline.parquet import parquet_bytes
from flowreel.pipeline.planning.planner import SHARD_FRAMES, Inputs, Published, plan
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.publish import commit
from flowreel.pipeline.publish.draft import draft_version
from flowreel.pipeline.render.job import RenderJob
from flowreel.pipeline.sources.file_index import save_index
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import open_store
from flowreel.schemas.manifest import FAILURES, SHARDS
from flowreel.schemas.outcome import DataFile, Rendered, ShardOutcome
from flowreel.schemas.plan import Plan, RenderSettings
from flowreel.schemas.shards import Shards
from flowreel.schemas.spec import Spec
from flowreel.schemas.version import Counts, FileRecord

VARIANTS, FRAMES, REFRESH_FRAMES = 10, 30, 10
CLIPS = (1_000_000, 3_000_000, 10_000_000)
REFRESH = (100_000, 300_000, 1_000_000)
SHARDS_TO_PUBLISH = (10_000, 30_000, 100_000)
NOWHERE = f"synthetic://1x{FRAMES}"
CPU = RenderSettings("cpu", 1, "float32", (512, 256), "0" * 32)
GPU = RenderSettings("cuda", 8, "bfloat16", (512, 256), "0" * 32)


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


def make_job(spec: Spec, settings: RenderSettings) -> RenderJob:
    checkpoint = read_checkpoint(checkpoint_store("bundled", {}))
    source, dataset = open_store(spec.source.uri), open_store(spec.dataset.uri)
    return RenderJob(spec, open_label_space("cityscapes", {}), settings, checkpoint, source, dataset)


def make_plan(clips: int, job: RenderJob) -> Plan:
    """Of clips that are all new."""
    inputs = Inputs(job.spec, job.space, job.settings, job.checkpoint.config.n_frames, False)
    return plan(synthetic_sequences(clips // VARIANTS, FRAMES), inputs, Published())


def measure_planning(clips: int, root: Path) -> list[Cost]:
    """All clips are new: nothing is published yet."""
    costs: list[Cost] = []
    job = make_job(make_spec(root, NOWHERE, FRAMES), GPU)
    inputs = Inputs(job.spec, job.space, job.settings, job.checkpoint.config.n_frames, False)
    sequences = synthetic_sequences(clips // VARIANTS, FRAMES)
    with measured("plan", clips, costs):
        planned = plan(sequences, inputs, Published())
    assert planned.clip_count == clips
    with measured("save the plan as Parquet", clips, costs):
        save_plan(job.dataset, "plan.parquet", planned.shards)
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
    files = {MANIFEST_FILE: commit.file_record(place)}
    dataset.upload(f"{folder(1)}/{MANIFEST_FILE}", place)
    for name, schema in ((FAILURES_FILE, FAILURES), (SHARDS_FILE, SHARDS)):
        data = parquet_bytes(schema.empty_table())
        files[name] = FileRecord(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        dataset.write(f"{folder(1)}/{name}", data)
    record = commit._record(prepared.job, prepared.plan, 1, counts, files)
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


def clips_per_shard(settings: RenderSettings) -> int:
    return SHARD_FRAMES[settings.device] // FRAMES


def make_shards(settings: RenderSettings, shards: int, root: Path) -> None:
    """Data files of a plan with so many shards. Those of a smaller plan are among them."""
    planned = make_plan(shards * clips_per_shard(settings), make_job(make_spec(root, NOWHERE, FRAMES), settings))
    with open(root / "files.jsonl", "w") as out:
        for file in write_data_files(root, planned.shards):
            out.write(json.dumps(asdict(file)) + "\n")


def measure_publishing(settings: RenderSettings, shards: int, root: Path) -> list[Cost]:
    """Clips of 30 frames; on CPUs two in a shard: 60 rows of the manifest from each footer. On GPUs 480."""
    costs: list[Cost] = []
    place = root / f"dataset-{shards}"
    place.mkdir()
    (place / "data").symlink_to(root / "data")
    job = make_job(make_spec(place, NOWHERE, FRAMES), settings)
    planned = make_plan(shards * clips_per_shard(settings), job)
    assert len(planned.shards) == shards
    with measured("publish", shards, costs):
        done = Ledger(planned.shards, outcomes(planned.shards, root / "files.jsonl"))
        version = commit.commit(job, planned, draft_version(job, planned, done, None))
    assert version.record.counts.frames == planned.frame_count
    return costs


def outcomes(shards: Shards, files: Path) -> Iterator[ShardOutcome]:
    """As workers send them, one at a time."""
    with open(files) as lines:
        for m, line in zip(range(len(shards)), lines, strict=False):
            ids = shards.clip_C16[int(shards.first_M1[m]) : int(shards.first_M1[m + 1])]
            clips = tuple(Rendered(row.tobytes().hex(), FRAMES) for row in ids)
            yield ShardOutcome(shards.id_M16[m].tobytes().hex(), DataFile(**json.loads(line)), clips)


STEPS: dict[str, Callable[[int, Path], Any]] = {
    "planning": measure_planning,
    "make-published": publish_synthetic,
    "refresh": measure_refresh,
    "make-shards": partial(make_shards, CPU),
    "publishing": partial(measure_publishing, CPU),
    "make-gpu-shards": partial(make_shards, GPU),
    "gpu-publishing": partial(measure_publishing, GPU),
}


def apart(step: str, size: int, root: Path) -> list[Cost]:
    """Runs a step in a process of its own."""
    print(f"{step} {size:,} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.scale", "--alone", step, str(size), str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    costs = [Cost(**cost) for cost in json.loads(done.stdout.splitlines()[-1])]
    for cost in costs:
        print(f"  {cost.step}: {cost.wall_s:.1f} s, {cost.peak_mib:,.0f} MiB", file=sys.stderr, flush=True)
    return costs


def all_costs(args: argparse.Namespace) -> list[Cost]:
    costs: list[Cost] = []
    for clips in args.clips:
        with tempfile.TemporaryDirectory() as root:
            costs += apart("planning", clips, Path(root))
    for clips in args.refresh:
        with tempfile.TemporaryDirectory() as root:
            apart("make-published", clips, Path(root))
            costs += apart("refresh", clips, Path(root))
    if args.shards:
        with tempfile.TemporaryDirectory() as root:
            apart("make-shards", max(args.shards), Path(root))
            for shards in args.shards:
                costs += apart("publishing", shards, Path(root))
    return sorted(costs, key=lambda cost: [c.step for c in costs].index(cost.step))


def _table(costs: Sequence[Cost]) -> str:
    head = ["step", "size", "wall time", "CPU time", "memory before", "peak memory", "CPU per million"]
    rows = []
    for c in costs:
        size = f"{c.size:,} {'shards' if c.step == 'publish' else 'clips'}"
        memory = [f"{c.before_mib:,.0f} MiB", f"{c.peak_mib:,.0f} MiB"]
        rows.append([c.step, size, f"{c.wall_s:.1f} s", f"{c.cpu_s:.1f} s", *memory, f"{c.cpu_s / c.size * 1e6:.1f} s"])
    return table(head, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["--alone"]:
        step, size, root = given[1:]
        costs = STEPS[step](int(size), Path(root)) or []
        print(json.dumps([asdict(cost) for cost in costs]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="*", default=CLIPS, help="to plan")
    parser.add_argument("--refresh", type=int, nargs="*", default=REFRESH, help="published clips to refresh")
    parser.add_argument("--shards", type=int, nargs="*", default=SHARDS_TO_PUBLISH, help="to publish")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    args = parser.parse_args(given)
    costs = all_costs(args)
    print(_table(costs))
    if args.json:
        args.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=2))


if __name__ == "__main__":
    main()
