"""Label agreement, by a segmenter that has learnt three classes by their colours."""

import numpy as np
import pytest

from flowreel.pipeline.evaluation.agreement import agreement
from flowreel.pipeline.evaluation.real_video import RealVideo
from flowreel.pipeline.quality.segmenter_network import Segmenter
from flowreel.schemas.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_labels_agree_with_frames_that_show_them(taught: tuple[Segmenter, RealVideo]) -> None:
    network, video = taught
    right = agreement(network, video.image_THW3, video.label_THW)
    assert right.accuracy > 0.9 and right.mean_iou > 0.8 and set(right.iou) == {7, 21, 23}
    wrong = agreement(network, video.image_THW3[::-1].copy(), video.label_THW)
    assert wrong.accuracy < 0.7
    unknown = video.label_THW.copy()
    unknown[:, :16] = 33  # a class that it does not know does not count
    assert agreement(network, video.image_THW3, unknown).accuracy > 0.9
    with pytest.raises(UsageError, match="none of the classes that the segmenter knows"):
        agreement(network, video.image_THW3, np.full_like(video.label_THW, 33))
