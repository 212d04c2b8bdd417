"""`flowreel worth`: what a segmenter learns from a published dataset, on its own and on top of real frames."""

from dataclasses import dataclass
from typing import Annotated

import typer

from flowreel.jobs.terminal.data_options import CITYSCAPES, DATA, LabelSpaceOption, parse_size
from flowreel.jobs.terminal.dataclass_options import takes
from flowreel.schemas.extras import require


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    real: Annotated[str, typer.Argument(metavar="REAL", help=DATA)]
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET[@N]", help="Folder or bucket URL of the dataset; @N picks version N.")
    ]
    test: Annotated[
        list[str], typer.Option(metavar="NAME", help="Real sequence to test on, never trained on; may be repeated.")
    ]
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Steps of each training.")] = 1500
    seeds: Annotated[int, typer.Option(min=2, metavar="N", help="Trainings of each kind, with different seeds.")] = 5
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the frames, in pixels.")] = "256x128"
    max_frames: Annotated[
        int, typer.Option(min=1, metavar="N", help="Use at most N frames of the dataset, evenly chosen.")
    ] = 2000
    label_space: LabelSpaceOption = CITYSCAPES


@takes(Arguments)
def command(arguments: Arguments) -> None:
    """Measures what a published dataset is worth for training.

    Trains the same small segmenter on real frames, on the dataset, and on both, with several seeds each, and tests all
    on real sequences that none was trained on. Prints a table of mIoU and pixel accuracy, with 95 % intervals over the
    seeds, and whether the dataset adds anything. The test is only fair if the dataset's generator has not seen the test
    sequences either; the table tells whether its checkpoint names them as held out.

    \b
    Examples:
      flowreel worth frames s3://bucket/dataset --test seq0004
      flowreel worth frames dataset@3 --test seq0004 --steps 20 --seeds 2

    Exit codes: 0 done; 1 failed; 2 wrong usage, or input that cannot be used.
    """
    size = parse_size(arguments.size)
    require("worth", "render")
    from flowreel.jobs.terminal.progress import Display
    from flowreel.pipeline.evaluation.worth import Request, measure_worth

    request = Request(
        real=arguments.real,
        dataset=arguments.dataset,
        test=arguments.test,
        steps=arguments.steps,
        seeds=arguments.seeds,
        size=size,
        max_frames=arguments.max_frames,
        label_space=arguments.label_space,
    )
    print(measure_worth(request, Display().say))
