"""What tests share: the data and reference folder beside the repository, and a real S3 server."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowreel.jobs.terminal.exit import exit_process
from tests.support.label_source import MakeSource as MakeSource
from tests.support.label_source import write_source
from tests.support.local_run import LocalRun

if TYPE_CHECKING:
    from tests.support.small_dataset import Small

START_LIMIT_S = 60
os.environ.setdefault("RAY_worker_niceness", "0")  # else whatever else runs here starves the workers of Ray
S3_PAGE = 100  # keys in a page of the test server's listings, so that paging shows with few objects


SESSION = pytest.StashKey[pytest.Session]()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session
    # Under nohup, or in the background of a script, tests inherit signals that are ignored, and so would the commands
    # that they send signals to.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


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


@pytest.fixture(scope="session")
def make_source() -> MakeSource:
    """A source of procedurally drawn Cityscapes sequences, laid out as the default templates say; returns ``root``."""
    return write_source


@pytest.fixture
def local_run(tmp_path: Path, tiny_checkpoint: Path, make_source: MakeSource, one_thread: None) -> LocalRun:
    """A small source and the tiny generator, ready to render."""
    make_source(tmp_path / "source")
    return LocalRun(tmp_path, tiny_checkpoint)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A dataset with one version of 2 data files, as `local_run` publishes it. Copy it before changing anything."""
    root = tmp_path_factory.mktemp("published")
    write_source(root / "source")
    run = LocalRun(root, tiny_checkpoint)
    run.publish(run.prepare())
    return run.dataset


@pytest.fixture
def small(tmp_path: Path, tiny_checkpoint: Path, one_thread: None) -> "Small":
    """A small dataset to refresh."""
    from tests.support.small_dataset import Small

    return Small(tmp_path / "source", str(tmp_path / "dataset"), tiny_checkpoint)
