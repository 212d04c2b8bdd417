"""What tests share: the data and reference folder beside the repository, and a real S3 server."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from flowreel.jobs.terminal.exit import exit_process

if TYPE_CHECKING:
    from flowreel.pipeline.dataset.versions import Version
    from flowreel.pipeline.planning.prepare import Prepared
    from flowreel.schemas.clip import Shard
    from flowreel.schemas.outcome import ShardOutcome
    from flowreel.schemas.spec import Spec
    from tests.support.small_dataset import Small

START_LIMIT_S = 60
os.environ.setdefault("RAY_worker_niceness", "0")  # else whatever else runs here starves the workers of Ray
S3_PAGE = 100  # keys in a page of the test server's listings, so that paging shows with few objects


SESSION = pytest.StashKey[pytest.Session]()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The process ends as commands do: a long run whose tests had all passed and been told of died of a segmentation
    fault after that, with threads in it that Ray leaves of every cluster it was connected to."""
    if SESSION in config.stash and not hasattr(config, "workerinput"):  # those of xdist have more to tell
        config.get_terminal_writer().flush()
        exit_process(config.stash[SESSION].exitstatus)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with data, reference and tools: beside the repository, or where FLOWREEL_SHARED says."""
    folder = Path(os.environ.get("FLOWREEL_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared folder at {folder}: set FLOWREEL_SHARED")
    return folder


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """Real sequences: cityscapes-sample, camvid-0016E5, pose-sample, face-sample."""
    if not (shared / "data").is_dir():
        pytest.skip(f"no data in {shared}")
    return shared / "data"


@pytest.fixture(scope="session")
def s3_env(shared: Path) -> Iterator[dict[str, Any]]:
    """A running S3 server, its keys and endpoint set in the environment: {endpoint, key, secret, region, env, ...}."""
    script = shared / "tools" / "start_s3.py"
    missing = [name for name in ("moto", "flask", "flask_cors", "s3fs") if find_spec(name) is None]
    if missing or not script.is_file():
        pytest.skip(f"no S3 server: {'not installed: ' + ', '.join(missing) if missing else f'no {script}'}")
    env = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(S3_PAGE)}
    server = subprocess.Popen([sys.executable, str(script), "moto"], stdout=subprocess.PIPE, text=True, env=env)
    try:
        ready = _first_line(server)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("AWS_PROFILE", raising=False)
            for name, value in ready["env"].items():
                patch.setenv(name, value)
            yield ready
    finally:
        server.terminate()
        server.wait(timeout=10)


def _first_line(server: "subprocess.Popen[str]") -> dict[str, Any]:
    assert server.stdout is not None
    readable, _, _ = select.select([server.stdout], [], [], START_LIMIT_S)
    line = server.stdout.readline() if readable else ""
    if not line:
        pytest.fail(f"the S3 server was not ready after {START_LIMIT_S} s, or ended with {server.poll()}")
    ready: dict[str, Any] = json.loads(line)
    return ready


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Pictures as small as those of the tests are rendered faster by one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint directory of a very small real generator with random weights: all parts, 64x32, T = 3."""
    import torch

    from flowreel.pipeline.generator.config import GeneratorConfig
    from flowreel.pipeline.generator.loading import save_checkpoint
    from flowreel.pipeline.generator.networks import VideoGenerator
    from flowreel.pipeline.storage import open_store

    config = GeneratorConfig(ngf=4, n_downsample=2, n_blocks=2, n_scales=2, size=(64, 32))
    folder = tmp_path_factory.mktemp("tiny-checkpoint")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(open_store(str(folder)), VideoGenerator(config))
    return folder


class MakeSource(Protocol):
    """Writes drawn sequences below ``root``: ``seq_00/labels/000000.png``, ``seq_00/instances/000000.png``, ..."""

    def __call__(
        self, root: Path, sequences: int = 2, frames: int = 5, size: tuple[int, int] = (64, 32), instances: bool = True
    ) -> Path: ...


@pytest.fixture(scope="session")
def make_source() -> MakeSource:
    """A source of procedurally drawn Cityscapes sequences, laid out as the default templates say; returns ``root``."""
    return _write_source


def _write_source(
    root: Path, sequences: int = 2, frames: int = 5, size: tuple[int, int] = (64, 32), instances: bool = True
) -> Path:
    for s in range(sequences):
        for role, files in _drawn(s, frames, size).items():
            if role == "labels" or instances:
                folder = root / f"seq_{s:02d}" / role
                folder.mkdir(parents=True, exist_ok=True)
                for t, data in enumerate(files):
                    (folder / f"{t:06d}.png").write_bytes(data)
    return root


@cache
def _drawn(seed: int, frames: int, size: tuple[int, int]) -> dict[str, list[bytes]]:
    """PNGs of a sequence, by role."""
    from flowreel.pipeline.codec import encode_ids
    from flowreel.pipeline.sources.scenes import street_scene

    scene = street_scene(seed, frames, size)
    maps = {"labels": scene.label_THW, "instances": scene.instance_THW}
    return {role: [encode_ids(ids_HW) for ids_HW in ids_THW] for role, ids_THW in maps.items()}


@dataclass(frozen=True)
class LocalRun:
    """A source and a dataset on disk, and all that `render` does with them, in this process instead of in workers.

    The source has 2 sequences of 5 frames; clips of 3 frames make 2 shards: of 2 clips of 2 frames and 2 of 3.
    """

    root: Path
    checkpoint: Path

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    def into(self, name: str) -> "LocalRun":
        """The same source, another dataset."""
        other = self.root / name
        other.mkdir()
        (other / "source").symlink_to(self.source)
        return replace(self, root=other)

    def spec(self, **groups: Any) -> "Spec":
        from flowreel.schemas.spec import Spec

        tree: dict[str, Any] = {
            "dataset": {"uri": str(self.dataset)},
            "source": {"uri": str(self.source), "instances": "{sequence}/instances/*.png"},
            "generator": {"checkpoint": str(self.checkpoint), "batch": 2},
            "clips": {"frames": 3},
            "execution": {"num_gpus": 0},
        }
        for name, group in groups.items():
            tree[name] = tree.get(name, {}) | group if isinstance(group, dict) else group
        return Spec.model_validate(tree)

    def prepare(self, **groups: Any) -> "Prepared":
        from flowreel.pipeline.planning.prepare import prepare

        prepared = prepare(self.spec(**groups))
        prepared.catalog.check()
        return prepared

    def render(self, prepared: "Prepared", shards: "Iterable[Shard] | None" = None) -> "list[ShardOutcome]":
        """Renders, stores and records shards: the plan's, if none are given."""
        from flowreel.pipeline.generator.engine import load_engine
        from flowreel.pipeline.render.shard import ShardRenderer

        job = prepared.job
        renderer = ShardRenderer(job, prepared.plan.plan_id, load_engine(job.checkpoint, job.settings))
        return [renderer.render(shard) for shard in (prepared.plan.shards if shards is None else shards)]

    def publish(self, prepared: "Prepared", outcomes: "Iterable[ShardOutcome] | None" = None) -> "Version":
        """Commits a version; renders the plan before if no outcomes are given."""
        from flowreel.pipeline.dataset.runs import records
        from flowreel.pipeline.dataset.runs.ledger import Ledger
        from flowreel.pipeline.publish import commit
        from flowreel.pipeline.publish.draft import draft_version

        done = Ledger(prepared.plan.shards, self.render(prepared) if outcomes is None else outcomes)
        draft = draft_version(prepared.job, prepared.plan, done, prepared.base)
        version = commit.commit(prepared.job, prepared.plan, draft)
        records.end_run(prepared.job.dataset, prepared.plan.plan_id)
        return version


@pytest.fixture
def local_run(tmp_path: Path, tiny_checkpoint: Path, make_source: MakeSource, one_thread: None) -> LocalRun:
    """A small source and the tiny generator, ready to render."""
    make_source(tmp_path / "source")
    return LocalRun(tmp_path, tiny_checkpoint)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A dataset with one version of 2 data files, as `local_run` publishes it. Copy it before changing anything."""
    root = tmp_path_factory.mktemp("published")
    _write_source(root / "source")
    run = LocalRun(root, tiny_checkpoint)
    run.publish(run.prepare())
    return run.dataset


@pytest.fixture
def small(tmp_path: Path, tiny_checkpoint: Path, one_thread: None) -> "Small":
    """A small dataset to refresh."""
    from tests.support.small_dataset import Small

    return Small(tmp_path / "source", str(tmp_path / "dataset"), tiny_checkpoint)
