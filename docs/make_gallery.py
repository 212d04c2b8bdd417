"""Pictures of what edits do, for docs/control.md: `python docs/make_gallery.py OUT --source SEQUENCES`.

Each shows label map and render of one frame, as they are on the left and edited on the right. SEQUENCES: a folder as
configs/city.yaml has it, `<sequence>/labels/*.png` and `<sequence>/instances/*.png`, with Cityscapes ids.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import Engine, load_engine
from flowreel.pipeline.pictures import color_labels
from flowreel.pipeline.planning.prepare import Prepared, prepare
from flowreel.pipeline.render.fetch import ClipMaps, fetch_clip
from flowreel.schemas.spec import Spec

FRAMES = 4  # rendered; the last one is shown
MARGIN, TITLE = 6, 20
PAPER, INK = (250, 250, 250), (20, 20, 20)


@dataclass(frozen=True)
class Picture:
    """A file name, the sequence it is made from, and the edits of the right side."""

    name: str
    sequence: str
    edits: list[dict[str, Any]]


PICTURES = (
    Picture("trees-to-buildings", "seq0002", [{"replace": "vegetation", "with": "building"}]),
    Picture("no-cars", "seq0003", [{"remove": "car"}]),
    Picture("insert", "seq0002", [{"insert": 13, "from": "seq0003", "by": [-0.2, 0.0]}]),
    Picture("mirror-and-crop", "seq0000", [{"mirror": "horizontal"}, {"crop": [0.15, 0.2, 0.7, 0.7]}]),
    Picture("drop-out", "seq0004", [{"drop_out": [0.55, 0.1, 0.3, 0.6]}]),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of pictures")
    said = parser.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    wanted = [p for p in PICTURES if not said.only or p.name in said.only]
    variants = [{"edits": []}, *({"edits": p.edits} for p in wanted)]
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(_spec(said.source, folder, variants), dry=True)
    prepared.catalog.check()
    engine = load_engine(prepared.job.checkpoint, prepared.job.settings)
    for number, picture in enumerate(wanted, start=1):
        sides = [_rendered(prepared, engine, picture.sequence, variant) for variant in (0, number)]
        edits = ", ".join(map(str, prepared.job.spec.variants[number].edits))
        _sheet(sides, edits, prepared).save(said.out / f"{picture.name}.png", optimize=True)
        print(said.out / f"{picture.name}.png")


def _spec(source: Path, dataset: str, variants: Sequence[object]) -> Spec:
    return Spec.model_validate(
        {
            "dataset": {"uri": dataset},
            "source": {"uri": str(source), "instances": "{sequence}/instances/*.png"},
            "generator": {"size": [256, 128]},
            "clips": {"frames": FRAMES},
            "variants": list(variants),
            "execution": {"num_gpus": 0},
        }
    )


def _rendered(prepared: Prepared, engine: Engine, sequence: str, variant: int) -> tuple[ClipMaps, np.ndarray]:
    """The first clip of a sequence in a variant, and its last frame."""
    clips = (clip for shard in prepared.plan.shards for clip in shard.clips)
    clip = next(c for c in clips if (c.sequence_id, c.variant, c.start) == (sequence, variant, 0))
    maps = fetch_clip(clip, prepared.job)
    (frames,) = render_clips(engine, [maps.conditioning], RenderOptions())
    return maps, frames.image_THW3[-1]


def _sheet(sides: list[tuple[ClipMaps, np.ndarray]], title: str, prepared: Prepared) -> Image.Image:
    height, width = sides[0][1].shape[:2]
    sheet = Image.new("RGB", (2 * width + 3 * MARGIN, 2 * height + 3 * MARGIN + TITLE), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, (maps, image_HW3) in enumerate(sides):
        left = MARGIN + column * (width + MARGIN)
        draw.text((left, MARGIN), title if column else "as it is", INK, font)
        colors = color_labels(maps.label_THW[-1], prepared.job.space)
        sheet.paste(Image.fromarray(colors), (left, MARGIN + TITLE))
        sheet.paste(Image.fromarray(image_HW3), (left, 2 * MARGIN + TITLE + height))
    return sheet


if __name__ == "__main__":
    main()
