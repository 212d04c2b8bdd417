"""Room for workers on nodes."""

import pytest

from flowreel.jobs.engine.placement import needs, room
from flowreel.schemas.spec import ExecutionSpec


@pytest.mark.parametrize(
    ("worker", "nodes", "count"),
    [
        ({"num_gpus": 0, "num_cpus": 2}, [{"CPU": 1.0}, {"CPU": 1.0}], 0),
        ({"num_gpus": 0, "num_cpus": 2}, [{"CPU": 5.0}, {"CPU": 2.0}], 3),
        ({"num_gpus": 1, "num_cpus": 2}, [{"CPU": 8.0}], 0),
        ({"num_gpus": 1, "num_cpus": 2}, [{"CPU": 8.0, "GPU": 2.0}], 2),
        ({"num_gpus": 0.1, "num_cpus": 1}, [{"CPU": 16.0, "GPU": 1.0}], 10),
        ({"num_gpus": 0, "num_cpus": 1}, [], 0),
    ],
)
def test_whole_workers_fit_on_single_nodes(worker: dict[str, float], nodes: list[dict[str, float]], count: int) -> None:
    execution = ExecutionSpec.model_validate(worker)
    assert room(execution, nodes) == count
    assert ("GPU" in needs(execution)) == bool(worker["num_gpus"])
