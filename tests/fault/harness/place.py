"""A source of tiny clips, a tiny generator, and what an undisturbed run makes of them."""

import hashlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
import yaml

from flowreel.jobs.render import render_by
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.versions import FAILURES_FILE, Version, open_version
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.loading import save_checkpoint
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.render.shard import ShardRenderer
from flowreel.pipeline.storage import open_store
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.parse import parse_spec
from tests.fault.harness.engine import Load

SIZE = (64, 32)
LENGTHS = range(3, 15)  # frames of sequences: a shard holds clips of one length, so each gets its own
CLASSES = (7, 8, 11, 13, 21, 22, 23, 24, 26)
PLACED = ("shard", "row_group", "row")  # manifest columns that say where a clip lies, not what it is


@dataclass(frozen=True)
class Verdict:
    """A published version against the undisturbed one."""

    clips: int = 0
    lost: int = 0  # neither in the manifest nor among the failures
    duplicated: int = 0  # in more than one place
    differing: int = 0  # published with other pixels, labels or manifest rows
    failed: tuple[dict[str, Any], ...] = ()  # rows of failures.parquet
    identical: bool = True  # data files and manifest, byte for byte

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.differing)


class Place:
    """A folder with all that a render needs. A sequence is one clip. ``sick``: label ids that stand in one frame of one
    clip each."""

    def __init__(
        self, folder: Path, sequences: int, sick: tuple[int, ...] = (), lengths: Sequence[int] = LENGTHS
    ) -> None:
        self.folder, self.source, self.checkpoint = folder, folder / "source", folder / "checkpoint"
        rng = np.random.default_rng(0)
        for s in range(sequences):
            labels = self.source / f"seq_{s:03d}" / "labels"
            labels.mkdir(parents=True)
            for t in range(lengths[s % len(lengths)]):
                blocks = rng.choice(CLASSES, (SIZE[1] // 4, SIZE[0] // 4)).astype(np.uint8)
                if s < len(sick) and t == lengths[0] - 1:
                    blocks[0, 0] = sick[s]
                (labels / f"{t:06d}.png").write_bytes(encode_ids(np.kron(blocks, np.ones((4, 4), np.uint8))))
        config = GeneratorConfig(ngf=4, n_downsample=2, n_blocks=2, n_scales=2, size=SIZE)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_checkpoint(open_store(str(self.checkpoint)), VideoGenerator(config))

    def spec(self, dataset: Path | str, report: bool = False, **groups: dict[str, Any]) -> Path:
        """A spec file beside the source; ``groups`` are merged into it."""
        tree: dict[str, Any] = {
            "dataset": {"uri": str(dataset), "name": "same", "report": report},
            "source": {"uri": str(self.source)},
            "generator": {"checkpoint": str(self.checkpoint)},
            "clips": {"frames": 0},
            "execution": {"num_gpus": 0, "num_cpus": 1, "workers": [1, 2]},
        }
        for name, group in groups.items():
            tree[name] = tree.get(name, {}) | group
        name = hashlib.sha256(str(dataset).encode()).hexdigest()[:12]
        place = self.folder / f"{name}.yaml"
        place.write_text(yaml.safe_dump(tree))
        return place


def data_files(dataset: Path) -> dict[str, bytes]:
    """What readers would take for finished data files now, by name."""
    return {path.name: path.read_bytes() for path in dataset.glob("data/*.parquet")}


class Undisturbed:
    """What a run without faults publishes: in this process, without Ray, or as ``published`` by a command."""

    def __init__(self, place: Place, published: Path | None = None) -> None:
        self.folder = dataset = published or place.folder / "undisturbed"
        if published is None:
            with _one_thread():
                render_by(_here, parse_spec(place.spec(dataset).read_text()), Display())
        version = open_version(open_store(str(dataset)))
        self.clips, self._manifest = _contents(version, dataset), _manifest_bytes(version, dataset)
        self.files = {name: hashlib.sha256(data).digest() for name, data in data_files(dataset).items()}

    def clips_in(self, dataset: Path) -> int:
        """Clips in a dataset's finished data files."""
        return sum(pq.read_metadata(path).num_row_groups for path in dataset.glob("data/*.parquet"))

    def half_written(self, dataset: Path) -> list[str]:
        """Data files of the same source that are not what they should be: there must be none at any moment."""
        found = data_files(dataset)
        return [name for name, data in found.items() if self.files.get(name) != hashlib.sha256(data).digest()]

    def compare(self, dataset: Path) -> Verdict:
        version = open_version(open_store(str(dataset)))
        mine = _contents(version, dataset)
        failed = version.table(FAILURES_FILE).to_pylist()
        places = Counter(mine.elements()) + Counter((row["clip_id"], "failed") for row in failed)
        count = Counter(clip_id for clip_id, _ in places.elements())
        theirs, published = dict(self.clips.elements()), dict(mine.elements())
        return Verdict(
            clips=len(published),
            lost=len(theirs.keys() - count.keys()),
            duplicated=sum(n > 1 for n in count.values()),
            differing=sum(theirs.get(clip_id) != content for clip_id, content in published.items()),
            failed=tuple(failed),
            identical=not self.half_written(dataset)
            and len(data_files(dataset)) == len(self.files)
            and _manifest_bytes(version, dataset) == self._manifest,
        )


def _here(prepared: Prepared, done: Ledger, _: Display) -> Generator[ShardOutcome, None, None]:
    engine = Load()(prepared.job.checkpoint, prepared.job.settings)
    renderer = ShardRenderer(prepared.job, prepared.plan.plan_id, engine)
    yield from map(renderer.render, done.left())


@contextmanager
def _one_thread() -> Iterator[None]:
    """As workers with one CPU have: sums depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _manifest_bytes(version: Version, dataset: Path) -> bytes:
    return (dataset / f"versions/{version.number:06d}/manifest.parquet").read_bytes()


def _contents(version: Version, dataset: Path) -> Counter[tuple[str, str]]:
    """Clips with a hash of their manifest rows and media, as often as they are in the version."""
    rows = version.manifest().to_pylist()
    by_clip: dict[tuple[str, str, int], Any] = {}
    for row in rows:
        place = (row["clip_id"], row["shard"], row["row_group"])
        by_clip.setdefault(place, hashlib.sha256()).update(
            repr([value for name, value in row.items() if name not in PLACED]).encode()
        )
    files = {shard: pq.ParquetFile(dataset / shard) for shard in {row["shard"] for row in rows}}
    for (_, shard, group), digest in by_clip.items():
        digest.update(repr(files[shard].read_row_group(group).to_pylist()).encode())
    return Counter((clip_id, digest.hexdigest()) for (clip_id, _, _), digest in by_clip.items())
