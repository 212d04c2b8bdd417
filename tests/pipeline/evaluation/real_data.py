"""Sequences with frames that look real enough to measure on: each class in its colour."""

import json
from pathlib import Path
from typing import Any

from flowreel.pipeline.codec import decode_ids, encode_image
from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from flowreel.pipeline.pictures import color_labels
from flowreel.schemas.label_spaces import BUILT_IN

CITY = BUILT_IN["cityscapes"]
SIZE = (64, 32)


def add_frames(source: Path) -> Path:
    """Writes SEQUENCE/images/*.jpg beside the label maps of `make_source`; returns the folder."""
    for label in sorted(source.glob("*/labels/*.png")):
        image = label.parents[1] / "images" / f"{label.stem}.jpg"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(encode_image(color_labels(decode_ids(label.read_bytes()), CITY), "jpeg", 95))
    return source


def copy_checkpoint(checkpoint: Path, folder: Path, **changes: Any) -> Path:
    """Copies a checkpoint, with a config that says something else."""
    folder.mkdir()
    (folder / WEIGHTS_FILE).write_bytes((checkpoint / WEIGHTS_FILE).read_bytes())
    config = json.loads((checkpoint / CONFIG_FILE).read_text()) | changes
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    return folder
