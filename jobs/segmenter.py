"""`flowreel segmenter`: trains the segmenter that label agreement is measured with."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from flowreel.jobs.terminal.data_options import CITYSCAPES, DataArg, LabelSpaceOption, parse_size
from flowreel.jobs.terminal.options import NONE
from flowreel.schemas.errors import UsageError
from flowreel.schemas.extras import require

if TYPE_CHECKING:  # PyTorch takes seconds to import: for this command only
    from flowreel.pipeline.evaluation.real_video import RealData


def command(
    data: DataArg,
    out: Annotated[str, typer.Argument(metavar="OUT", help="Path or URL of the safetensors file to write.")],
    hold_out: Annotated[
        list[str],
        typer.Option(
            "--hold-out", metavar="NAME", help="Sequence to test on instead of training on it; may be repeated."
        ),
    ] = NONE,
    minutes: Annotated[
        float,
        typer.Option(min=0, metavar="MINUTES", help="Time of training with all CPUs at work, all runs together."),
    ] = 10.0,
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the frames it learns from, in pixels.")] = "256x128",
    label_space: LabelSpaceOption = CITYSCAPES,
) -> None:
    """Trains a small segmenter on real frames and their labels.

    OUT is what `flowreel evaluate --segmenter`, a spec's `quality.segmenter` and a training's
    `losses.perceptual_weights` take. Hold out the sequences that these will measure on. If interrupted, run the same
    command to resume: the state is kept in OUT.state.

    \b
    Example:
      flowreel segmenter frames segmenter.safetensors \\
        --hold-out seq0004 --minutes 10

    Exit codes: 0 done; 1 failed; 2 wrong usage, or input that cannot be used; 129, 130, 143
    stopped by SIGHUP, Ctrl-C, SIGTERM.
    """
    width_height = parse_size(size)
    if out.endswith("/"):
        raise UsageError(f"OUT is {out}: name a file, for example {out}segmenter.safetensors")
    require("segmenter", "render")
    from flowreel.pipeline.evaluation.real_video import open_data

    train(open_data(data, label_space), hold_out, width_height, minutes * 60, out)


def train(data: "RealData", hold_out: Sequence[str], size: tuple[int, int], seconds: float, out: str) -> None:
    """Trains, writes OUT, and prints how well the sequences that were held out are segmented."""
    from flowreel.jobs.terminal.progress import Display
    from flowreel.jobs.terminal.signals import if_stopped
    from flowreel.pipeline.evaluation.agreement import agreement
    from flowreel.pipeline.evaluation.segmenter_training import described, train_segmenter
    from flowreel.pipeline.quality.segmenter_network import save_segmenter
    from flowreel.pipeline.storage import open_file

    display, (store, name) = Display(), open_file(out)
    tested = data.read(hold_out, size)
    store.check_writable()
    names = [sequence for sequence in data.names if sequence not in hold_out]
    with if_stopped("the state of the last minute is kept; run the same command to resume"):
        trained = train_segmenter(data, names, size, seconds, display.say, (store, f"{name}.state"))
    store.write(name, save_segmenter(trained))
    for video in tested:
        print(described(video.name, agreement(trained, video.image_THW3, video.label_THW), data))
    display.say(f"written: {store.url(name)}")
