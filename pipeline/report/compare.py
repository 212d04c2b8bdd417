"""Compares two versions of the same labels: the same frames, rendered in two ways, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image
from flowreel.pipeline.dataset.row_group import read_row_group
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.quality.motion import warp_errors
from flowreel.pipeline.report.browser import browser, plots
from flowreel.pipeline.report.facts import ClipFacts, Histogram, gather
from flowreel.pipeline.report.measures import Measure
from flowreel.pipeline.report.page import VIDEO_BYTES
from flowreel.pipeline.report.pick_clips import shown
from flowreel.pipeline.report.players import Player, colored, grid, packed, panel_size, read_clip, shrunk
from flowreel.pipeline.report.template import fill
from flowreel.schemas.errors import IntegrityError, UsageError
from flowreel.schemas.label_space import LabelSpace

Rgb = NDArray[np.uint8]
Row = dict[str, Any]  # of a manifest
Place = tuple[str, tuple[str, ...]]  # sequence, edits
COMPARED = 32  # clips
CANDIDATES = 128  # clips of A that are searched for in B
PLOTTED = 3  # clips, at least, for distributions to be meaningful
GAIN = 3  # of the difference that is shown
MEASURES = (
    Measure("gain", "Warp error, B minus A", "above 0: A is steadier", "high"),
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
    """Writes one HTML file that compares two versions.

    Frames of B may lie in clips of any length: they are put in the order of A's clips, and warp error is measured anew
    on both. Raises UsageError if they have no labels in common.
    """
    facts = gather(a)
    clips = [c for c in facts.clips(shown(facts, CANDIDATES)) if c.frames > 1]
    frames, others = _frames_of(a, clips), _same_sequences(b, clips)
    found: list[_Found] = []
    room = VIDEO_BYTES
    for clip in clips:
        rows = _matching(frames[clip.clip_id], others.get((clip.sequence_id, clip.edits), {}))
        pair = _compared(a, b, clip, rows) if rows else None
        if pair is None:
            continue
        found.append(pair)
        room -= pair.player.size
        if progress:
            progress(len(found), min(COMPARED, len(clips)))
        if len(found) == COMPARED or room < 0:
            break
    if not found:
        raise UsageError(
            f"{b.dataset.uri} version {b.number} shows no clip of {a.dataset.uri} version {a.number} whole: sequences,"
            " edits and source frames must be the same; render both from one source"
        )
    return _page(a, b, found, root)


def _frames_of(version: Version, clips: Sequence[ClipFacts]) -> dict[str, list[Row]]:
    """Reads source frames and labels of some clips, by clip."""
    wanted, found = pa.array([clip.clip_id for clip in clips], pa.string()), dict[str, list[Row]]()
    for part in version.manifest_parts(["clip_id", "source_frame", "class_pixels"]):
        for row in part.filter(pc.is_in(part["clip_id"], value_set=wanted)).to_pylist():
            found.setdefault(row["clip_id"], []).append(row)
    return found


def _same_sequences(version: Version, clips: Sequence[ClipFacts]) -> dict[Place, dict[str, Row]]:
    """Reads a version's frames of the clips' sequences, by sequence and edits, then by source frame."""
    wanted, found = pa.array(list({clip.sequence_id for clip in clips}), pa.string()), dict[Place, dict[str, Row]]()
    columns = ["sequence_id", "edits", "source_frame", "class_pixels", "shard", "row_group", "row"]
    for part in version.manifest_parts(columns):
        for row in part.filter(pc.is_in(part["sequence_id"], value_set=wanted)).to_pylist():
            found.setdefault((row["sequence_id"], tuple(row["edits"])), {}).setdefault(row["source_frame"], row)
    return found


def _matching(frames: Sequence[Row], others: dict[str, Row]) -> list[Row]:
    """Gives for each frame the one with the same labels; empty if one has none."""
    rows = [others.get(frame["source_frame"]) for frame in frames]
    same = [
        row for row, frame in zip(rows, frames, strict=True) if row and row["class_pixels"] == frame["class_pixels"]
    ]
    return same if len(same) == len(frames) else []


def _compared(a: Version, b: Version, clip: ClipFacts, rows: Sequence[Row]) -> _Found | None:
    """Compares one clip. ``rows``: B's frames. None if they differ in size from A's."""
    data, other_THW3 = read_clip(a, clip), _images(b, rows)
    if data.image_THW3.shape != other_THW3.shape:
        return None
    errors = [warp_errors(video) for video in (data.image_THW3, other_THW3)]
    mean_a, mean_b = (float(np.mean([e for e in of_one if e is not None])) for of_one in errors)
    space = LabelSpace.model_validate(a.record.label_space)
    grids = _grid(data.image_THW3, other_THW3, data.label_THW, space)
    series: dict[str, list[float | None]] = {"a": errors[0], "b": errors[1]}
    return _Found(clip, packed(grids, series, a.record.spec.source.fps), mean_a, mean_b)


def _images(version: Version, rows: Sequence[Row]) -> Rgb:
    """Reads the frames that manifest rows name, in their order."""
    groups: dict[tuple[str, int], list[Any]] = {}
    for shard, group in dict.fromkeys((row["shard"], row["row_group"]) for row in rows):
        groups[shard, group] = read_row_group(version.dataset, shard, group, ["image"])["image"].to_pylist()
    try:
        found = (groups[row["shard"], row["row_group"]][row["row"]]["bytes"] for row in rows)
        return np.stack([decode_image(data) for data in found])
    except (ValueError, IndexError) as error:
        url = version.dataset.url(rows[0]["shard"])
        raise IntegrityError(f"{url}: damaged: {error}; `flowreel verify` lists all damage") from None


def _grid(a_THW3: Rgb, b_THW3: Rgb, label_THW: NDArray[np.integer], space: LabelSpace) -> list[Rgb]:
    """Draws A and B; labels, and how far A and B differ."""
    height, width = label_THW.shape[1:]
    size = panel_size(width, height)
    a, b = (np.stack([shrunk(frame, size) for frame in video]) for video in (a_THW3, b_THW3))
    difference = np.clip(np.abs(a.astype(np.int16) - b) * GAIN, 0, 255).astype(np.uint8)
    return grid(a, b, colored(label_THW, space, size), difference)


def _page(a: Version, b: Version, found: Sequence[_Found], root: str) -> str:
    values = {"gain": [f.b - f.a for f in found], "a": [f.a for f in found], "b": [f.b for f in found]}
    clips = [
        replace(f.clip, means=(m := {name: v[i] for name, v in values.items()}), worst=m) for i, f in enumerate(found)
    ]
    histograms = {name: _histogram(v) for name, v in values.items()}
    data = browser(clips, {i: f.player for i, f in enumerate(found)}, MEASURES, root) | plots(histograms, None)
    data |= {
        "alike": {},
        "odd": {},
        "total": len(clips),
        "fps": a.record.spec.source.fps,
        "size": found[0].player.shape,
    }
    data |= {"panels": ("A", "B", "labels", f"difference ×{GAIN}"), "variants": [], "named": True, "plays": True}
    mean_a, mean_b = float(np.mean(values["a"])), float(np.mean(values["b"]))
    steadier = sum(gain > 0 for gain in values["gain"])
    ratio = f"{mean_b / mean_a:.2f} times A's" if mean_a > 0 else ""
    plotted = len(found) >= PLOTTED
    context: dict[str, Any] = {
        "title": f"{a.record.name} and {b.record.name}", "name": "A and B", "compares": True,
        "heading": f"{a.record.name} (A) and {b.record.name} (B)",
        "lead": f"The same labels rendered in two ways: A is version {a.number} of {a.dataset.uri}, B version"
        f" {b.number} of {b.dataset.uri}",
        "sections": [("summary", "Summary"), ("clips", "Clips"), *([("quality", "Quality")] if plotted else [])],
        "stats": [
            {"name": "clips compared", "value": f"{len(found):,}"},
            {"name": "warp error of A", "value": f"{mean_a:.4f}"},
            {"name": "warp error of B", "value": f"{mean_b:.4f}", "note": ratio},
            {"name": "A is steadier in", "value": f"{steadier} of {len(found)}", "note": "clips"},
        ],
        "quality_hint": "Counted over clips. Click a bar to see its clips." if plotted else "",
        "versions": [], "classes": [], "losses": None, "work": None, "lineage": [],
        "videos": [(i, f.player.video) for i, f in enumerate(found)],
    }  # fmt: skip
    return fill(context, data)


def _histogram(values: Sequence[float]) -> Histogram:
    low, high = min(values), max(values)
    counts, _ = np.histogram(values, 16, (low, max(high, low + 1e-6)))
    return Histogram(low, high, tuple(counts.tolist()))
