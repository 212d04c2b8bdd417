"""What the pipeline costs on top of the generator: `flowreel render` against the bare loop and two alternatives.

    python -m benchmarks.pipeline DATA                               # bundled 256x128, label2city_1024_g1 512x256; disk
    python -m benchmarks.pipeline DATA --s3 s3://bucket/place --readme benchmarks/README.md --keep runs.json
    python -m benchmarks.pipeline DATA --cases bundled --quick

DATA: real sequences with labels and instances, such as cityscapes-sample. Each way is a process of its own; all take
turns in every round, so that what else the machine does hits them alike, and ratios are of one round. ``--tries N``
makes a run again, up to N times, while other processes, or other machines on the same hardware, took more than 10 % of
the processors; the calmest counts. ``--keep`` adds to the runs that a file holds, for machines that are not free for
long: the table is of all of them; ``--rounds 0`` adds none.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.common import count, put
from benchmarks.subject import checkpoint_of
from benchmarks.throughput.process import WAYS, Run, run_way
from benchmarks.throughput.table import MARKERS, markdown
from benchmarks.throughput.work import Work, lengths, write_source
from flowreel.pipeline.generator.checkpoint import BUNDLED
from flowreel.pipeline.storage import open_store

OFFICIAL = "label2city_1024_g1"
CALM = 0.1  # of the processors: what others may take


@dataclass(frozen=True)
class Case:
    """A generator at a size, and clips that take long enough to show a steady state."""

    name: str
    size: tuple[int, int]
    frames: int  # of the shortest clip; each of the others has one more
    clips: int


CASES = {
    BUNDLED: Case(BUNDLED, (256, 128), 24, 40),
    OFFICIAL: Case(OFFICIAL, (512, 256), 15, 20),
}


def measure(case: Case, args: argparse.Namespace, folder: Path, done: list[Run]) -> list[Run]:
    """``rounds`` more runs of each way, on the disk or in the bucket."""
    root = args.s3 or str(folder / case.name)
    write_source(args.data, root, case.size, lengths(case.frames, case.clips))
    work = Work(root, "", checkpoint_of(case.name, folder), case.size, args.cpus)
    begin = max((run.round for run in done), default=-1) + 1
    for number in range(begin, begin + args.rounds):
        turn = number % len(args.ways)
        for way in (*args.ways[turn:], *args.ways[:turn]):
            done.append(calm_run(way, replace(work, target=f"{way}-{number}"), number, args.tries))
    _remove(replace(work, target="source"))
    return done


def calm_run(way: str, work: Work, number: int, tries: int) -> Run:
    """The calmest of at most so many."""
    runs: list[Run] = []
    while len(runs) < tries and all(run.others > CALM * work.cpus for run in runs):
        runs.append(run_way(way, work, number))
        others = f"others {runs[-1].others / work.cpus:.0%}"
        print(f"round {number}: {way}: {runs[-1].steady:.3g} frames/s, {others}", file=sys.stderr, flush=True)
        _remove(work)
    return min(runs, key=lambda run: run.others)


def _remove(work: Work) -> None:
    if "://" not in work.root:
        shutil.rmtree(work.results, ignore_errors=True)
        return
    store = open_store(work.results)
    store.delete(*(info.path for info in store.list()))


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--cases", choices=CASES, nargs="+", default=[*CASES], help="generators, each at its size")
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=[*WAYS])
    parser.add_argument("--s3", metavar="URL", help="folder of a bucket to work in instead of a temporary one on disk")
    parser.add_argument("--rounds", type=int, default=3, help="that each case is measured (3)")
    parser.add_argument("--tries", type=count, default=1, help="of a run, until the machine is calm (1)")
    parser.add_argument("--cpus", type=count, default=os.cpu_count(), help="of the worker (all)")
    parser.add_argument("--quick", action="store_true", help="a few frames: to see that it works")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="JSON of runs, to which these are added")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="replaces what stands between its markers")
    args = parser.parse_args(given)
    kept: dict[str, list[Run]] = {}
    if args.keep and args.keep.exists():
        kept = {name: [Run(**run) for run in runs] for name, runs in json.loads(args.keep.read_text()).items()}
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        for name in args.cases if args.rounds > 0 else ():
            case = replace(CASES[name], frames=2, clips=3) if args.quick else CASES[name]
            key = f"{name}, {case.size[0]}x{case.size[1]}, {'S3 endpoint' if args.s3 else 'local disk'}"
            kept[key] = measure(case, args, Path(folder), kept.get(key, []))
            if args.keep:
                args.keep.write_text(json.dumps({key: [asdict(run) for run in runs] for key, runs in kept.items()}))
    table = markdown(kept, args.cpus)
    print(table)
    if args.readme:
        put(args.readme, table, MARKERS)


if __name__ == "__main__":
    main()
