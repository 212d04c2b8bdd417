"""The command line: `flowreel COMMAND`. One function per command; the work is in the files they name."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from jobs import import_checkpoint as importing
from jobs import plan as planning
from jobs import status as state
from jobs.progress import Display
from jobs.render import Exit, Result
from jobs.render import render as run_render
from jobs.spec_file import open_spec, open_train_spec
from pipeline.storage import open_store
from pipeline.verify import verify as check_version
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
Set = Annotated[
    list[str], typer.Option("--set", metavar="FIELD=VALUE", help="override a field of the spec, e.g. clips.frames=16")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
NONE: list[str] = []


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
def render(spec: SpecArg, set_: Set = NONE) -> None:
    """Plans, renders what is missing, publishes a version. Interrupted, the same command goes on.

    Exit codes: 0 done; 1 failed; 2 bad usage, spec or input; 3 published, but clips failed within the allowed
    budget; 4 not published, over the budget.
    """
    display = Display()
    checked = open_spec(spec, set_, display)
    with _interruptible(display):
        result = run_render(checked, display)
    _tell(result, checked)
    raise typer.Exit(result.exit)


@app.command()
def status(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="folder or bucket URL")], as_json: Json = False
) -> None:
    """Versions, sizes, and runs that are under way or interrupted."""
    figures = state.status(open_store(dataset))
    print(json.dumps(figures, indent=2) if as_json else "\n".join(state.lines(figures)))


@app.command()
def verify(dataset: DatasetArg) -> None:
    """Re-reads a version: hashes, pairing, counts, decodability. Exits 1 and lists every problem if there is one."""
    uri, number = split_uri(dataset)
    display = Display()
    version = open_version(open_store(uri), number)
    with display.task(f"verifying version {version.number}") as progress:
        verdict = check_version(version, progress)
    if verdict.problems:
        shown = "\n".join(f"  {p}" for p in verdict.problems[:20])
        more = f"\n  ... and {len(verdict.problems) - 20} more" if len(verdict.problems) > 20 else ""
        raise FlowreelError(f"version {version.number} of {uri}: {len(verdict.problems)} problem(s)\n{shown}{more}")
    print(
        f"version {version.number} of {uri} is whole: {verdict.files:,} data files, {verdict.clips:,} clips,"
        f" {verdict.frames:,} frames"
    )


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
    of: Annotated[
        Literal["dataset", "train"], typer.Argument(help="whose spec: a dataset's, or of `train`")
    ] = "dataset",
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


app.command("import-checkpoint")(importing.command)


def _tell(result: Result, spec: Spec) -> None:
    """The last words of a render."""
    for line in result.lost[:10]:
        print(line, file=sys.stderr)
    if len(result.lost) > 10:
        print(f"... and {len(result.lost) - 10} more", file=sys.stderr)
    if result.exit == Exit.OVER_BUDGET:
        print(
            f"not published: {len(result.lost)} clip(s) lost, above failure.max_failed_fraction"
            f" {spec.failure.max_failed_fraction:g}; mend the cause and run the same command, it goes on from here",
            file=sys.stderr,
        )
    elif result.version and result.published:
        counts = result.version.record.counts
        print(
            f"published version {result.version.number} of {spec.dataset.uri}: {counts.clips:,} clips,"
            f" {counts.frames:,} frames ({counts.rendered:,} clips rendered, {counts.reused:,} reused)"
        )
    elif result.version:
        print(f"nothing changed: version {result.version.number} of {spec.dataset.uri} is up to date")


@contextmanager
def _interruptible(display: Display, kept: str = "finished shards are kept") -> Iterator[None]:
    """Ctrl-C ends a command with a word on what is left, and the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        display.say(f"interrupted: {kept}, the same command goes on from there")
        raise typer.Exit(130) from None


def main() -> None:
    """Runs a command; errors that Flowreel raises on purpose print their message alone."""
    try:
        app()
    except FlowreelError as error:
        print(f"flowreel: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
