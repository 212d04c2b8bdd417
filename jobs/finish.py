"""How a run ended, and what it does once its version is published: records go, summary and report are written.

The version is there whole by then. So nothing here makes a run fail, and a run that is stopped or killed here has lost
nothing: the next run, or `flowreel gc`, finds what was left and tidies it up.
"""

import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from flowreel.jobs.report import publish_report
from flowreel.jobs.terminal.progress import Display
from flowreel.jobs.terminal.signals import RESUME
from flowreel.pipeline.dataset.runs import records, summary
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import StorageError
from flowreel.schemas.exit_codes import Exit
from flowreel.schemas.run import RunSummary


@dataclass
class Result:
    """How a render ended."""

    exit: Exit
    version: Version | None  # published now, or the newest one where it is up to date
    published: bool
    rendered_frames: int = 0
    unpublished: list[str] = field(default_factory=list)  # one line per failed or rejected clip


def published_text(version: Version | None) -> str:
    """Words what there is, for a run that is stopped or fails. ``version``: what it has published, if it has."""
    if version is None:
        return RESUME
    return (
        f"version {version.number} of {version.dataset.uri} is published and whole; its report may be missing"
        " (`flowreel report` writes it), and the next run tidies up"
    )


def end_runs(dataset: Store, plan_ids: Iterable[str], display: Display) -> None:
    """Deletes the records of runs that are published. A store that refuses is noted only."""
    try:
        for plan_id in plan_ids:
            records.end_run(dataset, plan_id)
    except StorageError as error:
        display.note(f"the run's records could not be deleted: {error}; the next run deletes them")


def finish_interrupted(base: Version | None, display: Display, *, report: bool) -> None:
    """Finishes what is left of the run that published ``base``, as when it was killed after its commit: its records go,
    and its ``report`` is written if it is wanted and missing."""
    if base and records.exists(base.dataset, base.record.plan_id):
        display.say(f"tidying up what is left of the run that published version {base.number}")
        end_runs(base.dataset, [base.record.plan_id], display)
        if report and not has_report(base):
            publish_report(base, display)


def has_report(version: Version) -> bool:
    """Tells whether a version has its report."""
    from flowreel.pipeline.report.page import REPORT  # video codecs, which most commands do without

    return version.dataset.exists(version.path(REPORT))


def save_run_summary(prepared: Prepared, result: Result, tally: summary.Tally, display: Display) -> None:
    """Saves what the run took. A store that refuses it is noted only."""
    job = prepared.job
    run_summary = RunSummary(
        plan_id=prepared.plan.plan_id,
        dataset=job.dataset.uri,
        started=tally.started.isoformat(timespec="seconds"),
        seconds=round(time.time() - tally.started.timestamp(), 3),
        host=platform.node(),
        exit=result.exit,
        version=result.version.number if result.version else None,
        published=result.published,
        settings=job.settings,
        num_gpus=job.spec.execution.num_gpus,
        num_cpus=job.spec.execution.num_cpus,
        **tally.figures(),
    )
    try:
        summary.save(job.dataset, run_summary)
    except StorageError as error:
        display.note(f"the run's summary could not be saved: {error}")
