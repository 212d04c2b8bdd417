"""`flowreel.load_spec`, `flowreel.plan` and `flowreel.render`: the commands as Python calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from flowreel.jobs.engine.cluster import check_extras
from flowreel.jobs.plan import plan as plan_with_figures
from flowreel.jobs.render import Exit
from flowreel.jobs.render import render as render_with_display
from flowreel.jobs.spec_file import fitted, spec_text
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.versions import Version
from flowreel.schemas.errors import OverBudget
from flowreel.schemas.parse import parse_spec
from flowreel.schemas.spec import Spec
from flowreel.schemas.wording import counted

CLIPS_SHOWN = 10  # clips


@dataclass(frozen=True)
class PlanSummary:
    """What a render would do and take: the fields of `flowreel plan --json`.

    Bytes of memory are for one worker; `driver_bytes` is the memory of the process that calls `render`.
    """

    plan_id: str
    base_version: int | None  # the newest version, on top of which it is planned; None for a first one
    sequences: int
    label_frames: int  # label maps of the source
    splits: Mapping[str, Mapping[str, int]]  # split -> its `sequences`, `frames`, `clips_to_render`
    files_read: int  # label maps that had to be read; the others are known from earlier runs
    files_skipped: Mapping[str, int]  # kind -> files with hidden or system names, which are no label maps
    sequences_left_out: Mapping[str, int]  # field of the source -> sequences that it leaves out
    clips_to_render: int
    frames_to_render: int
    shards: int  # data files to write
    clips_reused: int  # clips of the base version that stay as they are
    frames_reused: int
    clips_dropped: int  # clips of the base version that go, replaced or not
    dropped_without_successor: Mapping[str, Any]  # those that nothing replaces: `clips`, `of`, names of `sequences`
    warnings: tuple[str, ...]  # what would keep `render` from publishing
    clips_turned_down: int  # not tried: rejected by `quality`, or failed before
    pieces_too_short: tuple[str, ...]  # spans of sequences that give no image with `lead_in: drop`
    device: str  # cpu or cuda
    size: tuple[int, int]  # width, height in pixels
    batch: int  # clips that are rendered in lock-step
    precision: str  # float32, bfloat16 or float16
    generator: str  # digest of the checkpoint
    frames_per_worker_s: float  # speed of one worker: measured by earlier runs, else a rule of thumb
    frames_per_worker_s_from: str  # where that speed comes from
    estimated_worker_hours: float
    estimated_cost: float | None  # `price` times the hours; None without a price
    finishes: tuple[Mapping[str, float], ...]  # per number of `workers` (and their `gpus`): `hours`
    estimated_bytes: int  # of the data files to write
    actor_bytes: int  # memory of a worker
    shard_bytes: int  # part of it, for each shard in flight
    device_bytes: int  # memory of its GPU; 0 on CPUs
    driver_bytes: int
    class_shares: Mapping[str, float]  # class -> share of the source's pixels, 0 to 1
    ids: tuple[Mapping[str, Any], ...]  # per source id: `id`, its `class` and `pixels`
    balance: Mapping[str, Any] | None  # shares before and after, where `variants` asks for a balance
    problems: tuple[str, ...]  # of the source; with any, `render` raises SourceError

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> "PlanSummary":
        """Takes the figures of `flowreel plan --json`."""
        values: dict[str, Any] = {field.name: figures[field.name] for field in fields(cls)}
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values)


def load_spec(path_or_url: str, overrides: Sequence[str] = ()) -> Spec:
    """Reads and checks the spec of a dataset, a YAML file at a path or URL; ``overrides`` as of `--set`.

    An override is "field=value", for example "clips.frames=16".
    Raises UsageError for a file that is not there, or with one line for each thing that is wrong.
    """
    return parse_spec(spec_text(path_or_url), overrides, path_or_url)


def plan(spec: Spec, *, price: float | None = None, progress: bool = True, allow_code: bool = False) -> PlanSummary:
    """Checks the spec, its storage and every label map, and says what `render` would do. Writes and renders nothing.

    ``price``: of one worker's hour, in any currency. ``progress``: notes on stderr.
    ``allow_code``: accept a `quality.segmenter` that runs code of its own (TorchScript), if you trust whoever made it.
    Problems of the source are listed in the result; raises UsageError (or a kind of it: StorageError, CheckpointError)
    for what makes planning impossible.
    """
    return PlanSummary.of(
        plan_with_figures(fitted(spec, Display(quiet=not progress)), None, price, allow_code=allow_code)[1]
    )


def render(spec: Spec, *, progress: bool = True, allow_code: bool = False) -> Version:
    """Renders what is missing and publishes a version; gives the newest one if nothing changed.

    Runs on the Ray cluster that RAY_ADDRESS names, else on this machine. If interrupted, call it again to resume.
    ``progress``: progress and notes on stderr. ``allow_code``: as of `plan`. Clips that failed within the failure
    budget are counted in `version.record.counts` (`failed`, `rejected`); `version.number` opens it:
    `open_dataset(uri, version.number)`.

    Raises OverBudget if more failed, DroppedError if more of the newest version would go than
    `failure.max_dropped_fraction` allows, UsageError (or a kind of it: SourceError, StorageError, CheckpointError,
    MissingExtra) for what has to be put right first, Stopped after SIGTERM, FlowreelError otherwise.
    """
    display = Display(quiet=not progress)
    here = fitted(spec, display)
    check_extras("rendering", "render", here.execution)
    result = render_with_display(here, display, allow_code=allow_code)
    if result.exit == Exit.OVER_BUDGET or result.version is None:
        count = len(result.unpublished)
        lines = [
            f"not published: {counted(count, 'clip')} failed or were rejected, and failure.max_failed_fraction is"
            f" {spec.failure.max_failed_fraction:g}",
            *result.unpublished[:CLIPS_SHOWN],
        ]
        if count > CLIPS_SHOWN:
            lines.append(f"... and {count - CLIPS_SHOWN:,} more")
        raise OverBudget("\n  ".join(lines))
    return result.version
