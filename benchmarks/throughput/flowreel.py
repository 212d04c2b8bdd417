"""`flowreel render` as it is; times come from the outcomes of its shards."""

import sys
import time
from collections.abc import Generator
from contextlib import closing

from benchmarks.throughput.told import Told
from benchmarks.throughput.work import Work, read_work
from flowreel.jobs.engine.cluster import fit_execution
from flowreel.jobs.engine.run_shards import run_shards
from flowreel.jobs.render import render_by
from flowreel.jobs.terminal.exit import exit_process
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.schemas.outcome import ShardOutcome


def run(work: Work) -> tuple[Told, int]:
    """And the exit code."""
    outcomes: list[ShardOutcome] = []

    def noted(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
        with closing(run_shards(prepared, done, display)) as coming:
            for outcome in coming:
                outcomes.append(outcome)
                yield outcome

    display, spec = Display(), work.spec()
    fitted = spec.model_copy(update={"execution": fit_execution(spec.execution, display.note, "rendering")})
    result = render_by(noted, fitted, display)
    stages: dict[str, float] = {}
    for outcome in outcomes:
        waited = outcome.ended - outcome.began - sum(outcome.seconds.values())
        for stage, seconds in (outcome.seconds | {"waiting": waited}).items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    began = min((o.began for o in outcomes), default=time.time())
    return Told(began, [(o.ended, o.frames) for o in outcomes], stages), result.exit


if __name__ == "__main__":
    told, code = run(read_work(sys.argv[1]))
    told.tell()
    exit_process(code)
