"""How fast shuffled clips come as decoded batches: Flowreel's loader against Hugging Face datasets, WebDataset,
MosaicML Streaming and image folders. The same frames, the same decoder, in turn in every round.

    python -m benchmarks.loader DATA [--clips 40] [--rounds 3] [--s3 s3://bucket/place]

DATA: real sequences with images and labels, such as cityscapes-sample. Peers that are not installed are left out.
"""

import argparse
import gc
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks import loader_data
from benchmarks.common import count
from benchmarks.loader_peers import LOADERS
from flowreel.pipeline.storage import open_store

MODULES = {"mosaicml": "streaming", "datasets": "datasets", "webdataset": "webdataset"}  # what a peer needs
SETS = {"flowreel-workers": "flowreel"}  # what it reads, where that has another name
DISK_ONLY = {"folders"}  # a request per file: minutes an epoch
WRITERS = {
    "folders": loader_data.write_folders, "webdataset": loader_data.write_tars, "datasets": loader_data.write_parquet,
    "mosaicml": loader_data.write_mds,
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One epoch of one loader, everything opened anew."""

    place: str  # disk | bucket
    workers: int
    loader: str
    round: int
    first_s: float  # from nothing to the first batch
    seconds: float  # to the last one
    cpu_s: float  # of this process and its workers: what other programs on the machine hardly change
    clips: int
    frames: int


def once(loader: str, root: str, workers: int, batch: int, number: int) -> Run:
    began, used, first, clips, frames = time.perf_counter(), _cpu_s(), 0.0, 0, 0
    for made in LOADERS[loader](f"{root}/{SETS.get(loader, loader)}", workers, batch, number):
        first = first or time.perf_counter() - began
        clips += len(made["image"])
        frames += made["image"].shape[0] * made["image"].shape[1]
    seconds, place = time.perf_counter() - began, "bucket" if "://" in root else "disk"
    gc.collect()  # ends the workers, whose time counts only then
    return Run(place, workers, loader, number, first, seconds, _cpu_s() - used, clips, frames)


def _cpu_s() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(s.ru_utime + s.ru_stime for s in spent)


def measure(roots: Sequence[str], loaders: Sequence[str], args: argparse.Namespace) -> list[Run]:
    runs = []
    for number in range(args.rounds + 1):  # the first one warms caches and is left out
        for root in roots:
            for workers in args.workers:
                turn = number % len(loaders)
                for loader in [*loaders[turn:], *loaders[:turn]]:
                    if "://" in root and loader in DISK_ONLY:
                        continue
                    run = once(loader, root, workers, args.batch, number)
                    if run.clips != args.clips:
                        raise RuntimeError(f"{loader} gave {run.clips} clips of {args.clips}")
                    print(json.dumps(asdict(run)), file=sys.stderr, flush=True)
                    runs += [run] if number else []
    return runs


def table(runs: Sequence[Run]) -> str:
    """Medians; ratios are of Flowreel to each peer, round by round."""
    lines = ["| place | workers | loader | clips/s | frames/s | flowreel is times as fast | first batch, s"]
    lines[0] += " | CPU ms a frame |"
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for place, workers in dict.fromkeys((r.place, r.workers) for r in runs):
        here = [r for r in runs if (r.place, r.workers) == (place, workers)]
        ours = {r.round: r for r in here if r.loader == "flowreel"}
        for loader in dict.fromkeys(r.loader for r in here):
            found = [r for r in here if r.loader == loader]
            speed = statistics.median(r.clips / r.seconds for r in found)
            ratio = statistics.median(r.seconds / ours[r.round].seconds for r in found)
            cpu = statistics.median(r.cpu_s / r.frames for r in found) * 1000
            first = statistics.median(r.first_s for r in found)
            lines.append(
                f"| {place} | {workers} | {loader} | {speed:.1f} | {speed * found[0].frames / found[0].clips:.0f}"
                f" | {ratio:.2f} | {first:.2f} | {cpu:.2f} |"
            )
    return "\n".join(lines)


def memory(root: str, batch: int, epochs: int) -> list[int]:
    """MB that this process and its workers hold alone, at the end of each epoch of Flowreel's loader."""
    from torch.utils.data import DataLoader

    from flowreel.pipeline.reader.dataset import open_dataset
    from flowreel.pipeline.reader.torch_dataset import Samples
    from flowreel.pipeline.reader.torch_stream import ClipStream

    stream = ClipStream(Samples(open_dataset(f"{root}/flowreel")))
    loader, held = DataLoader(stream, batch_size=batch, num_workers=2, persistent_workers=True), []
    for epoch in range(epochs):
        stream.set_epoch(epoch)
        for _ in loader:
            pass
        held.append(sum(map(_private_mb, [os.getpid(), *(p.pid for p in multiprocessing.active_children() if p.pid)])))
    return held


def _private_mb(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) // 1024


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--clips", type=count, default=40)
    parser.add_argument("--batch", type=count, default=2, help="clips")
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--workers", type=count, nargs="+", default=[1, 2])
    parser.add_argument("--s3", metavar="URL", help="folder of a bucket to copy everything to and read from as well")
    args = parser.parse_args(arguments)
    loaders = [name for name in LOADERS if name not in MODULES or find_spec(MODULES[name])]
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        roots = [f"{folder}/sets"]
        loader_data.write_source(args.data, Path(folder, "source"), args.clips)
        dataset = loader_data.publish_real(Path(folder, "source"), Path(roots[0], "flowreel"))
        for name in WRITERS.keys() & loaders:
            WRITERS[name](dataset, Path(roots[0], name))
        if args.s3:
            local, remote = open_store(roots[0]), open_store(args.s3)
            for info in local.list():
                remote.write(info.path, local.read(info.path))
            roots.append(args.s3)
        runs = measure(roots, loaders, args)
        print(f"{os.cpu_count()} CPUs, {args.clips} clips of {runs[0].frames // runs[0].clips} frames\n\n{table(runs)}")
        print(f"\nMemory over 5 epochs, MB: {memory(roots[0], args.batch, 5)}")


if __name__ == "__main__":
    main()
