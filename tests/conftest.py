"""What tests share: the data and reference folder beside the repository, and a real S3 server."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import pytest

START_LIMIT_S = 60
S3_PAGE = 100  # keys in a page of the test server's listings, so that paging shows with few objects


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


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint directory of a very small real generator with random weights: all parts, 64x32, T = 3."""
    import torch

    from pipeline.generator.config import GeneratorConfig
    from pipeline.generator.loading import save_checkpoint
    from pipeline.generator.networks import VideoGenerator

    config = GeneratorConfig(ngf=4, n_downsample=2, n_blocks=2, n_scales=2, size=(64, 32))
    folder = tmp_path_factory.mktemp("tiny-checkpoint")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_checkpoint(folder, VideoGenerator(config))
    return folder


class MakeSource(Protocol):
    """Writes drawn sequences below ``root``: ``seq_00/labels/000000.png``, ``seq_00/instances/000000.png``, ..."""

    def __call__(
        self, root: Path, sequences: int = 2, frames: int = 5, size: tuple[int, int] = (64, 32), instances: bool = True
    ) -> Path: ...


@pytest.fixture
def make_source() -> MakeSource:
    """A source of procedurally drawn Cityscapes sequences, laid out as the default templates say; returns ``root``."""
    from pipeline.codec import encode_ids
    from pipeline.scenes import street_scene

    def make(
        root: Path, sequences: int = 2, frames: int = 5, size: tuple[int, int] = (64, 32), instances: bool = True
    ) -> Path:
        for s in range(sequences):
            scene = street_scene(s, frames, size)
            maps = {"labels": scene.label_THW} | ({"instances": scene.instance_THW} if instances else {})
            for role, ids_THW in maps.items():
                folder = root / f"seq_{s:02d}" / role
                folder.mkdir(parents=True, exist_ok=True)
                for t, ids_HW in enumerate(ids_THW):
                    (folder / f"{t:06d}.png").write_bytes(encode_ids(ids_HW))
        return root

    return make
