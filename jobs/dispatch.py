"""Shards to actors, outcomes back. Decides only what is next and what a failure means; the rest is Ray's."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from jobs.actor import IN_FLIGHT
from pipeline.identity import shard_id
from pipeline.storage_errors import Unavailable
from schemas.errors import FlowreelError
from schemas.outcome import SHARD_FAILED, WORKER_DIED, Failed, ShardOutcome
from schemas.plan import Shard

POLL_S = 1.0
IDLE_S = 30.0  # without any shard left to hand out: then workers that have none go
MAX_OUTAGES = 5  # of storage, per shard; each one has been sat out for seconds already


@dataclass
class _Attempt:
    """A shard on its way. ``suspect``: it was in flight when an actor died, so it runs alone now."""

    shard: Shard
    failures: int = 0
    outages: int = 0  # of storage: nobody's fault
    suspect: bool = False


@dataclass(eq=False)
class Worker:
    """An actor as the driver sees it."""

    handle: Any
    name: str = ""  # empty until its generator is loaded
    attempts: dict[Any, _Attempt] = field(default_factory=dict)  # by reference of the running call
    frames: int = 0
    deaths: int = 0

    @property
    def room(self) -> bool:
        """Whether it can take a shard more."""
        if not self.name or any(a.suspect for a in self.attempts.values()):
            return False
        return len(self.attempts) < IN_FLIGHT


class Dispatcher:
    """Hands out shards until all have an outcome."""

    def __init__(self, start: Callable[[], Any], workers: int, least: int, max_attempts: int) -> None:
        """``least``: workers that are kept to the end; further ones go when there is nothing left to hand out."""
        self.workers = [Worker(start()) for _ in range(workers)]
        self.least, self.max_attempts = least, max_attempts
        self._handed_out_s = time.monotonic()
        self._starting = {w.handle.ready.remote(): w for w in self.workers}
        self._polls: dict[Any, Worker] = {}
        self._new: Iterator[Shard] = iter(())
        self._queue: deque[_Attempt] = deque()

    def run(self, shards: Iterable[Shard], *beats: Callable[[list[Worker]], None]) -> Iterator[ShardOutcome]:
        """Outcomes as they come; ``beats`` are called each second or so. Raises FlowreelError if no worker starts.

        Shards are drawn as they are needed: a plan may have millions.
        """
        self._new = iter(shards)
        self._refill()
        while self._queue or any(w.attempts for w in self.workers):
            self._hand_out()
            self._refill()
            self._release()
            calls = {ref: w for w in self.workers for ref in w.attempts}
            waiting = [*calls, *self._starting, *self._polls]
            done, _ = ray.wait(waiting, num_returns=1, timeout=POLL_S)
            for ref in done:
                if ref in self._starting:
                    self._started(ref)
                elif ref in self._polls:
                    self._polled(ref)
                else:
                    yield from self._finished(ref, calls[ref])
            if not done:
                self._poll()
            for beat in beats:
                beat(self.workers)

    def stop(self) -> None:
        for worker in self.workers:
            ray.kill(worker.handle)

    def _refill(self) -> None:
        """So many that all workers could be served, those that are starting as well."""
        missing = (IN_FLIGHT + 1) * len(self.workers) - len(self._queue)
        self._queue.extend(_Attempt(shard) for shard in islice(self._new, max(0, missing)))

    def _hand_out(self) -> None:
        """One shard to every worker before anyone gets a second one; the last ones wait for workers still starting."""
        starting = sum(not worker.name for worker in self.workers)
        for depth in range(IN_FLIGHT):
            for worker in self.workers:
                if len(self._queue) <= (starting if depth else 0):
                    break
                # A suspect must be alone, so that a death can be blamed on it.
                if len(worker.attempts) == depth and worker.room and not (depth and self._queue[0].suspect):
                    attempt = self._queue.popleft()
                    worker.attempts[worker.handle.render.remote(attempt.shard)] = attempt

    def _release(self) -> None:
        """Ends workers that have nothing to do any more, first those that still wait for a node: a cluster that scales
        by what is asked of it takes back its nodes while the last shards are rendered, and brings no new ones."""
        if self._queue:
            self._handed_out_s = time.monotonic()
        elif time.monotonic() - self._handed_out_s > IDLE_S:
            idle = sorted((w for w in self.workers if not w.attempts), key=lambda w: bool(w.name))
            for worker in idle[: max(0, len(self.workers) - self.least)]:
                ray.kill(worker.handle)
                self.workers.remove(worker)
                for calls in (self._starting, self._polls):
                    for ref in [ref for ref, of in calls.items() if of is worker]:
                        del calls[ref]

    def _started(self, ref: Any) -> None:
        worker = self._starting.pop(ref)
        try:
            worker.name = ray.get(ref)
        except RayActorError as error:
            if worker in self.workers:
                self.workers.remove(worker)
            self._queue.extend(worker.attempts.values())
            worker.attempts.clear()
            if not self.workers:
                raise FlowreelError(f"no worker could start; the last one said: {_cause(error)}") from None

    def _finished(self, ref: Any, worker: Worker) -> Iterator[ShardOutcome]:
        attempt = worker.attempts.pop(ref)
        try:
            outcome = ray.get(ref)
        except RayActorError as error:
            worker.deaths += 1
            worker.name = ""
            if worker not in self._starting.values():
                self._starting[worker.handle.ready.remote()] = worker
            preempted = getattr(error, "preempted", False)  # its node was taken away: nobody's fault
            blamed = attempt.suspect and not preempted
            attempt.suspect |= not preempted
            yield from self._failed(attempt, WORKER_DIED + _cause(error), blamed)
        except Unavailable as error:
            attempt.outages += 1
            if attempt.outages > MAX_OUTAGES:
                raise FlowreelError(f"{_cause(error)}\n  nothing is lost: run the same command to go on") from None
            self._queue.append(attempt)
        except RayTaskError as error:
            yield from self._failed(attempt, SHARD_FAILED + _cause(error), blamed=True)
        else:
            yield outcome

    def _failed(self, attempt: _Attempt, reason: str, blamed: bool) -> Iterator[ShardOutcome]:
        """Tries again, then clip by clip, so that only the culprit fails."""
        attempt.failures += blamed
        clips = attempt.shard.clips
        if attempt.failures < self.max_attempts:
            self._queue.append(attempt)
        elif len(clips) > 1:
            alone = [Shard(shard_id([c.clip_id]), (c,)) for c in clips]
            self._queue.extend(_Attempt(shard, suspect=attempt.suspect) for shard in alone)
        else:
            lost = Failed(clips[0].clip_id, reason, attempts=attempt.failures)
            yield ShardOutcome(attempt.shard.shard_id, None, (lost,))

    def _poll(self) -> None:
        """Asks every worker for its frames, unless it has not answered yet."""
        asked = set(map(id, self._polls.values()))
        for worker in self.workers:
            if worker.name and id(worker) not in asked:
                self._polls[worker.handle.frames.remote()] = worker

    def _polled(self, ref: Any) -> None:
        worker = self._polls.pop(ref)
        try:
            worker.frames = ray.get(ref)
        except RayActorError:
            worker.frames = 0  # it is being restarted; `_finished` sees to its shards


def _cause(error: Exception) -> str:
    """The first telling line of a Ray error."""
    inner = getattr(error, "cause", None) or error
    if isinstance(inner, RayTaskError):
        inner = inner.cause
    text = str(inner).strip() or type(inner).__name__
    return text.splitlines()[0] if not isinstance(inner, FlowreelError) else text
