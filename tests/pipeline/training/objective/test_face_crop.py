"""Where the face discriminator looks."""

import torch

from flowreel.pipeline.training.objective.face_crop import FaceCrop, face_crop

from ..small import config


def densepose(*places: tuple[int, int, int], part: float = 1.0) -> torch.Tensor:
    """Frames with single pixels (frame, y, x) of a part."""
    picture_TLHW = -torch.ones(2, 6, 64, 96)
    for t, y, x in places:
        picture_TLHW[t, 2, y, x] = part
    return picture_TLHW


def test_the_square_lies_around_the_face_of_all_frames() -> None:
    found = FaceCrop(16, skeleton=False).find(densepose((0, 20, 30), (1, 25, 41)))
    assert found == (slice(14, 30), slice(27, 43))


def test_the_square_stays_inside() -> None:
    crop = FaceCrop(16, skeleton=False)
    assert crop.find(densepose((0, 0, 0))) == (slice(0, 16), slice(0, 16))
    below, right = crop.find(densepose((1, 63, 95))) or (slice(0), slice(0))
    assert below == slice(47, 63) and right == slice(79, 95)


def test_other_parts_are_no_face() -> None:
    crop = FaceCrop(16, skeleton=False)
    assert crop.find(densepose((0, 20, 20), part=22 / 24 * 2 - 1)) is None
    assert crop.find(densepose((0, 20, 20), part=23 / 24 * 2 - 1)) is not None


def test_in_skeletons_the_face_is_where_the_nose_is_drawn() -> None:
    picture_TLHW = -torch.ones(1, 3, 64, 64)
    picture_TLHW[0, :, 30, 40] = torch.tensor((153, 0, 51)) / 127.5 - 1  # from neck to nose
    picture_TLHW[0, :, 10, 10] = torch.tensor((153, 51, 0)) / 127.5 - 1  # an arm
    assert FaceCrop(16, skeleton=True).find(picture_TLHW) == (slice(22, 38), slice(32, 48))


def test_the_originals_crops() -> None:
    pose = config(label_nc=0, input_nc=6)
    assert face_crop(pose, 512) == FaceCrop(128, skeleton=False)
    assert face_crop(config(label_nc=0, input_nc=3, flow=False), 512) == FaceCrop(128, skeleton=True)
