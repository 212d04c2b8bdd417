"""Arguments and options of commands that measure on real sequences."""

from typing import Annotated

import typer

from flowreel.schemas.errors import UsageError

DATA = "Folder or bucket URL with SEQUENCE/labels/*.png and SEQUENCE/images/*.jpg, or a spec with a `source`"
DataArg = Annotated[str, typer.Argument(metavar="DATA", help=DATA)]
LabelSpaceOption = Annotated[
    str, typer.Option("--label-space", metavar="NAME", help="Label space of a folder; a spec names its own.")
]
CITYSCAPES = "cityscapes"


def parse_size(text: str) -> tuple[int, int]:
    """Gives (width, height) in pixels of WxH. Raises UsageError for anything else."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UsageError(f"--size {text}: give width and height in pixels, for example 512x256")
    return int(width), int(height)
