"""A training frame before augmentation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FrameData:
    """One frame at the training size."""

    label_HW: NDArray[np.integer]  # ids of the label space
    instance_HW: NDArray[np.integer]
    image_HW3: NDArray[np.uint8]  # RGB
    picture_LHW: NDArray[np.float32] | None = (
        None  # the picture of poses and faces that networks get in place of labels
    )

    @property
    def nbytes(self) -> int:
        """Counts the bytes of its arrays."""
        picture = 0 if self.picture_LHW is None else self.picture_LHW.nbytes
        return self.label_HW.nbytes + self.instance_HW.nbytes + self.image_HW3.nbytes + picture

    @property
    def given(self) -> NDArray[np.integer] | NDArray[np.float32]:
        """Gives the generator's input: label ids (H, W), or the picture as (H, W, L)."""
        return self.label_HW if self.picture_LHW is None else np.moveaxis(self.picture_LHW, 0, -1)
