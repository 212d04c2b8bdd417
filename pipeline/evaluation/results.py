"""What an evaluation leaves behind: a table, its numbers, a video, and a contact sheet."""

import io
import json
from typing import Any

import numpy as np

from flowreel.pipeline.evaluation import side_by_side
from flowreel.pipeline.evaluation.comparison import LABEL, REAL, Comparison
from flowreel.pipeline.evaluation.methods import Rgb
from flowreel.pipeline.evaluation.quality_table import markdown
from flowreel.pipeline.pictures import color_labels, h264
from flowreel.pipeline.storage import Store

TABLE, NUMBERS, VIDEO, SHEET = "evaluation.md", "evaluation.json", "side-by-side.mp4", "contact-sheet.png"


def write_results(store: Store, comparison: Comparison, numbers: dict[str, Any], made: dict[str, list[Rgb]]) -> str:
    """Writes all four files, and gives the table as Markdown. ``made``: videos (T, H, W, 3) by each method."""
    table, shown = markdown(numbers), _panels(comparison, made)
    store.write(TABLE, table.encode())
    store.write(NUMBERS, (json.dumps(numbers, indent=2) + "\n").encode())
    store.write(VIDEO, h264(side_by_side.frames(shown), comparison.data.fps))
    sheet = io.BytesIO()
    side_by_side.contact_sheet(shown).save(sheet, "PNG")
    store.write(SHEET, sheet.getvalue())
    return table


def _panels(comparison: Comparison, made: dict[str, list[Rgb]]) -> dict[str, Rgb]:
    """Gives all videos of a panel one after the other: labels, real frames, ours, baselines."""
    labels = [color_labels(v.label_THW, comparison.data.space) for v in comparison.videos]
    shown = {LABEL: labels, REAL: [v.image_THW3 for v in comparison.videos], **made}
    return {name: np.concatenate(videos) for name, videos in shown.items()}
