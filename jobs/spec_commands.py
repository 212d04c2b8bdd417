"""Commands that take a spec. Each imports what it needs when it runs, so that `flowreel --help` answers at once."""

import json
from typing import Annotated, Literal

import typer

from flowreel.jobs.terminal.options import (
    ALLOW_DROP,
    NONE,
    RETRY,
    AllowCode,
    AllowDrop,
    Grace,
    Json,
    Price,
    Retry,
    Set,
    SpecArg,
    TrainSpecArg,
)
from flowreel.jobs.terminal.signals import RESUME, if_stopped
from flowreel.schemas.spec import GRACE_H


def plan(
    spec: SpecArg,
    set_: Set = NONE,
    as_json: Json = False,
    out: Annotated[str, typer.Option(metavar="FILE", help="Also write the clips to render to this Parquet file.")] = "",
    price: Price = None,
    allow_code: AllowCode = False,
    sequences: Annotated[
        bool, typer.Option("--sequences", help="Also list every sequence: frames, size, fps, split, problems.")
    ] = False,
) -> None:
    """Checks a spec and its source, and says what rendering it would take.

    Reads the spec, the storage and every label map, lists all problems, and estimates time, memory and size. Renders
    nothing and needs no GPU.

    \b
    Examples:
      flowreel plan configs/city.yaml
      flowreel plan configs/city.yaml --price 2.50 --set clips.frames=16

    Exit codes: 0 ready to render; 1 failed, as when a store does not answer; 2 wrong usage, spec or input; 129, 130,
    143 stopped by SIGHUP, Ctrl-C, SIGTERM.
    """
    from flowreel.jobs import plan as planning
    from flowreel.jobs import plan_source
    from flowreel.jobs.spec_file import open_spec
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    prepared, figures = planning.plan(open_spec(spec, set_, display), out or None, price, allow_code=allow_code)
    listed = plan_source.sequence_figures(prepared) if sequences else []
    if as_json:
        print(planning.as_json(figures | ({"sequence_list": listed} if sequences else {})))
    else:
        print("\n".join([*planning.lines(figures), *(plan_source.sequence_lines(listed) if sequences else ())]))
    prepared.catalog.check()


def render(
    spec: SpecArg,
    set_: Set = NONE,
    retry_failed: Retry = False,
    allow_drop: AllowDrop = False,
    allow_code: AllowCode = False,
) -> None:
    """Renders the clips that are missing and publishes a new version.

    Clips that the newest version holds already are reused. If interrupted, run the same command to resume. Uses the
    Ray cluster at RAY_ADDRESS if that is set, otherwise this machine.

    \b
    Examples:
      flowreel render configs/city.yaml
      flowreel render configs/city.yaml --set dataset.uri=s3://bucket/city

    Exit codes: 0 done; 1 failed; 2 wrong usage, spec or input; 3 published, although some clips failed, within
    failure.max_failed_fraction; 4 not published, because more failed or more would be dropped than
    failure.max_dropped_fraction allows; 129, 130, 143 stopped by SIGHUP, Ctrl-C, SIGTERM.
    """
    from flowreel.jobs.engine.cluster import check_extras
    from flowreel.jobs.render import render
    from flowreel.jobs.render_summary import print_summary
    from flowreel.jobs.spec_file import open_spec
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    checked = open_spec(spec, set_ + RETRY * retry_failed + ALLOW_DROP * allow_drop, display)
    check_extras("rendering", "render", checked.execution)
    with if_stopped(RESUME):
        result = render(checked, display, allow_code=allow_code)
    print_summary(result, checked)
    raise typer.Exit(result.exit)


def refresh(
    spec: SpecArg,
    set_: Set = NONE,
    retry_failed: Retry = False,
    allow_drop: AllowDrop = False,
    allow_code: AllowCode = False,
    grace: Grace = GRACE_H,
) -> None:
    """Renders what changed since the newest version, publishes it, and cleans up; made for schedulers.

    Publishes nothing and exits 0 if nothing changed. Afterwards drops all but the newest dataset.keep_versions
    versions, and deletes data files that no version needs, as `flowreel gc` does. If interrupted, run the same command
    to resume. The exit codes are those of `flowreel render`.

    \b
    Example, every night at 2:00:
      0 2 * * *  flowreel refresh s3://bucket/city.yaml
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
    with if_stopped(RESUME):
        result, garbage = refresh(checked, grace * 3600, display, allow_code=allow_code)
    print_summary(result, checked)
    if garbage and garbage.any:
        print("\n".join(collecting.lines(garbage, grace * 3600)))
    raise typer.Exit(result.exit)


def train(spec: TrainSpecArg, set_: Set = NONE) -> None:
    """Trains a generator on paired video and writes a checkpoint directory.

    Datasets name that directory as generator.checkpoint in their spec. If interrupted, run the same command to resume
    from the newest saved state.

    \b
    Examples:
      flowreel train configs/train/city-small.yaml
      flowreel train configs/train/city-small.yaml --set execution.workers=4
    """
    from flowreel.jobs.engine.cluster import check_extras
    from flowreel.jobs.engine.local_network import stay_on_loopback
    from flowreel.jobs.spec_file import open_train_spec
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    checked = open_train_spec(spec, set_, display)
    check_extras("training", "train", checked.execution)
    stay_on_loopback()
    from flowreel.jobs.train import train  # after all that can be wrong: ray.train takes seconds to import

    with if_stopped("the newest state is kept; run the same command to resume"):
        train(checked, display)


def schema(
    of: Annotated[
        Literal["dataset", "train"],
        typer.Argument(
            metavar="dataset|train",
            show_default=False,
            help="Which spec: that of a dataset (plan, render, refresh) or that of `train`. Default: dataset.",
        ),
    ] = "dataset",
) -> None:
    """Prints the JSON Schema of a spec: every field with its type, default and meaning.

    \b
    Example:
      flowreel schema > flowreel.schema.json
    """
    from flowreel.schemas.spec import Spec
    from flowreel.schemas.training import TrainSpec

    model = TrainSpec if of == "train" else Spec
    print(json.dumps(model.model_json_schema(by_alias=True), indent=2))


def demo(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", show_default=False, help="Where everything is written. Default: flowreel-demo."
        ),
    ] = "flowreel-demo",
) -> None:
    """Renders a small dataset on this machine, from nothing: no data, GPU or account needed.

    Draws three street scenes as label maps, renders them in two variants, publishes and verifies a version, and writes
    a video, a contact sheet and a report to look at. Takes a few minutes.
    """
    from flowreel.schemas.extras import require

    require("the demo", "render", "cpu")
    from flowreel.jobs.demo import run_demo
    from flowreel.jobs.terminal.progress import Display

    display = Display()
    with if_stopped(RESUME):
        code = run_demo(folder, display)
    raise typer.Exit(code)
