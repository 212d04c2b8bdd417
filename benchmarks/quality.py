"""How good a generator's videos are, on real sequences that it was not trained on.

    python -m benchmarks.quality CHECKPOINT DATA
    python -m benchmarks.quality CHECKPOINT DATA --baseline no-flow=RUN1/checkpoint --alone by-frame=RUN2/checkpoint

CHECKPOINT is a checkpoint's folder or URL, or `bundled`. DATA holds SEQUENCE/labels/*.png, /images/*.jpg and perhaps
/instances/*.png, or is a spec with a `source`. Every method starts from nothing: no real frame is shown to it. Writes
quality.md, quality.json, side-by-side.mp4 and contact-sheet.png below --out.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import side_by_side
from benchmarks.common import count, size
from benchmarks.contest import LABEL, REAL, Contest, prepare
from benchmarks.evaluation import evaluate, render
from benchmarks.methods import Rgb
from benchmarks.quality_table import markdown
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.pictures import color_labels, h264
from flowreel.schemas.errors import FlowreelError


def panels(contest: Contest, made: dict[str, list[Rgb]]) -> dict[str, Rgb]:
    """All videos one after the other: label, real, ours, baselines."""
    labels = [color_labels(v.label_THW, contest.data.space) for v in contest.videos]
    shown = {LABEL: labels, REAL: [v.image_THW3 for v in contest.videos], **made}
    return {name: np.concatenate(videos) for name, videos in shown.items()}


def write(folder: Path, contest: Contest, result: dict[str, Any], made: dict[str, list[Rgb]]) -> str:
    """Table, numbers, video and contact sheet; returns the table."""
    folder.mkdir(parents=True, exist_ok=True)
    table, shown = markdown(result), panels(contest, made)
    (folder / "quality.md").write_text(table)
    (folder / "quality.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "side-by-side.mp4").write_bytes(h264(side_by_side.frames(shown), contest.data.fps))
    side_by_side.contact_sheet(shown).save(folder / "contact-sheet.png")
    return table


def _named(text: str) -> tuple[str, str]:
    name, sign, place = text.partition("=")
    if not name or not sign or not place:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=CHECKPOINT")
    return name, place


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--sequences", nargs="+", default=[], metavar="NAME", help="(those that were held out, or all)")
    parser.add_argument("--label-space", default="cityscapes", help="of a folder; specs name their own (cityscapes)")
    parser.add_argument("--size", type=size, metavar="WxH", help="(what the checkpoint was trained at)")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    rivals = parser.add_argument_group("what it is compared with; nothing: frame by frame by the same checkpoint")
    for option, what in (
        ("--baseline", "walks through time as ours does"),
        ("--alone", "renders each frame by itself"),
    ):
        rivals.add_argument(
            option, type=_named, action="append", default=[], metavar="NAME=CHECKPOINT", help=f"{what}; may be repeated"
        )
    how = parser.add_argument_group("how it is measured")
    how.add_argument("--segmenter", metavar="FILE", help="by benchmarks.segmenter (trained on the other sequences)")
    how.add_argument("--segmenter-minutes", type=float, default=5, help="of training, if none is given (5)")
    how.add_argument("--styles", type=count, default=3, help="most exemplars, from other sequences (3)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/quality"), metavar="FOLDER")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    args, display = _arguments(given), Display()
    try:
        contest = prepare(args, display.say)
        rendered = render(contest, display)
        result = evaluate(contest, rendered, display)
        print(write(args.out, contest, result, rendered.made))
        display.say(f"also in {args.out}: quality.json, side-by-side.mp4, contact-sheet.png")
    except (FlowreelError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
