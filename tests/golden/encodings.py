"""Reference files of encodings: what is drawn and how large pictures become."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from flowreel.pipeline.codec import resize_image
from flowreel.pipeline.generator.conditioning import from_uint8
from flowreel.pipeline.sources.keypoints.crop import central_columns, central_crop, target_size
from flowreel.pipeline.sources.keypoints.face_pictures import (
    FaceOptions,
    draw_edges,
    draw_parts,
    encode_face,
    encode_parts,
)
from flowreel.pipeline.sources.keypoints.landmarks import Box, face_crop
from flowreel.pipeline.sources.keypoints.openpose import parse_people
from flowreel.pipeline.sources.keypoints.pose_pictures import PoseFrame, PoseOptions, draw_skeleton, encode_pose
from tests.golden.vectors import TENSOR, Array, Difference, Unusable, Vector, compare


@dataclass(frozen=True)
class Encoded:
    """What was compared, and what of the file nothing is known about."""

    differences: list[Difference]
    problems: list[str]


def check_sizes(vector: Vector) -> Encoded:
    """A table of target sizes; every row is a comparison, off by the largest of its two sides."""
    columns, wanted = vector.settings["columns"], {"resize_or_crop", "width", "height", "loadSize"}
    if set(columns) != wanted | {"new_width", "new_height"}:
        raise Unusable(f"columns {columns} are not those of a table of sizes")
    differences = []
    for row in vector.settings["rows"]:
        c = dict(zip(columns, row, strict=True))
        w, h = target_size((c["width"], c["height"]), c["resize_or_crop"], c["loadSize"])
        error = max(abs(w - c["new_width"]), abs(h - c["new_height"]))
        what = f"{c['width']}x{c['height']} {c['resize_or_crop']} {c['loadSize']}"
        differences.append(Difference(what, "size", error, 0))
    unknown = sorted(set(vector.settings) - {"columns", "rows"})
    return Encoded(differences, [f"unknown entry {name}" for name in unknown])


def check_pose(vector: Vector) -> Encoded:
    """Skeletons exactly, tensors to rounding."""
    densepose_THW3 = vector.require("densepose")
    own_size = (densepose_THW3.shape[2], densepose_THW3.shape[1])
    size = _size(vector, own_size)
    people = [parse_people(str(text), f"json[{t}]") for t, text in enumerate(vector.require("json"))]
    found = {
        "skeleton": lambda: _stack(draw_skeleton(p, own_size) for p in people),
        "skeleton_basic": lambda: _stack(draw_skeleton(p, own_size, basic=True) for p in people),
        "A": lambda: _stack(
            encode_pose(PoseFrame(own_size, d, p), central_crop(own_size, size), _pose_options(vector))
            for d, p in zip(densepose_THW3, people, strict=True)
        ),
        "B_frame0": lambda: _real(vector, None, size)[:, :, central_columns(size[0])],
    }
    return _compared(vector, {"json", "densepose", "image_frame0"}, found)


def _pose_options(vector: Vector) -> PoseOptions:
    s = vector.settings
    return PoseOptions(not s.get("openpose_only"), not s.get("densepose_only"), s.get("basic_point_only", False))


def check_face(vector: Vector) -> Encoded:
    """Cut-out, edges and part labels exactly, tensors to rounding."""
    landmark_T68, image_HW3 = vector.require("landmarks").astype(np.float64), vector.require("image_frame0")
    own_size = (image_HW3.shape[1], image_HW3.shape[0])
    crop = face_crop(landmark_T68[0], own_size)
    size = _size(vector, (crop[2] - crop[0], crop[3] - crop[1]))
    without = FaceOptions(distances=not vector.settings.get("no_dist_map"), background_edges=False)
    found = {
        "crop": lambda: np.array(crop),
        "edges_full_frame0": lambda: draw_edges(landmark_T68[0], own_size),
        "part_labels_full_frame0": lambda: draw_parts(landmark_T68[0], own_size),
        "A": lambda: _stack(encode_face(face, image_HW3, crop, size, without) for face in landmark_T68),
        "A_edge_with_canny_frame0": lambda: encode_face(landmark_T68[0], image_HW3, crop, size, FaceOptions(False))[0],
        "inst": lambda: _stack(encode_parts(face, own_size, crop, size) for face in landmark_T68),
        "B_frame0": lambda: _real(vector, crop, size),
    }
    compared = _compared(vector, {"landmarks", "image_frame0"}, found)
    if "n_channels_without_distance_maps" in vector.settings:
        wanted, channels = vector.settings["n_channels_without_distance_maps"], FaceOptions(distances=False).channels
        compared.differences.append(Difference("channels without distances", "exact", abs(wanted - channels), 0))
    return compared


def _size(vector: Vector, own_size: tuple[int, int]) -> tuple[int, int]:
    return target_size(own_size, vector.settings["resize_or_crop"], vector.settings["loadSize"])


def _stack(pictures: Iterable[Array]) -> Array:
    return np.stack(list(pictures))


def _real(vector: Vector, crop: Box | None, size: tuple[int, int]) -> Array:
    """The real image as the networks see it, (3, H, W)."""
    image_HW3 = vector.require("image_frame0")
    x0, y0, x1, y1 = crop or (0, 0, image_HW3.shape[1], image_HW3.shape[0])
    resized_HW3 = resize_image(np.ascontiguousarray(image_HW3[y0:y1, x0:x1]), size)
    return from_uint8(torch.from_numpy(resized_HW3.copy())).movedim(-1, 0).numpy()


def _compared(vector: Vector, inputs: set[str], found: dict[str, Callable[[], Array]]) -> Encoded:
    """Whole numbers exactly, others to rounding; what the file does not have is not made."""
    differences = []
    for name in (name for name in found if name in vector.arrays):
        expected = vector.arrays[name]
        exact = expected.dtype.kind in "iu" or name == "inst"
        group = "exact" if exact else "tensor"
        differences.append(compare(group, name, found[name](), expected, 0.0 if exact else TENSOR))
    unknown = sorted(set(vector.arrays) - inputs - set(found))
    return Encoded(differences, [f"unknown array {name}" for name in unknown])


ENCODINGS: dict[str, Callable[[Vector], Encoded]] = {"sizes": check_sizes, "pose": check_pose, "face": check_face}
