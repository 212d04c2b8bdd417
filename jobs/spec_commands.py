"""Commands that take a spec. What they need is imported by each: `flowreel --help` answers at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flowreel.jobs.terminal.options import (
    ALLOW_DROP,
    NONE,
    RETRY,
    AllowDrop,
    Grace,
    Json,
    Retry,
    Set,
    SpecArg,
    TrainSpecArg,
)
from flowreel.schemas.spec import GRACE_H

if TYPE_CHECKING:
    from flowreel.jobs.terminal.progress import Display


def plan(
    spec: SpecArg,
    set_: Set = NONE,
    as_json: Json = False,
    out: Annotated[str, typer.Option(metavar="FILE", help="write the clips to render as Parquet")] = "",
    price: Annotated[float | None, typer.Option(min=0, help="of one worker's hour (GPU or CPU), for the cost")] = None,
) -> None:
    """Dry run: checks the spec, storage and every label map, prints what would be rendered. Needs no GPU."""
    from flowreel.jobs import plan as planning
    from flowreel.jobs.spec_file import open_spec
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    prepared, figures = planning.plan(open_spec(spec, set_, display), out or None, price)
    if as_json:
        print(planning.as_json(figures))
    else:
        print("\n".join(planning.lines(figures)))
    prepared.catalog.check()


def render(spec: SpecArg, set_: Set = NONE, retry_failed: Retry = False, allow_drop: AllowDrop = False) -> None:
    """Plans, renders what is missing, publishes a version. Interrupted, the same command goes on.

    Exit codes: 0 done; 1 failed; 2 bad usage, spec or input; 3 published, but clips failed within the allowed
    budget; 4 not published: too many clips failed, or would be dropped.
    """
    from flowreel.jobs.engine.cluster import check_extras
    from flowreel.jobs.render import render
    from flowreel.jobs.render_summary import print_summary
    from flowreel.jobs.spec_file import open_spec
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    checked = open_spec(spec, set_ + RETRY * retry_failed + ALLOW_DROP * allow_drop, display)
    check_extras("rendering", "render", checked.execution)
    with interruptible(display):
        result = render(checked, display)
    print_summary(result, checked)
    raise typer.Exit(result.exit)


def refresh(
    spec: SpecArg,
    set_: Set = NONE,
    retry_failed: Retry = False,
    allow_drop: AllowDrop = False,
    grace: Grace = GRACE_H,
) -> None:
    """What a scheduler calls: renders what changed since the newest version, publishes, then retention and gc.

    Exits 0 without a new version when nothing changed. Keeps dataset.keep_versions; exit codes are those of render.
    """
    from flowreel.jobs import gc as collecting
    from flowreel.jobs.engine.cluster import check_extras
    from flowreel.jobs.refresh import refresh
    from flowreel.jobs.render_summary import print_summary
    from flowreel.jobs.spec_file import open_spec
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    checked = open_spec(spec, set_ + RETRY * retry_failed + ALLOW_DROP * allow_drop, display)
    check_extras("rendering", "render", checked.execution)
    with interruptible(display):
        result, garbage = refresh(checked, grace * 3600, display)
    print_summary(result, checked)
    if garbage and garbage.any:
        print("\n".join(collecting.lines(garbage, grace * 3600)))
    raise typer.Exit(result.exit)


def train(spec: TrainSpecArg, set_: Set = NONE) -> None:
    """Trains a generator on paired video and writes a checkpoint directory. Interrupted, the same command goes on."""
    from flowreel.jobs.engine.cluster import check_extras
    from flowreel.jobs.spec_file import open_train_spec
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    checked = open_train_spec(spec, set_, display)
    check_extras("training", "train", checked.execution)
    from flowreel.jobs.train import train  # after all that can be wrong: ray.train takes seconds to import

    with interruptible(display, "the newest state is kept"):
        train(checked, display)


def schema(
    of: Annotated[Literal["dataset", "train"], typer.Argument(help="whose spec: a dataset's or `train`'s")] = "dataset",
) -> None:
    """Prints a spec's JSON Schema."""
    from flowreel.schemas.spec import Spec
    from flowreel.schemas.training import TrainSpec

    model = TrainSpec if of == "train" else Spec
    print(json.dumps(model.model_json_schema(by_alias=True), indent=2))


def demo(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="where everything goes")] = "flowreel-demo",
) -> None:
    """Everything on this machine in one go: makes street scenes, renders, publishes, verifies, and leaves pictures."""
    from flowreel.schemas.extras import require

    require("the demo", "render", "cpu")
    from flowreel.jobs.demo import run_demo
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    with interruptible(display):
        code = run_demo(folder, display)
    raise typer.Exit(code)


@contextmanager
def interruptible(display: "Display", kept: str = "finished shards are kept") -> Iterator[None]:
    """Ctrl-C ends a command with a word on what is left, and the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        display.say(f"interrupted: {kept}, the same command goes on from there")
        raise typer.Exit(130) from None
