"""Driver memory against the number of clips: it must stay flat, since media and outcomes go to storage, not through it.

    python -m benchmarks.driver_memory [--clips 100 2000]

Renders tiny clips with a stub generator (grey frames; everything else is real: Ray, files, planner, publishing), each
count in a process of its own, and prints the resident memory of the driver.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from flowreel.jobs.render import render
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.rollout import Frame, RolloutState
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec

SIZE, CLIP_FRAMES, CLIPS_PER_SEQUENCE = (32, 32), 2, 50


class GreyEngine:
    """An engine that costs nothing."""

    ahead, concurrent = 1, True

    def __init__(self, checkpoint: Checkpoint, settings: RenderSettings) -> None:
        self.config = checkpoint.config
        self.generator = cast(VideoGenerator, PaintPot(self.config))

    def encode(self, frame: Tensor, instance_BHW: Tensor | None) -> None:
        return None

    def prepare(self, windows: Sequence[Any]) -> list[Any]:
        return list(windows)

    def step(self, state: RolloutState, looked: Any) -> tuple[RolloutState, Frame]:
        greys = [history[:, :3] * 0 for history in state.history]
        return state.after(greys), Frame(greys[-1], greys[-1], None, None)


class PaintPot(torch.nn.Linear):
    """As much of a generator as is looked at before the first frame."""

    def __init__(self, config: AnyConfig) -> None:
        super().__init__(1, 1)
        self.config, self.device = config, torch.device("cpu")


def rss_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def measure(clips: int, folder: Path) -> dict[str, float]:
    """Renders ``clips`` clips and samples this process' memory."""
    rng = np.random.default_rng(0)
    for sequence in range(-(-clips // CLIPS_PER_SEQUENCE)):
        labels = folder / "source" / f"s{sequence:04d}" / "labels"
        labels.mkdir(parents=True)
        for t in range(CLIP_FRAMES * min(CLIPS_PER_SEQUENCE, clips - sequence * CLIPS_PER_SEQUENCE)):
            ids = np.full(SIZE, 7, np.uint8)
            ids[: rng.integers(1, 32)] = 23
            (labels / f"{t:06d}.png").write_bytes(encode_ids(ids))
    spec = Spec.model_validate(
        {
            "dataset": {"uri": str(folder / "dataset")},
            "source": {"uri": str(folder / "source")},
            "generator": {"size": SIZE},
            "clips": {"frames": CLIP_FRAMES},
            "execution": {"num_gpus": 0, "num_cpus": 1, "workers": [1, 2]},
        }
    )
    samples, done = [rss_mb()], threading.Event()

    def sample() -> None:
        while not done.wait(0.2):
            samples.append(rss_mb())

    sampler, began = threading.Thread(target=sample), time.monotonic()
    sampler.start()
    result = render(spec, Display(), load=GreyEngine)
    done.set()
    sampler.join()
    assert result.version is not None
    assert result.version.record.counts.clips == clips
    return {"clips": clips, "start_mb": samples[0], "peak_mb": max(samples), "seconds": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(args.clips[0], Path(folder))))
        return
    rows = []
    for clips in args.clips:
        command = [sys.executable, __file__, "--alone", "--clips", str(clips)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        r = rows[-1]
        line = f"{r['clips']:6,.0f} clips: driver {r['start_mb']:.0f} MB before, {r['peak_mb']:.0f} MB at most"
        print(f"{line}, {r['seconds']:.0f} s", flush=True)
    per_clip = (rows[-1]["peak_mb"] - rows[0]["peak_mb"]) / max(1, rows[-1]["clips"] - rows[0]["clips"])
    print(f"ratio of the peaks {rows[-1]['peak_mb'] / rows[0]['peak_mb']:.3f}; {per_clip * 1000:.1f} kB per clip more")


if __name__ == "__main__":
    main()
