"""What Ray itself takes: the fewest lines that keep as many actors busy, with arguments and results as large."""

import time
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import ray

from flowreel.pipeline.render.job import Lanes

IN_FLIGHT = Lanes().in_flight
CALLS = 1000  # at least
ARGUMENT, RESULT = bytes(23_000), bytes(1100)  # a shard of 16 clips and its outcome, as they are sent


class Probe:
    """An actor that sleeps."""

    def call(self, _shard: bytes, seconds: float) -> bytes:
        time.sleep(seconds)
        return RESULT


def bare_cpu_s(actors: int, shard_s: float) -> float:
    """CPU seconds of this process per call, if calls end as often as shards of ``shard_s`` each do."""
    start: Any = ray.remote
    probes = [start(num_cpus=1, max_concurrency=IN_FLIGHT)(Probe).remote() for _ in range(actors)]
    ended: SimpleQueue[tuple[Any, Future[bytes]]] = SimpleQueue()

    def call(probe: Any) -> None:
        future: Future[bytes] = probe.call.remote(ARGUMENT, shard_s * IN_FLIGHT).future()
        future.add_done_callback(lambda done: ended.put((probe, done)))

    ray.get([probe.call.remote(ARGUMENT, 0.0) for probe in probes])
    for probe in probes * IN_FLIGHT:
        call(probe)
    began, count = time.process_time(), max(CALLS, 3 * actors)
    for _ in range(count):
        probe, done = ended.get()
        done.result()
        call(probe)
    spent = time.process_time() - began
    for probe in probes:
        ray.kill(probe)
    return spent / count
