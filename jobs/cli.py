"""The command line: `flowreel COMMAND`. One function per command; the work is in the files they name."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from jobs import diff as differences
from jobs import export as exporting
from jobs import gc as collecting
from jobs import import_checkpoint as importing
from jobs import lineage
from jobs import plan as planning
from jobs import report as reporting
from jobs import status as state
from jobs import submit as submitting
from jobs import verify as verifying
from jobs.ending import tell
from jobs.leaving import leave
from jobs.progress import Display
from jobs.refresh import refresh as run_refresh
from jobs.render import render as run_render
from jobs.spec_file import open_spec, open_train_spec
from pipeline.diff import diff as compare
from pipeline.gc import GRACE_H, Policy
from pipeline.storage import open_store
from pipeline.versions import open_version, split_uri
from schemas.errors import FlowreelError
from schemas.spec import Spec
from schemas.training import TrainSpec

app = typer.Typer(
    help="Label-map sequences in object storage -> photoreal clips -> versioned, paired Parquet datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

SpecArg = Annotated[str, typer.Argument(metavar="SPEC", help="path or URL of the spec, a YAML file (see configs/)")]
TrainSpecArg = Annotated[str, typer.Argument(metavar="SPEC", help="path or URL of a YAML file (see configs/train/)")]
DatasetArg = Annotated[str, typer.Argument(metavar="DATASET[@N]", help="folder or bucket URL; @N: version N")]
PlaceArg = Annotated[str, typer.Argument(metavar="DATASET", help="folder or bucket URL")]
Set = Annotated[
    list[str], typer.Option("--set", metavar="FIELD=VALUE", help="override a field of the spec, e.g. clips.frames=16")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Grace = Annotated[
    float,
    typer.Option(min=0, metavar="HOURS", help="younger files stay, and those of versions dropped since"),
]
Retry = Annotated[bool, typer.Option("--retry-failed", help="try clips again that failed before")]
NONE: list[str] = []
RETRY = ["failure.retry_failed=true"]


@app.command()
def plan(
    spec: SpecArg,
    set_: Set = NONE,
    as_json: Json = False,
    out: Annotated[str, typer.Option(metavar="FILE", help="write the clips to render as Parquet")] = "",
    price: Annotated[float | None, typer.Option(min=0, help="of one worker's hour (GPU or CPU), for the cost")] = None,
) -> None:
    """Dry run: checks the spec, storage and every label map, prints what would be rendered. Needs no GPU."""
    display = Display()
    prepared, figures = planning.plan(open_spec(spec, set_, display), out or None, price)
    if as_json:
        print(planning.as_json(figures))
    else:
        print("\n".join(planning.lines(figures)))
    prepared.catalog.check()


@app.command()
def render(spec: SpecArg, set_: Set = NONE, retry_failed: Retry = False) -> None:
    """Plans, renders what is missing, publishes a version. Interrupted, the same command goes on.

    Exit codes: 0 done; 1 failed; 2 bad usage, spec or input; 3 published, but clips failed within the allowed
    budget; 4 not published, over the budget.
    """
    display = Display()
    checked = open_spec(spec, set_ + RETRY * retry_failed, display)
    with _interruptible(display):
        result = run_render(checked, display)
    tell(result, checked)
    raise typer.Exit(result.exit)


@app.command()
def refresh(spec: SpecArg, set_: Set = NONE, retry_failed: Retry = False, grace: Grace = GRACE_H) -> None:
    """What a scheduler calls: renders what changed since the newest version, publishes, then retention and gc.

    Exits 0 without a new version when nothing changed. Keeps dataset.keep_versions; exit codes are those of render.
    """
    display = Display()
    checked = open_spec(spec, set_ + RETRY * retry_failed, display)
    with _interruptible(display):
        result, garbage = run_refresh(checked, grace * 3600, display)
    tell(result, checked)
    if garbage and garbage.any:
        print("\n".join(collecting.lines(garbage, grace * 3600)))
    raise typer.Exit(result.exit)


@app.command()
def gc(
    dataset: PlaceArg,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="newest versions to keep; default: dataset.keep_versions")
    ] = None,
    grace: Grace = GRACE_H,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be deleted, delete nothing")] = False,
    compact: Annotated[bool, typer.Option("--compact", help="first rewrite data files that are mostly dead")] = False,
) -> None:
    """Drops versions past retention, and data files that no kept version and no live run uses.

    Safe beside runs and readers: who has opened a version that is dropped keeps its files for the grace period.
    """
    store, policy = open_store(dataset), Policy(keep, grace * 3600)
    store.check_readable()
    if compact:
        print(collecting.compact(store, Display(), dry=dry_run))
    garbage = collecting.collect(store, policy, Display(), dry=dry_run)
    print("\n".join(collecting.lines(garbage, policy.grace_s, dry=dry_run)))


@app.command()
def status(
    dataset: DatasetArg,
    clip: Annotated[str, typer.Option(metavar="ID", help="where this clip comes from: label files, generator")] = "",
    source: Annotated[str, typer.Option(metavar="FILE", help="which clips this label map or exemplar is in")] = "",
    as_json: Json = False,
) -> None:
    """Versions, sizes, and runs that are under way or interrupted; of one clip or source file, the lineage."""
    uri, number = split_uri(dataset)
    store = open_store(uri)
    if clip:
        figures: Any = lineage.clip(open_version(store, number), clip)
        text = lineage.clip_lines(figures)
    elif source:
        figures = lineage.source(open_version(store, number), source)
        text = lineage.source_lines(figures, source)
    else:
        figures = state.status(store)
        text = iter(state.lines(figures))
    print(json.dumps(figures, indent=2) if as_json else "\n".join(text))


@app.command()
def verify(
    dataset: DatasetArg,
    rerender: Annotated[int, typer.Option(min=0, metavar="N", help="render N clips again and compare")] = 0,
    seed: Annotated[int, typer.Option(help="chooses the clips that are rendered again")] = 0,
) -> None:
    """Re-reads a version: hashes, pairing, counts, decodability. Exits 1 and lists every problem if there is one."""
    uri, number = split_uri(dataset)
    version, display = open_version(open_store(uri), number), Display()
    print(verifying.check(version, display))
    if rerender:
        print(verifying.again(version, rerender, seed, display))


@app.command()
def diff(
    dataset: PlaceArg,
    before: Annotated[int, typer.Argument(metavar="A", help="a version's number")],
    after: Annotated[int, typer.Argument(metavar="B", help="another one's")],
    as_json: Json = False,
) -> None:
    """Clips added, removed and changed from version A to B, and why: labels, label space, range, variant, ..."""
    store = open_store(dataset)
    found = compare(open_version(store, before), open_version(store, after))
    print(json.dumps(differences.figures(found), indent=2) if as_json else "\n".join(differences.lines(found)))


@app.command()
def train(spec: TrainSpecArg, set_: Set = NONE) -> None:
    """Trains a generator on paired video and writes a checkpoint directory. Interrupted, the same command goes on."""
    display = Display()
    checked = open_train_spec(spec, set_, display)
    from jobs.train import train as run_training  # ray.train takes seconds to import

    with _interruptible(display, "the newest state is kept"):
        run_training(checked, display)


@app.command()
def schema(
    of: Annotated[Literal["dataset", "train"], typer.Argument(help="whose spec: a dataset's or `train`'s")] = "dataset",
) -> None:
    """Prints a spec's JSON Schema."""
    model = TrainSpec if of == "train" else Spec
    print(json.dumps(model.model_json_schema(by_alias=True), indent=2))


@app.command()
def demo(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="where everything goes")] = "flowreel-demo",
) -> None:
    """Everything on this machine in one go: makes street scenes, renders, publishes, verifies, and leaves pictures."""
    from jobs.demo import run_demo  # Ray and PyTorch, which most commands do without

    display = Display()
    with _interruptible(display):
        code = run_demo(folder, display)
    raise typer.Exit(code)


app.command("submit")(submitting.command)
app.command("report")(reporting.command)
app.command("export")(exporting.command)
app.command("import-checkpoint")(importing.command)


@contextmanager
def _interruptible(display: Display, kept: str = "finished shards are kept") -> Iterator[None]:
    """Ctrl-C ends a command with a word on what is left, and the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        display.say(f"interrupted: {kept}, the same command goes on from there")
        raise typer.Exit(130) from None


def run() -> int:
    """Runs a command and gives its exit code; errors that Flowreel raises on purpose print their message alone."""
    try:
        app()
    except FlowreelError as error:
        print(f"flowreel: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as end:  # typer's way to end, whatever the code
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    leave(run())
