"""`flowreel export`: a version in another format."""

from enum import StrEnum
from typing import Annotated

import typer

from flowreel.jobs.terminal.options import DatasetArg
from flowreel.schemas.wording import counted


class FormatName(StrEnum):
    """What a version can be exported as."""

    CITYSCAPES = "cityscapes"
    COCO_PANOPTIC = "coco-panoptic"
    WEBDATASET = "webdataset"
    VIDEO = "video"


def command(
    dataset: DatasetArg,
    target: Annotated[str, typer.Argument(metavar="DEST", help="Folder or bucket URL to write to.")],
    name: Annotated[
        FormatName,
        typer.Option(
            "--format", metavar="FORMAT", help="Layout of the files: cityscapes, coco-panoptic, webdataset or video."
        ),
    ],
) -> None:
    """Writes a version in another format: Cityscapes, COCO panoptic, WebDataset or video files.

    Each file is compared with its published hash before anything of it is handed on. If interrupted, run the same
    command to resume; what was written before is checked, and written again if it is not what it was.

    \b
    Example:
      flowreel export s3://bucket/city ./city --format cityscapes
    """
    from flowreel.jobs.terminal.progress import Display
    from flowreel.pipeline.export.formats import FORMATS
    from flowreel.pipeline.export.run import check_target, export
    from flowreel.pipeline.reader.dataset import open_dataset
    from flowreel.pipeline.storage import open_store

    opened, store, display = open_dataset(dataset, verify=True), open_store(target), Display()
    check_target(opened.version.dataset, store)
    store.check_writable()
    with display.task(f"exporting version {opened.version.number} as {name.value}") as progress:
        summary = export(opened, store, FORMATS[name.value], progress)
    kept = f"; {summary.kept:,} of {counted(summary.units, 'part')} had been written before" if summary.kept else ""
    clips, frames = counted(summary.clips, "clip"), counted(summary.frames, "frame")
    print(f"exported {clips}, {frames} as {name.value} to {store.uri}{kept}")
