"""Decides which shard is tried next, and what its failure means. Bookkeeping only: nothing here knows Ray.

A shard fails by itself (it raised, or took its worker down while it ran alone there) or through no fault of its own
(storage, a lost node, a worker that died with several shards on it). Only the first kind counts against its clips.
"""

import pickle
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from flowreel.pipeline.identity import shard_id
from flowreel.schemas.clip import Shard
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.outcome import SHARD_FAILED, WORKER_DIED, Failed, ShardOutcome

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
MAX_OUTAGES = 8  # of one shard in a row: two minutes of pauses, besides what each try has sat out itself
MAX_REFUSALS = 2  # by a store that answers: rights and credentials rarely come back by waiting
TAKEN_AT_ONCE = 32  # shards at a time: packing many in a row takes half as long as each between other work


@dataclass(eq=False)
class Attempt:
    """Follows a shard on its way. ``suspect``: it was on a worker that died, so it runs alone from now on."""

    shard: Shard
    packed: bytes = b""  # pickled; made when it is taken and gone when it is handed out
    failures: int = 0  # that count
    outages: int = 0  # nobody's fault
    suspect: bool = False
    not_before_s: float = 0.0  # monotonic


def packed(shard: Shard) -> bytes:
    """Pickles a shard for workers: Ray takes bytes as they are, its own pickler is a slow one that can do more."""
    return pickle.dumps(shard, pickle.HIGHEST_PROTOCOL)


class Attempts:
    """Keeps the shards that wait for a worker. Every method has changed the queue by the time it returns."""

    def __init__(self, shards: Iterable[Shard], max_attempts: int) -> None:
        """Starts with an empty queue. ``shards`` are taken as they are needed: a plan may have millions."""
        self._new, self._max_attempts = iter(shards), max_attempts
        self._queue: deque[Attempt] = deque()

    def __len__(self) -> int:
        """Counts the waiting shards that have been taken."""
        return len(self._queue)

    def fill(self, wanted: int) -> None:
        """Takes new shards until at least ``wanted`` are waiting, or none are left."""
        if len(self._queue) < wanted:
            new = islice(self._new, wanted - len(self._queue) + TAKEN_AT_ONCE)
            self._queue.extend(Attempt(shard, packed(shard)) for shard in new)

    def take(self, alone: bool) -> Attempt | None:
        """Takes the next shard whose time has come off the queue, or gives None if there is none.

        ``alone``: for a worker that has nothing else to do, as suspects need it.
        """
        now = time.monotonic()
        for place, attempt in enumerate(self._queue):
            if attempt.not_before_s <= now and (alone or not attempt.suspect):
                del self._queue[place]
                return attempt
        return None

    def put_back(self, attempt: Attempt) -> None:
        """Queues a shard that was not tried because its worker never started."""
        self._queue.append(attempt)

    def outage(self, attempt: Attempt, reason: str, most: int = MAX_OUTAGES) -> None:
        """Queues a shard again after a pause that grows from `FIRST_PAUSE_S` to `LONGEST_PAUSE_S` seconds.

        Raises FlowreelError with ``reason`` if that has not helped ``most`` times.
        """
        attempt.outages += 1
        if attempt.outages > most:
            raise FlowreelError(
                f"{reason}\n  finished shards are kept; once that is fixed, run the same command to resume"
            )
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempt.outages - 1))
        attempt.not_before_s = time.monotonic() + pause_s
        self._queue.append(attempt)

    def died(self, attempt: Attempt, reason: str) -> list[ShardOutcome]:
        """Notes that a shard's worker died, and gives the outcomes that follow, as `failed` does.

        The first time it was perhaps in company, which costs it no attempt; from then on it runs alone and is to blame.
        """
        blamed, attempt.suspect = attempt.suspect, True
        return self._try_again(attempt, reason, WORKER_DIED, blamed)

    def failed(self, attempt: Attempt, reason: str) -> list[ShardOutcome]:
        """Queues a shard that raised once more; after ``max_attempts`` failures clip by clip: only the culprit is lost.

        Gives the outcome of a single clip that has failed that often, else an empty list.
        """
        return self._try_again(attempt, reason, SHARD_FAILED, blamed=True)

    def _try_again(self, attempt: Attempt, reason: str, kind: str, blamed: bool) -> list[ShardOutcome]:
        """Does what `failed` does. ``blamed``: this counts as one of the shard's failures."""
        attempt.failures += blamed
        clips = attempt.shard.clips
        if attempt.failures < self._max_attempts:
            self._queue.append(attempt)
        elif len(clips) > 1:
            alone = [Shard(shard_id([c.clip_id]), (c,)) for c in clips]
            self._queue.extend(Attempt(shard, suspect=attempt.suspect) for shard in alone)
        else:
            lost = Failed(clips[0].clip_id, reason, attempts=attempt.failures, kind=kind)
            return [ShardOutcome(attempt.shard.shard_id, None, (lost,))]
        return []
