"""The pool of workers grows with the nodes of a cluster, survives the loss of some, and shrinks when work runs out."""

import pickle
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import ray
from ray import cloudpickle
from ray.cluster_utils import Cluster
from ray.exceptions import ActorUnavailableError

from flowreel.jobs.engine import dispatch
from flowreel.jobs.engine.dispatch import Dispatcher
from flowreel.jobs.engine.worker import Worker
from flowreel.schemas.clip import Clip, Shard
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.outcome import Rendered, ShardOutcome
from flowreel.schemas.spec import Spec

MOST, LEAST = 3, 1
SPEC = Spec.model_validate({"dataset": {"uri": "/d"}, "source": {"uri": "/s"}, "execution": {"workers": [LEAST, MOST]}})


class Sleeper:
    """An actor with the engine's interface; a clip's start says how long it takes, in tenths of a second."""

    def placed(self) -> str:
        return ray.get_runtime_context().get_node_id()

    def ready(self) -> tuple[str, str]:
        return "here", ray.get_runtime_context().get_node_id()

    def frames(self) -> int:
        return 0

    def render(self, packed: bytes) -> ShardOutcome:
        shard: Shard = pickle.loads(packed)
        time.sleep(shard.clips[0].start / 10)
        return ShardOutcome(shard.shard_id, None, (Rendered(shard.clips[0].clip_id, 1),), "here")


def start() -> Any:
    actor: Any = ray.remote(Sleeper)
    return actor.options(num_cpus=1, max_restarts=-1, max_concurrency=4).remote()


def shard(number: int, tenths: int) -> Shard:
    return Shard(f"{number:032x}", (Clip(f"{number:032x}", "s", 0, tenths, (), "train", 0),))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_the_pool_follows_the_nodes_and_the_work(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "IDLE_S", 1.0)
    shards: list[Shard] = []
    dispatcher = Dispatcher(start, MOST, SPEC)
    pools: list[tuple[int, int]] = []  # ready, all
    steps: list[str] = []

    def beat(workers: list[Worker]) -> None:
        ready = sum(bool(worker.name) for worker in workers)
        pools.append((ready, len(workers)))
        if not steps and ready == 1:
            steps.append("grown")
            nodes.extend(cluster.add_node(num_cpus=1) for _ in range(MOST - 1))
        elif steps == ["grown"] and ready == MOST:
            steps.append("lost")
            cluster.remove_node(nodes.pop(), allow_graceful=False)

    def work() -> Iterator[Shard]:
        """Small shards until all has happened, then one that is left when all others are done."""
        while len(steps) < 2:
            shards.append(shard(len(shards), tenths=5))
            yield shards[-1]
        shards.append(shard(len(shards), tenths=200))
        yield shards[-1]

    nodes: list[Any] = []
    outcomes = list(dispatcher.run(work(), beat))
    dispatcher.stop()
    assert steps == ["grown", "lost"]
    assert sorted(outcome.shard_id for outcome in outcomes) == sorted(s.shard_id for s in shards)
    assert all(isinstance(outcome.clips[0], Rendered) for outcome in outcomes)  # the loss of a node cost nobody
    assert pools[0] == (0, MOST) and (MOST, MOST) in pools
    assert pools[-1][1] == LEAST  # while the last shard was rendered


class Unreachable:
    """An actor's handle whose first call of ``ready`` finds nobody, as when its node has just gone."""

    def __init__(self, actor: Any) -> None:
        self.render, self.frames, self.placed = actor.render, actor.frames, actor.placed
        self.ready, self._actor = self, actor

    def remote(self) -> Any:
        self.ready = self._actor.ready
        return self

    def future(self) -> Future[Any]:
        ended = Future[Any]()
        ended.set_exception(ActorUnavailableError("connection refused", b"\0" * 16))
        return ended


@pytest.mark.slow
def test_a_worker_that_cannot_be_reached_is_asked_again(cluster: Cluster) -> None:
    dispatcher = Dispatcher(lambda: Unreachable(start()), 1, SPEC)
    shards = [shard(number, tenths=1) for number in range(3)]
    outcomes = list(dispatcher.run(shards))
    assert {outcome.shard_id for outcome in outcomes} == {s.shard_id for s in shards}
    assert all(isinstance(outcome.clips[0], Rendered) for outcome in outcomes)


@pytest.mark.slow
def test_an_actor_that_ray_gives_up_before_it_has_run_is_started_again(cluster: Cluster) -> None:
    actors: list[Any] = []

    def first_killed() -> Any:
        actors.append(start())
        if len(actors) == 1:
            ray.kill(actors[0])
        return actors[-1]

    shards = [shard(number, tenths=1) for number in range(3)]
    outcomes = list(Dispatcher(first_killed, 1, SPEC).run(shards))
    assert len(actors) == 2
    assert sorted(outcome.shard_id for outcome in outcomes) == sorted(s.shard_id for s in shards)
    assert all(isinstance(outcome.clips[0], Rendered) for outcome in outcomes)


@pytest.mark.slow
def test_actors_that_ray_always_gives_up_end_the_run(cluster: Cluster) -> None:
    actors: list[Any] = []

    def killed() -> Any:
        actors.append(start())
        ray.kill(actors[-1])
        return actors[-1]

    with pytest.raises(FlowreelError, match="no worker could start"):
        list(Dispatcher(killed, 1, SPEC).run([shard(0, tenths=1)]))
    assert len(actors) == dispatch.STARTS
