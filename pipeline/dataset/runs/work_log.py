"""A log of who rendered what and when, from outcomes as they arrive: a few lines per worker, however many shards."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.version import Work

PAUSE_S = 30.0  # a longer one, as after a kill, begins a new line


@dataclass
class _Span:
    worker: str
    began: float
    ended: float
    shards: int = 0
    frames: int = 0
    seconds: Counter[str] = field(default_factory=Counter)


class WorkLog:
    """Spans of work per worker."""

    def __init__(self) -> None:
        self._spans: dict[str, list[_Span]] = {}

    def log_each(self, outcomes: Iterable[ShardOutcome]) -> Iterator[ShardOutcome]:
        """Yields the same outcomes and logs each as it passes. Those that were not measured leave no trace."""
        for outcome in outcomes:
            if outcome.worker and outcome.ended:
                self._note(outcome)
            yield outcome

    def work(self) -> tuple[Work, ...]:
        """Gives the log, sorted by worker, then time."""
        spans = (s for name in sorted(self._spans) for s in sorted(self._spans[name], key=lambda s: s.began))
        return tuple(
            Work(
                worker=s.worker,
                began=round(s.began, 3),
                ended=round(s.ended, 3),
                shards=s.shards,
                frames=s.frames,
                seconds={stage: round(total, 3) for stage, total in s.seconds.items()},
            )
            for s in spans
        )

    def _note(self, outcome: ShardOutcome) -> None:
        """Adds an outcome to a span of its worker that is near in time, or begins a new one."""
        spans = self._spans.setdefault(outcome.worker, [])
        near = (s for s in spans if outcome.began < s.ended + PAUSE_S and s.began < outcome.ended + PAUSE_S)
        span = next(near, None)
        if span is None:
            span = _Span(outcome.worker, outcome.began, outcome.ended)
            spans.append(span)
        span.began, span.ended = min(span.began, outcome.began), max(span.ended, outcome.ended)
        span.shards += 1
        span.frames += outcome.frames
        span.seconds.update(outcome.seconds)
