"""`flowreel refresh`, for schedulers: renders what changed, publishes it, and drops old versions."""

from flowreel.jobs import gc as collecting
from flowreel.jobs.engine.run_shards import run_shards
from flowreel.jobs.finish import published_text
from flowreel.jobs.render import Exit, Rendering, Result, render_by
from flowreel.jobs.terminal.progress import Display
from flowreel.jobs.terminal.signals import if_stopped
from flowreel.pipeline.maintenance.gc import Garbage, Policy
from flowreel.pipeline.maintenance.retention import overdue
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import FlowreelError, Stopped, underway
from flowreel.schemas.spec import Spec


def refresh(
    spec: Spec, grace_s: float, display: Display, rendering: Rendering = run_shards, *, allow_code: bool = False
) -> tuple[Result, Garbage | None]:
    """Renders, publishes and cleans up. Gives how the render ended, and what was dropped and deleted, if anything.

    ``grace_s``: seconds for which files of dropped versions stay. ``allow_code``: as of `render`. Writes
    nothing where nothing is to be done.
    """
    result = render_by(rendering, spec, display, allow_code=allow_code)
    if result.exit not in (Exit.DONE, Exit.WITH_FAILURES):
        return result, None
    dataset = open_store(spec.dataset.uri, spec.dataset_options)
    keep, new = spec.dataset.keep_versions, result.version if result.published else None
    there = published_text(new) if new else "the dataset is up to date"
    try:
        with underway(), if_stopped(f"{there}; the next run removes old versions"):
            if not new and not overdue(dataset, keep):
                return result, None
            return result, collecting.collect(dataset, Policy(keep, grace_s), display)
    except Stopped:
        raise
    except FlowreelError as error:
        error.args = (f"{there}, but old versions could not be removed: {error}",)
        raise
