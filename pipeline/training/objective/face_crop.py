"""Finds the face in a pose picture, for the face discriminator."""

from dataclasses import dataclass

from torch import Tensor

from flowreel.pipeline.generator.configs import AnyConfig

HEAD = 0.9  # densepose's stretched part index of the head's halves, parts 23 and 24, is larger
NOSE = (0.2, -1.0, -0.6)  # colour of the limb from neck to nose, in [-1, 1]
NEAR = 0.01  # how far a colour may be off


@dataclass(frozen=True)
class FaceCrop:
    """A square crop around the face, the same in all frames of a chunk."""

    side: int  # pixels
    skeleton: bool  # pictures are skeletons alone; otherwise densepose comes first

    def find(self, picture_TLHW: Tensor) -> tuple[slice, slice] | None:
        """Gives rows and columns of the square; None if no frame shows a face."""
        (h, w), half = picture_TLHW.shape[-2:], self.side // 2
        face_THW = _nose(picture_TLHW) if self.skeleton else picture_TLHW[:, 2] > HEAD
        if not bool(face_THW.any()):
            return None
        _, y, x = face_THW.nonzero(as_tuple=True)
        cy, cx = _centre(y, half, h), _centre(x, half, w)
        return slice(cy - half, cy + half), slice(cx - half, cx + half)


def face_crop(config: AnyConfig, height: int) -> FaceCrop:
    """Gives the original's crop: a quarter of the height; the original trains without flow on skeletons alone."""
    return FaceCrop(height // 32 * 8, skeleton=config.input_nc == 3 and not config.flow)


def _nose(picture_TLHW: Tensor) -> Tensor:
    red, green, blue = picture_TLHW[:, 0], picture_TLHW[:, 1], picture_TLHW[:, 2]
    return ((red - NOSE[0]).abs() < NEAR) & (green < NOSE[1] + NEAR) & ((blue - NOSE[2]).abs() < NEAR)


def _centre(places: Tensor, half: int, length: int) -> int:
    """Gives the middle of the places' range, moved so that the square stays inside."""
    middle = (int(places.min()) + int(places.max())) // 2
    return max(half, min(length - 1 - half, middle))
