"""`flowreel evaluate`: how good a generator's videos are, on real sequences that it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flowreel.jobs.terminal.data_options import CITYSCAPES, DataArg, LabelSpaceOption, parse_size
from flowreel.jobs.terminal.dataclass_options import takes
from flowreel.schemas.errors import UsageError
from flowreel.schemas.extras import require

if TYPE_CHECKING:  # PyTorch takes seconds to import: for this command only
    from flowreel.pipeline.evaluation.comparison import Request

OUT = "flowreel-evaluation"


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="Folder or bucket URL of a generator, or `bundled`.")
    ]
    data: DataArg
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            show_default=False,
            help="Folder or bucket URL for the results. Default: flowreel-evaluation.",
        ),
    ] = OUT
    sequence: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Sequence to measure on; may be repeated. Default: those that the checkpoint names as held out of its"
            " training, or all.",
        ),
    ] = field(default_factory=list)
    baseline: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=CHECKPOINT", help="Another generator, which renders frame after frame; may be repeated."
        ),
    ] = field(default_factory=list)
    alone: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=CHECKPOINT", help="Another generator, which renders each frame by itself; may be repeated."
        ),
    ] = field(default_factory=list)
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size to render, in pixels. Default: the checkpoint's own.")
    ] = ""
    precision: Annotated[Literal["float32", "bfloat16", "float16"], typer.Option(help="Precision of the networks.")] = (
        "float32"
    )
    segmenter: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="A segmenter by `flowreel segmenter`. Default: one is trained first, on the sequences that are not"
            " measured.",
        ),
    ] = ""
    segmenter_minutes: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="How long to train it, without --segmenter.")
    ] = 5.0
    styles: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many first frames of other sequences set a style, at most.")
    ] = 3
    label_space: LabelSpaceOption = CITYSCAPES


@takes(Arguments)
def command(arguments: Arguments) -> None:
    """Measures a generator's videos on real sequences that it was not trained on.

    Renders the label maps of DATA with no real frame to start from, and compares the videos with the real ones: warp
    error, label agreement, sharpness, drift, diversity of styles. Without --baseline and --alone, the checkpoint is
    compared with itself rendering each frame alone.

    Prints a table, and writes it to OUT as evaluation.md, with all numbers in evaluation.json, side-by-side.mp4 and
    contact-sheet.png.

    \b
    Examples:
      flowreel evaluate bundled frames --sequence seq0004
      flowreel evaluate runs/city frames results \\
        --segmenter segmenter.safetensors \\
        --baseline no-flow=runs/no-flow --alone by-frame=runs/by-frame

    Exit codes: 0 done; 1 failed; 2 wrong usage, or input that cannot be used.
    """
    request = _request(arguments)
    require("evaluate", "render", "cpu")
    from flowreel.jobs.terminal.progress import Display
    from flowreel.jobs.terminal.steps import step
    from flowreel.pipeline.evaluation.comparison import prepare
    from flowreel.pipeline.evaluation.evaluate import evaluate, render
    from flowreel.pipeline.evaluation.results import NUMBERS, SHEET, TABLE, VIDEO, write_results
    from flowreel.pipeline.storage import open_store

    store, display = open_store(arguments.out), Display()
    comparison = prepare(request, display.say)
    store.check_writable()
    with step(display, "rendering, frames") as progress:
        rendered = render(comparison, progress)
    with step(display, "measuring, methods") as progress:
        numbers = evaluate(comparison, rendered, progress)
    print(write_results(store, comparison, numbers, rendered.made))
    display.say(f"written to {store.uri}: {TABLE}, {NUMBERS}, {VIDEO}, {SHEET}")


def _request(arguments: Arguments) -> "Request":
    baselines, alone = _named("--baseline", arguments.baseline), _named("--alone", arguments.alone)
    size = parse_size(arguments.size) if arguments.size else None
    from flowreel.pipeline.evaluation.comparison import Request  # after all that can be wrong

    return Request(
        checkpoint=arguments.checkpoint,
        data=arguments.data,
        sequences=arguments.sequence,
        label_space=arguments.label_space,
        size=size,
        precision=arguments.precision,
        baselines=baselines,
        alone=alone,
        segmenter=arguments.segmenter,
        segmenter_minutes=arguments.segmenter_minutes,
        styles=arguments.styles,
    )


def _named(option: str, given: Sequence[str]) -> list[tuple[str, str]]:
    """Splits NAME=CHECKPOINT. Raises UsageError for anything else."""
    for text in given:
        name, _, checkpoint = text.partition("=")
        if not name or not checkpoint:
            raise UsageError(f"{option} {text}: give NAME=CHECKPOINT, for example no-flow=runs/no-flow/checkpoint")
    return [(name, checkpoint) for name, _, checkpoint in (text.partition("=") for text in given)]
