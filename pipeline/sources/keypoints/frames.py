"""One frame of people or of a face: its files decoded, cropped, and made into conditioning and labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image
from flowreel.pipeline.sources.encodings import PLAIN
from flowreel.pipeline.sources.keypoints.crop import Crop, Size
from flowreel.pipeline.sources.keypoints.drawing import Points
from flowreel.pipeline.sources.keypoints.face_pictures import FaceOptions, draw_parts, encode_face
from flowreel.pipeline.sources.keypoints.landmarks import parse_landmarks
from flowreel.pipeline.sources.keypoints.openpose import Person, parse_people
from flowreel.pipeline.sources.keypoints.pose_pictures import PARTS, PoseFrame, PoseOptions, encode_pose
from flowreel.schemas.label_spaces import UNLABELED
from flowreel.schemas.source import SourceSpec

_PNG = b"\x89PNG"


@dataclass(frozen=True)
class Given:
    """A frame's files: the one every frame has, its guide (`SourceSpec.guides`), a mask of people."""

    main: bytes
    guide: bytes | None = None
    mask: bytes | None = None


@dataclass(frozen=True)
class PointFrame:
    """The decoded files of one frame, at the picture's own size."""

    own: Size
    people: list[Person] | None = None
    landmark_68: Points | None = None
    densepose_HW3: NDArray[np.uint8] | None = None
    image_HW3: NDArray[np.uint8] | None = None
    mask_HW: NDArray[np.integer] | None = None  # 0, or one id per person


def people_in(data: bytes, basic: bool) -> list[Person]:
    """Parses an OpenPose file. Raises ValueError for what is wrong with it, and if it shows nobody."""
    people = [p for p in parse_people(data, "OpenPose", body_only=basic) if (p.body[:, 2] > 0).any()]
    if not people:
        raise ValueError(
            "OpenPose found nobody; take the frame out and split the sequence there, or give its keypoints"
        )
    return people


def densepose_in(data: bytes) -> NDArray[np.uint8]:
    """Decodes a DensePose map, uint8 (H, W, 3). Raises ValueError for anything else."""
    if not data.startswith(_PNG):
        raise ValueError("no PNG; body parts are numbers, which lossy formats change: store DensePose's maps as PNG")
    densepose_HW3 = decode_image(data)
    highest = int(densepose_HW3[..., 2].max())
    if highest > PARTS:
        raise ValueError(
            f"body part {highest} in the third channel, parts are 0..{PARTS}; is it a DensePose map (RGB)?"
        )
    return densepose_HW3


def decode_frame(source: SourceSpec, given: Given) -> PointFrame:
    """Decodes a frame's files. Raises ValueError for what is wrong with one."""
    mask_HW = None if given.mask is None else PLAIN.instances(given.mask, "")
    people = landmark_68 = densepose_HW3 = image_HW3 = None
    if pose := source.pose:
        people = people_in(given.main, pose.basic) if pose.openpose else None
        maps = given.guide if pose.openpose else given.main
        if maps is not None and pose.densepose:
            densepose_HW3 = densepose_in(maps)
        elif maps is not None:
            image_HW3 = decode_image(maps)
    else:
        landmark_68 = parse_landmarks(given.main, "landmarks")
        image_HW3 = None if given.guide is None else decode_image(given.guide)
    sized = [pixels for pixels in (densepose_HW3, image_HW3, mask_HW) if pixels is not None]
    own = source.picture or ((sized[0].shape[1], sized[0].shape[0]) if sized else None)
    if own is None:
        raise ValueError("nothing says how large the picture is")  # the spec's validator ensures it
    for pixels in sized:
        if (pixels.shape[1], pixels.shape[0]) != own:
            raise ValueError(f"maps of {pixels.shape[1]}x{pixels.shape[0]} and a picture of {own[0]}x{own[1]}")
    return PointFrame(own, people, landmark_68, densepose_HW3, image_HW3, mask_HW)


def conditioning(source: SourceSpec, frame: PointFrame, crop: Crop) -> NDArray[np.float32]:
    """Draws the generator's input, (L, H, W), as in vid2vid-spec, sections 4.3 and 4.4."""
    if source.pose:
        options = PoseOptions(source.pose.densepose is not None, source.pose.openpose is not None, source.pose.basic)
        return encode_pose(PoseFrame(frame.own, frame.densepose_HW3, frame.people), crop, options)
    assert source.face is not None and frame.landmark_68 is not None
    image_HW3 = np.zeros((frame.own[1], frame.own[0], 3), np.uint8) if frame.image_HW3 is None else frame.image_HW3
    face = FaceOptions(source.face.distances, source.face.background_edges)
    return encode_face(frame.landmark_68, image_HW3, crop.box, crop.size, face)


def channels(source: SourceSpec) -> int:
    """Gives L, the channels of one frame's conditioning."""
    if source.pose:
        return PoseOptions(source.pose.densepose is not None, source.pose.openpose is not None).channels
    assert source.face is not None
    return FaceOptions(source.face.distances).channels


def label_map(frame: PointFrame, crop: Crop) -> NDArray[np.uint8]:
    """Draws the label map, (H, W): parts of the face; DensePose's body parts; else where people are; else unlabeled."""
    if frame.landmark_68 is not None:
        return crop.nearest(draw_parts(frame.landmark_68, frame.own)).astype(np.uint8)
    if frame.densepose_HW3 is not None:
        return crop.nearest(np.ascontiguousarray(frame.densepose_HW3[..., 2])).astype(np.uint8)
    if frame.mask_HW is not None:
        return (crop.nearest(frame.mask_HW) > 0).astype(np.uint8)
    return np.full((crop.size[1], crop.size[0]), UNLABELED, np.uint8)


def instance_map(frame: PointFrame, crop: Crop) -> NDArray[np.integer] | None:
    """Crops the masks of people, (H, W); None where there are none."""
    return None if frame.mask_HW is None else crop.nearest(frame.mask_HW)
