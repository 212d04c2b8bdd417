"""Two versions of the same labels side by side: the same frames, rendered in two ways."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.codec import decode_image
from pipeline.quality.motion import warp_errors
from pipeline.report.browser import browser, plots
from pipeline.report.choose import shown
from pipeline.report.facts import ClipFacts, Histogram, gather
from pipeline.report.measures import Measure
from pipeline.report.page import VIDEO_BYTES
from pipeline.report.players import PANEL_WIDTH, Player, colored, grid, packed, read_clip, shrunk
from pipeline.report.template import fill
from pipeline.versions import Version
from schemas.errors import UsageError
from schemas.label_space import LabelSpace

Rgb = NDArray[np.uint8]
COMPARED = 32  # clips
GAIN = 3  # of the difference that is shown
MEASURES = (
    Measure("gain", "Warp error, B less A", "above 0: A is steadier", "high"),
    Measure("a", "Warp error of A", "of the published frames", "high"),
    Measure("b", "Warp error of B", "of the same frames, in the order of A's clip", "high"),
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Found:
    """One clip of A and what B shows of the same labels."""

    clip: ClipFacts
    player: Player
    a: float  # mean warp errors
    b: float


def compare(a: Version, b: Version, root: str, progress: Progress | None = None) -> str:
    """One HTML file. Frames of B may lie in clips of any length: they are put in the order of A's clips, and warp
    error is measured anew on both. Raises UsageError if they have no labels in common."""
    there = _frames(b)
    both = [c for c in gather(a).clips if c.frames > 1]
    found: list[_Found] = []
    room, chosen = VIDEO_BYTES, shown(both, len(both))
    for i in chosen:
        pair = _compared(a, b, both[i], there)
        if pair is None:
            continue
        found.append(pair)
        room -= pair.player.size
        if progress:
            progress(len(found), min(COMPARED, len(chosen)))
        if len(found) == COMPARED or room < 0:
            break
    if not found:
        raise UsageError(
            f"{b.dataset.uri} version {b.number} shows no clip of {a.dataset.uri} version {a.number} whole: sequences,"
            " edits and source frames must be the same; render both from one source"
        )
    return _page(a, b, found, root)


def _frames(version: Version) -> pa.Table:
    columns = ["sequence_id", "edits", "source_frame", "class_pixels", "shard", "row_group", "row"]
    return version.manifest(columns)


def _compared(a: Version, b: Version, clip: ClipFacts, there: pa.Table) -> _Found | None:
    """None if B does not show all frames of the clip with the same labels."""
    wanted = a.manifest(["clip_id", "source_frame", "class_pixels"])
    wanted = wanted.filter(pc.equal(wanted["clip_id"], clip.clip_id))
    near = there.filter(pc.equal(there["sequence_id"], clip.sequence_id)).to_pylist()
    by_frame = {row["source_frame"]: row for row in reversed(near) if tuple(row["edits"]) == clip.edits}
    rows = [by_frame.get(name) for name in wanted["source_frame"].to_pylist()]
    same = [
        row is not None and row["class_pixels"] == pixels
        for row, pixels in zip(rows, wanted["class_pixels"].to_pylist(), strict=True)
    ]
    if not all(same):
        return None
    data = read_clip(a, clip)
    other_THW3 = _images(b, [row for row in rows if row is not None])
    errors = [warp_errors(video) for video in (data.image_THW3, other_THW3)]
    known = [[e for e in of_one if e is not None] for of_one in errors]
    if not all(known):
        return None
    space = LabelSpace.model_validate(a.record.label_space)
    grids = _grid(data.image_THW3, other_THW3, data.label_THW, space)
    series: dict[str, list[float | None]] = {"a": errors[0], "b": errors[1]}
    made = packed(grids, series, a.record.spec.source.fps)
    return _Found(clip, made, float(np.mean(known[0])), float(np.mean(known[1])))


def _images(version: Version, rows: Sequence[dict[str, Any]]) -> Rgb:
    """The frames that manifest rows name, in their order."""
    groups: dict[tuple[str, int], list[Any]] = {}
    for shard, group in dict.fromkeys((row["shard"], row["row_group"]) for row in rows):
        with version.dataset.open_input(shard) as source:
            images = pq.ParquetFile(source).read_row_group(group, ["image"])["image"].to_pylist()
        groups[shard, group] = images
    found = (groups[row["shard"], row["row_group"]][row["row"]]["bytes"] for row in rows)
    return np.stack([decode_image(data) for data in found])


def _grid(a_THW3: Rgb, b_THW3: Rgb, label_THW: NDArray[np.integer], space: LabelSpace) -> list[Rgb]:
    """A, B; labels, and how far the two are apart."""
    height, width = label_THW.shape[1:]
    size = (min(width, PANEL_WIDTH) & ~1, max(2, round(height * min(width, PANEL_WIDTH) / width)) & ~1)
    a, b = (np.stack([shrunk(frame, size) for frame in video]) for video in (a_THW3, b_THW3))
    apart = np.clip(np.abs(a.astype(np.int16) - b) * GAIN, 0, 255).astype(np.uint8)
    return grid(a, b, colored(label_THW, space, size), apart)


def _page(a: Version, b: Version, found: Sequence[_Found], root: str) -> str:
    values = {"gain": [f.b - f.a for f in found], "a": [f.a for f in found], "b": [f.b for f in found]}
    clips = [
        replace(f.clip, means=(m := {name: v[i] for name, v in values.items()}), worst=m) for i, f in enumerate(found)
    ]
    histograms = {name: _histogram(v) for name, v in values.items()}
    data = browser(clips, {i: f.player for i, f in enumerate(found)}, MEASURES, root) | plots(histograms, None)
    data |= {"alike": {}, "total": len(clips), "fps": a.record.spec.source.fps, "size": found[0].player.shape}
    data |= {"panels": ("A", "B", "labels", f"difference ×{GAIN}"), "variants": []}
    mean_a, mean_b = float(np.mean(values["a"])), float(np.mean(values["b"]))
    steadier = sum(gain > 0 for gain in values["gain"])
    ratio = f"{mean_b / mean_a:.2f} times A's" if mean_a > 0 else ""
    context: dict[str, Any] = {
        "title": f"{a.record.name} and {b.record.name}", "name": "A and B",
        "heading": f"{a.record.name} (A) and {b.record.name} (B)",
        "lead": f"The same labels rendered in two ways: A is version {a.number} of {a.dataset.uri}, B version"
        f" {b.number} of {b.dataset.uri}",
        "sections": [("summary", "Summary"), ("clips", "Clips"), ("quality", "Quality")],
        "stats": [
            {"name": "clips compared", "value": f"{len(found):,}"},
            {"name": "warp error of A", "value": f"{mean_a:.4f}"},
            {"name": "warp error of B", "value": f"{mean_b:.4f}", "note": ratio},
            {"name": "A is steadier in", "value": f"{steadier} of {len(found)}", "note": "clips"},
        ],
        "quality_hint": "Over clips. A click on a bar shows its clips.",
        "versions": [], "classes": [], "losses": None, "work": None, "lineage": [],
        "videos": [(i, f.player.video) for i, f in enumerate(found)],
    }  # fmt: skip
    return fill(context, data)


def _histogram(values: Sequence[float]) -> Histogram:
    low, high = min(values), max(values)
    counts, _ = np.histogram(values, 16, (low, high if high > low else low + 1e-6))
    return Histogram(low, high, tuple(counts.tolist()))
