"""The same command on a Ray cluster of several nodes, found through RAY_ADDRESS and left running."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from tests.support.label_source import MakeSource

from .conftest import LIMIT_S, REPOSITORY, command, write_spec


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without room for workers and two nodes with room for one each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    cluster.shutdown()


def test_render_spreads_over_the_nodes_of_a_cluster(
    two_nodes: Cluster, make_source: MakeSource, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    source = make_source(tmp_path / "source", sequences=8, frames=30)
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(tmp_path / "dataset")},
        source={"uri": str(source), "instances": "{sequence}/instances/*.png"},
        generator={"checkpoint": str(tiny_checkpoint)},
        execution={"workers": [2, 2]},
    )
    done = subprocess.run(
        command("render", spec), capture_output=True, text=True, timeout=LIMIT_S, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2/2 workers ready" in done.stderr
    assert "published version 1" in done.stdout
    ray.init(two_nodes.address, log_to_driver=False)
    try:
        assert len([node for node in ray.nodes() if node["Alive"]]) == 3  # the cluster is left as it was
    finally:
        ray.shutdown()


def test_gpus_that_no_node_has_are_waited_for_with_a_word(
    two_nodes: Cluster, make_source: MakeSource, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """An autoscaler may bring them; until then the command says what it waits for."""
    source = make_source(tmp_path / "source", sequences=1, frames=4)
    spec = write_spec(
        tmp_path / "spec.yaml",
        dataset={"uri": str(tmp_path / "dataset")},
        source={"uri": str(source)},
        generator={"checkpoint": str(tiny_checkpoint)},
        execution={"num_gpus": 1},
    )
    process = subprocess.Popen(
        command("render", spec), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "waiting for nodes" in line:
                break
        else:
            pytest.fail(f"nothing was said about GPUs; the command ended with {process.wait()}")
        assert "execution.num_gpus" in line
    finally:
        process.kill()
        process.communicate()
