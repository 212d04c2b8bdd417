"""Makes a clip's player: a video of its panels in step, a poster, and its measures over time."""

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.codec import encode_image
from flowreel.pipeline.dataset.row_group import read_row_group
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.edits.instances import NONE, in_sight
from flowreel.pipeline.optical_flow import rough_flow
from flowreel.pipeline.pictures import color_flow, color_labels, h264
from flowreel.pipeline.reader.dataset import ClipData, decode_clip
from flowreel.pipeline.report.facts import ClipFacts
from flowreel.pipeline.report.measures import MEASURES
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import completed

Rgb = NDArray[np.uint8]
PANEL_WIDTH = 320  # pixels
CRF, PRESET = 27, "veryfast"
PAPER = 24  # grey of a panel that a clip does not have


@dataclass(frozen=True)
class Player:
    """An MP4 and a JPEG in base64, and the measures per frame."""

    video: str
    poster: str
    series: dict[str, list[float | None]]
    shape: tuple[int, int]  # width, height of all panels together

    @property
    def size(self) -> int:
        """Gives the characters that it adds to the page."""
        return len(self.video) + len(self.poster)


def read_clip(version: Version, clip: ClipFacts) -> ClipData:
    """Reads and decodes a clip. Raises IntegrityError for what is damaged, or is another clip."""
    rows = read_row_group(version.dataset, clip.shard, clip.row_group)
    if (found := rows["clip_id"][0].as_py()) != clip.clip_id:
        raise IntegrityError(
            f"{version.dataset.url(clip.shard)}, row group {clip.row_group}: holds clip {found}, but the manifest says"
            f" {clip.clip_id}; `flowreel verify` lists all damage"
        )
    return decode_clip(rows)


def player(data: ClipData, series: dict[str, list[float | None]], space: LabelSpace, fps: float) -> Player:
    """Makes a player with panels two by two: render, labels; flow, instances."""
    height, width = data.label_THW.shape[1:]
    size = panel_size(width, height)
    image_THW3 = np.stack([shrunk(frame, size) for frame in data.image_THW3])
    grids = grid(image_THW3, _labels(data, space, size), _flow(data, image_THW3), _instances(data, space, size))
    return packed(grids, series, fps)


def panel_size(width: int, height: int) -> tuple[int, int]:
    """Gives width and height of a panel of frames of some size: even, as H.264 needs them, 2 at least."""
    wide = min(width, PANEL_WIDTH)
    return max(2, wide & ~1), max(2, round(height * wide / width) & ~1)


def packed(grid_THW3: list[Rgb], series: dict[str, list[float | None]], fps: float) -> Player:
    """Makes a player of frames that are already put together."""
    poster = encode_image(grid_THW3[len(grid_THW3) // 2], "jpeg", 60)
    height, width = grid_THW3[0].shape[:2]
    return Player(text(h264(grid_THW3, fps, CRF, PRESET)), text(poster), series, (width, height))


def grid(*panel_THW3: Rgb) -> list[Rgb]:
    """Joins four videos of one size into one, two by two."""
    upper = np.concatenate(panel_THW3[:2], axis=2)
    return list(np.concatenate([upper, np.concatenate(panel_THW3[2:], axis=2)], axis=1))


def shrunk(frame_HW3: Rgb, size: tuple[int, int]) -> Rgb:
    return np.asarray(cv2.resize(frame_HW3, size, interpolation=cv2.INTER_AREA), np.uint8)


def colored(ids_THW: NDArray[np.integer], space: LabelSpace, size: tuple[int, int]) -> Rgb:
    """Paints label maps in the colours of their space, at ``size``."""
    return np.stack([cv2.resize(color_labels(i, space), size, interpolation=cv2.INTER_NEAREST) for i in ids_THW])


def series_of(version: Version, clips: list[ClipFacts]) -> dict[str, dict[str, list[float | None]]]:
    """Reads the measures per frame of some clips, by clip id."""
    wanted = pa.array([clip.clip_id for clip in clips], pa.string())
    found: dict[str, dict[str, list[float | None]]] = {}
    columns = ["clip_id", *(m.column for m in MEASURES)]
    available = set(version.manifest_columns())
    for part in version.manifest_parts([c for c in columns if c in available]):
        rows = completed(part.filter(pa.compute.is_in(part["clip_id"], value_set=wanted))).select(columns)
        for row in rows.to_pylist():
            of_clip: dict[str, Any] = found.setdefault(row.pop("clip_id"), {})
            for name, value in row.items():
                of_clip.setdefault(name, []).append(None if value is None else round(value, 4))
    return {i: {n: v for n, v in s.items() if any(x is not None for x in v)} for i, s in found.items()}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _labels(data: ClipData, space: LabelSpace, size: tuple[int, int]) -> Rgb:
    return colored(data.label_THW, space, size)


def _flow(data: ClipData, image_THW3: Rgb) -> Rgb:
    """Draws the published flow, else DIS's flow of the small frames."""
    height, width = image_THW3.shape[1:3]
    if data.flow_THW2 is not None:
        flow_THW2 = np.stack([cv2.resize(f, (width, height), interpolation=cv2.INTER_AREA) for f in data.flow_THW2])
    else:
        back = [rough_flow(image_THW3[t], image_THW3[t - 1]) for t in range(1, len(image_THW3))]
        flow_THW2 = np.stack([np.zeros((height, width, 2), np.float32), *back])
    most = float(np.quantile(np.hypot(flow_THW2[..., 0], flow_THW2[..., 1]), 0.99)) or 1.0
    return np.stack([color_flow(flow, most) for flow in flow_THW2])


def _instances(data: ClipData, space: LabelSpace, size: tuple[int, int]) -> Rgb:
    """Draws each instance of a thing in a colour that follows from its id, and nothing where there is none."""
    if data.instance_THW is None:
        return np.full((len(data.label_THW), size[1], size[0], 3), PAPER, np.uint8)
    table = np.random.default_rng(7).integers(60, 240, (65_536, 3), np.uint8)
    table[0] = PAPER
    shown_THW = np.where(in_sight(data.label_THW, data.instance_THW, space), data.instance_THW, NONE)
    return np.stack([cv2.resize(table[i], size, interpolation=cv2.INTER_NEAREST) for i in shown_THW])
