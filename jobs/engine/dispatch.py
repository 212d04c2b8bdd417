"""Hands shards to actors and outcomes back. Decides only who gets what; what a failure means is in `attempts`."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayError, RayTaskError

from flowreel.jobs.engine.attempts import MAX_OUTAGES, MAX_REFUSALS, Attempts, packed
from flowreel.jobs.engine.placement import PlacementWatch
from flowreel.jobs.engine.ray_errors import alive, cause, death, given_up
from flowreel.jobs.engine.stop_signal import StopRequest
from flowreel.jobs.engine.worker import Worker, kill_the_hung
from flowreel.jobs.terminal.signals import RESUME, stopped_text
from flowreel.pipeline.render.job import Lanes
from flowreel.pipeline.storage.errors import Full, Unavailable
from flowreel.schemas.clip import Shard
from flowreel.schemas.errors import FlowreelError, Stopped, StorageError
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.spec import Spec

POLL_S = 1.0
POLLS = 4  # workers that are asked for their frames at once, at least: asking takes as much as handing out a shard
STARTS = 3  # of an actor that Ray gives up, or whose processes die while they load the generator
IDLE_S = 30.0  # without any shard left to hand out: then workers that have none go


# Called with a call that has ended; gives the outcomes that follow from it.
Ended = Callable[[Worker, "Future[Any]"], list[ShardOutcome]]


class Dispatcher:
    """Hands out shards until all have an outcome, or until ``stop`` is set.

    A shard costs the same however many workers there are: Ray reports each call that has ended, and only workers that
    have had room since are checked; all of them are checked once a second.
    """

    def __init__(
        self,
        start: Callable[[], Any],
        workers: int,
        spec: Spec,
        stop: StopRequest | None = None,
        in_flight: int = Lanes().in_flight,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Starts the workers. ``start``: starts an actor; ``in_flight``: shards that a worker has at once; ``check``:
        raises an error if Ray is gone, which is called before Ray is asked anything that it would not answer then."""
        self._start, self._in_flight = start, in_flight
        self.workers = [Worker(start(), most=in_flight) for _ in range(workers)]
        self._least, self._failure, self._grace_s = spec.execution.workers[0], spec.failure, spec.execution.grace_s
        self._stop, self._check = stop or StopRequest(), check
        self._placement = PlacementWatch(spec.execution)
        self._handed_out_s = 0.0
        self._ended: SimpleQueue[tuple[Ended, Worker, Future[Any]]] = SimpleQueue()
        self._starting = dict[Any, Worker]()  # by the call that waits for it
        self._polls = dict[Any, Worker]()
        self._room = dict[int, Worker]()  # all that have room, and perhaps some that have none any more
        self._next_poll, self._beat_s = 0, 0.0
        self._attempts = Attempts((), spec.failure.max_attempts)
        for worker in self.workers:
            self._ask(worker)

    def run(self, shards: Iterable[Shard], *listeners: Callable[[list[Worker]], None]) -> Iterator[ShardOutcome]:
        """Yields outcomes as they come; ``listeners`` are called with all workers every second or so.

        Raises FlowreelError if no worker starts or the store stays away, Stopped once ``stop`` is set: what
        workers finished within the grace period has been given by then, the rest is handed back to the next run.
        """
        self._attempts = Attempts(shards, self._failure.max_attempts)
        self._handed_out_s = time.monotonic()
        deadline_s = float("inf")
        while True:
            if not self._stop.is_set():
                self._attempts.fill((self._in_flight + 1) * len(self.workers))
                self._hand_out()
                self._release()
            else:
                deadline_s = min(deadline_s, time.monotonic() + self._grace_s)
            busy = any(w.attempts for w in self.workers)
            if self._stop.is_set() and (not busy or time.monotonic() > deadline_s):
                raise Stopped(stopped_text(self._stop.number, RESUME), self._stop.number)
            if not busy and not len(self._attempts):
                return
            yield from self._wait()
            if time.monotonic() - self._beat_s > POLL_S:
                self._beat_s = time.monotonic()
                self._check()
                self._placement.check(any(worker.placed or worker.name for worker in self.workers))
                for call in [call for call in self._starting if call.done()]:  # could not be reached
                    self._ask(self._starting.pop(call))
                self._poll()
                kill_the_hung(self.workers, self._failure.stall_s)
                for listener in listeners:
                    listener(self.workers)

    def stop(self) -> None:
        """Ends all workers at once."""
        for worker in self.workers:
            ray.kill(worker.handle)

    def _call(self, method: Any, worker: Worker, then: Ended, *arguments: object) -> Any:
        """Calls a method of the worker's actor; ``then`` is called with the result by `_wait`. Gives what it gets."""
        call: Future[Any] = method.remote(*arguments).future()
        call.add_done_callback(lambda ended: self._ended.put((then, worker, ended)))
        return call

    def _ask(self, worker: Worker) -> None:
        """Asks a worker whether it has a place, and whether it has started."""
        self._call(worker.handle.placed, worker, self._placed)
        self._starting[self._call(worker.handle.ready, worker, self._started)] = worker

    def _wait(self) -> Iterator[ShardOutcome]:
        """Waits until a call has ended, for a second at most; yields the outcomes that follow."""
        # While all that is left waits for its next try, or for a worker, nothing ends.
        patience_s = POLL_S if any(w.attempts for w in self.workers) else POLL_S / 5
        try:
            then, worker, ended = self._ended.get(timeout=patience_s)
            while True:
                yield from then(worker, ended)
                then, worker, ended = self._ended.get_nowait()
        except Empty:
            pass

    def _hand_out(self) -> None:
        """Hands one shard to every worker before anyone gets a second; the last wait for workers still starting."""
        starting = len(self._starting)
        for depth in range(self._in_flight):
            for worker in list(self._room.values()):
                if len(self._attempts) <= (starting if depth else 0):
                    return
                if not worker.room:
                    del self._room[id(worker)]
                elif len(worker.attempts) == depth and (attempt := self._attempts.take(alone=not depth)):
                    sent, attempt.packed = attempt.packed or packed(attempt.shard), b""
                    worker.attempts[self._call(worker.handle.render, worker, self._finished, sent)] = attempt
                    worker.moved_s = time.monotonic()

    def _release(self) -> None:
        """Ends workers that have nothing to do any more, first those that still wait for a node: a cluster that scales
        by what is asked of it takes back its nodes while the last shards are rendered, and brings no new ones."""
        if len(self._attempts):
            self._handed_out_s = time.monotonic()
        elif time.monotonic() - self._handed_out_s > IDLE_S:
            idle = sorted((w for w in self.workers if not w.attempts), key=lambda w: bool(w.name))
            for worker in idle[: max(0, len(self.workers) - self._least)]:
                ray.kill(worker.handle)
                self.workers.remove(worker)
                self._room.pop(id(worker), None)
                for calls in (self._starting, self._polls):
                    for call in [call for call, of in calls.items() if of is worker]:
                        del calls[call]

    def _placed(self, worker: Worker, ended: "Future[Any]") -> list[ShardOutcome]:
        """Notes that a worker has a place."""
        worker.placed = ended.exception() is None
        worker.node = ended.result() if worker.placed else worker.node
        return []

    def _started(self, worker: Worker, ended: "Future[Any]") -> list[ShardOutcome]:
        """Gives a worker that has started its name and room. Raises FlowreelError if none is left that could start."""
        if self._starting.pop(ended, None) is None:
            return []  # released meanwhile
        try:
            worker.name, worker.node = ended.result()
            worker.hung, worker.placed, worker.starts = "", True, 1
            self._room[id(worker)] = worker
        except RayError as error:
            self._check()
            lost = isinstance(error, ActorUnavailableError) and not (
                worker.placed and alive(worker.node)
            )  # its node is
            if lost or self._start_again(worker, error):
                self._starting[ended] = worker  # it is asked again soon
            else:
                self._give_up(worker, error)
        return []

    def _start_again(self, worker: Worker, error: RayError) -> bool:
        """Tells whether a worker that did not get ready may yet; puts a new actor in its place if Ray gave it up."""
        worker.placed, worker.starts = False, worker.starts + 1
        if isinstance(error, RayTaskError) or worker.starts > STARTS:
            return False
        if given_up(error):
            worker.handle = self._start()
        return given_up(error) or isinstance(error, ActorUnavailableError)

    def _give_up(self, worker: Worker, error: RayError) -> None:
        """Does without a worker. Raises FlowreelError if none is left."""
        self.workers.remove(worker)
        ray.kill(worker.handle)  # a process that could not load the generator keeps its place
        for attempt in worker.attempts.values():
            self._attempts.put_back(attempt)
        worker.attempts.clear()
        if not self.workers:
            raise FlowreelError(f"no worker could start; the last error: {cause(error)}") from None

    def _finished(self, worker: Worker, ended: "Future[Any]") -> list[ShardOutcome]:
        """Takes a shard back, done or not. Raises FlowreelError if the store is full or has stayed away too often."""
        attempt = worker.attempts.pop(ended, None)
        if attempt is None:
            return []  # put back when its worker did not come back
        worker.moved_s = time.monotonic()
        self._room[id(worker)] = worker
        try:
            return [ended.result()]
        except Full as error:
            raise FlowreelError(f"{cause(error)}\n  finished shards are kept; run the same command to resume") from None
        except StorageError as error:  # of the dataset: a clip's own troubles come within its outcome
            lasting = not isinstance(error, Unavailable)
            self._attempts.outage(attempt, cause(error), MAX_REFUSALS if lasting else MAX_OUTAGES)
        except RayTaskError as error:
            return self._attempts.failed(attempt, f"its shard failed: {cause(error)}")
        except (RayActorError, OutOfMemoryError) as error:
            self._check()
            worker.deaths += 1
            worker.name, worker.placed = "", False
            if worker not in self._starting.values():
                self._ask(worker)
            if getattr(error, "preempted", False) or not alive(worker.node):
                self._attempts.outage(attempt, f"nodes of the cluster keep going away: {cause(error)}")
            else:
                return self._attempts.died(attempt, f"its worker died: {worker.hung or death(error)}")
        return []

    def _poll(self) -> None:
        """Asks workers in turn for their frames, unless they have not answered yet: all of them often enough to know
        those that hang."""
        asked = set(map(id, self._polls.values()))
        count = max(POLLS, int(4 * len(self.workers) * POLL_S / self._failure.stall_s) + 1)
        for _ in range(min(count, len(self.workers))):
            self._next_poll = (self._next_poll + 1) % len(self.workers)
            worker = self.workers[self._next_poll]
            if worker.name and id(worker) not in asked:
                self._polls[self._call(worker.handle.frames, worker, self._polled)] = worker

    def _polled(self, worker: Worker, ended: "Future[Any]") -> list[ShardOutcome]:
        self._polls.pop(ended, None)
        try:
            frames = ended.result()
        except RayError:
            frames = 0  # it is being restarted; `_finished` sees to its shards
        if frames != worker.frames:
            worker.frames, worker.moved_s = frames, time.monotonic()
        return []
