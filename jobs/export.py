"""`flowreel export`: a version in another format."""

from enum import StrEnum
from typing import Annotated

import typer


class FormatName(StrEnum):
    CITYSCAPES = "cityscapes"
    COCO_PANOPTIC = "coco-panoptic"
    WEBDATASET = "webdataset"
    VIDEO = "video"


def command(
    dataset: Annotated[str, typer.Argument(metavar="DATASET[@N]", help="folder or bucket URL; @N: version N")],
    target: Annotated[str, typer.Argument(metavar="DEST", help="folder or bucket URL to write to")],
    name: Annotated[FormatName, typer.Option("--format", help="layout of the files")],
) -> None:
    """Writes a version in another format. Interrupted, the same command goes on."""
    from flowreel.jobs.terminal.progress import Display
    from flowreel.pipeline.export.formats import FORMATS
    from flowreel.pipeline.export.run import export
    from flowreel.pipeline.reader.dataset import open_dataset
    from flowreel.pipeline.storage import open_store

    opened, store, display = open_dataset(dataset), open_store(target), Display()
    store.check_writable()
    with display.task(f"exporting version {opened.version.number} as {name.value}") as progress:
        summary = export(opened, store, FORMATS[name.value], progress)
    there = f" ({summary.kept:,} of {summary.units:,} parts were there)" if summary.kept else ""
    print(f"{store.uri}: {summary.clips:,} clips, {summary.frames:,} frames as {name.value}{there}")
