"""What Prometheus would get from the nodes of a running cluster."""

import os
import time
import urllib.request
from typing import Any

import pytest
import ray

from flowreel.jobs.engine.metrics import METRICS, DriverMetrics, WorkerMetrics
from flowreel.jobs.engine.worker import Worker
from flowreel.schemas.outcome import DataFile, Failed, Rendered, ShardOutcome

from .local_cluster import Start

OUTCOME = ShardOutcome(
    "a" * 32,
    DataFile("data/a.parquet", 1000, "0" * 64),
    (Rendered("b" * 32, 2), Failed("c" * 32, "label id 77 is not in cityscapes", kind="input")),
    "host:1",
    {"fetch": 0.5, "generate": 2.0, "encode": 0.5, "write": 0.2},
)
WORKERS = [Worker(handle=None, name="host:1", deaths=1), Worker(handle=None)]
LIMIT_S = 90


@pytest.mark.slow
def test_a_scrape_shows_every_metric(local_cluster: Start) -> None:
    wanted = {exported for name, about in METRICS.items() for exported in about.exported(name)}
    with local_cluster("--nodes", 1, env=as_here()) as cluster:
        ray.init(cluster.places["address"], log_to_driver=False)
        try:
            actor: Any = ray.remote(Recorder)
            driver, worker = DriverMetrics("city", shards=3), actor.remote()
            driver.finished(OUTCOME)
            ray.get(worker.record.remote())
            seen = dict[str, str]()
            deadline = time.monotonic() + LIMIT_S
            while wanted - seen.keys() and time.monotonic() < deadline:
                driver.observe(WORKERS)  # again and again, as in a run: a gauge is shown once for each time it is set
                time.sleep(1)
                for node in cluster.places["nodes"]:
                    seen |= samples(node["metrics"])
        finally:
            ray.shutdown()
    assert wanted - seen.keys() == set()
    assert 'reason="input"' in seen["ray_flowreel_losses_total"]
    assert 'dataset="city"' in seen["ray_flowreel_frames_total"]


def as_here() -> dict[str, str]:
    """Whether calls carry a token: driver and cluster must agree, and a process that has started a Ray of its own, in
    another test, demands it from then on. What comes without is refused; then Ray takes the driver for dead."""
    mode = "RAY_AUTH_MODE"
    return {mode: os.environ[mode]} if mode in os.environ else {}


class Recorder:
    """In a worker's process."""

    def record(self) -> None:
        self.metrics = WorkerMetrics("city", lanes=1)
        self.metrics.generated(2)
        self.metrics.finished(OUTCOME)


def samples(url: str) -> dict[str, str]:
    """The last line of each metric."""
    with urllib.request.urlopen(url, timeout=10) as page:
        lines = page.read().decode().splitlines()
    return {line.split("{")[0].split(" ")[0]: line for line in lines if not line.startswith("#")}
