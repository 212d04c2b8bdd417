"""Hundreds of actors that sleep, thousands of shards: what the driver takes, and what it would for a thousand GPUs.

    python -m benchmarks.simulation [--actors 2 20 200] [--shards 100 1000 10000] [--rate 100] [--cpu] [--readme FILE]

Each number of actors has a cluster and a driver of its own on this machine. Planner, dispatcher, actors, records and
ledger are the real ones; generators sleep, so that all actors together finish ``--rate`` shards a second. Shards are
those of GPUs (480 frames), with ``--cpu`` of CPUs (60). The tables go into benchmarks/README.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import README, circumstances, count, put_section
from benchmarks.scale import CPU, FRAMES, GPU, apart, clips_per_shard
from benchmarks.simulation.model import fitted
from benchmarks.simulation.run import Stage, Start, simulate
from benchmarks.simulation.tables import Publishing, report

PLANNED, PUBLISHED = 100_000, 1000  # clips, shards: what planning and publishing are measured with


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=count, nargs="+", default=[2, 20, 200])
    parser.add_argument("--shards", type=count, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--rate", type=float, default=100.0, help="shards a second, of all actors together")
    parser.add_argument("--cpu", action="store_true", help="shards as they are on CPUs")
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.alone:
        with tempfile.TemporaryDirectory(prefix="flowreel-simulation-") as folder:
            (actors,) = args.actors
            start, stages = simulate(Path(folder), actors, args.shards, actors / args.rate, not args.cpu)
        print(json.dumps({"start": asdict(start), "stages": [asdict(stage) for stage in stages]}))
        return
    starts, stages = [], []
    for actors in args.actors:
        start, found = _apart(actors, args)
        starts.append(start)
        stages += found
    costs = fitted(stages, starts)
    text = report(starts, stages, costs, _publishing("" if args.cpu else "gpu-"))
    print(text)
    put_section(args.readme, "benchmarks/simulation", f"## Scale, simulated\n\n{circumstances()}.\n\n{text}")


def _apart(actors: int, args: argparse.Namespace) -> tuple[Start, list[Stage]]:
    """In a process of its own: memory that an earlier driver has freed would hide what this one needs."""
    print(f"{actors} actors ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.simulation", "--alone", "--actors", str(actors)]
    command += ["--shards", *map(str, args.shards), "--rate", str(args.rate), *(["--cpu"] if args.cpu else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return Start(**found["start"]), [Stage(**stage) for stage in found["stages"]]


def _publishing(kind: str) -> Publishing:
    """Planning and publishing, as `benchmarks.scale` measures them, on small sizes."""
    with tempfile.TemporaryDirectory() as folder:
        planning = apart("planning", PLANNED, Path(folder))
        apart(f"make-{kind}shards", PUBLISHED, Path(folder))
        publishing = apart(f"{kind}publishing", PUBLISHED, Path(folder))
    frames = PUBLISHED * clips_per_shard(GPU if kind else CPU) * FRAMES
    return Publishing(sum(c.wall_s for c in planning) / PLANNED, sum(c.wall_s for c in publishing) / frames)


if __name__ == "__main__":
    main()
