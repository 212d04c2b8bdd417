"""Archives as annotation tools hand them out."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flowreel.pipeline.sources.catalog import scan
from flowreel.pipeline.sources.containers.members import MEMBERS
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.source import SourceSpec
from tests.support.containers import zip_of

ROAD, CAR = (128, 64, 128), (0, 0, 142)  # Cityscapes' colours
IDS = np.array([[7, 7, 26], [26, 7, 7]], np.uint8)


def png(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def test_label_studios_masks_are_no_label_maps(tmp_path: Path) -> None:
    mask = png(np.where(IDS == 26, 255, 0).astype(np.uint8))
    names = [f"task-{t}-annotation-{t + 4}-by-1-tag-Car-0.png" for t in range(3)]
    zip_of(tmp_path / "project-7.zip", dict.fromkeys(names, mask))
    source = SourceSpec(uri=str(tmp_path), labels="{sequence}.zip/*.png")
    with pytest.raises(SourceError, match="project-7.zip: an export of Label Studio with one mask per task and label"):
        with_members(open_store(source.uri), source, MEMBERS.empty_table)


def test_cvats_segmentation_mask(tmp_path: Path) -> None:
    """Format "Segmentation mask 1.1"."""
    rgb = np.where((IDS == 7)[..., None], ROAD, CAR).astype(np.uint8)
    members = {
        "labelmap.txt": b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:0,0,142::\nroad:128,64,128::\n",
        "ImageSets/Segmentation/default.txt": b"frame_000000\nframe_000001\n",
        **{f"SegmentationClass/frame_{t:06d}.png": png(rgb) for t in range(2)},
        **{f"SegmentationObject/frame_{t:06d}.png": png(rgb) for t in range(2)},
    }
    zip_of(tmp_path / "task_12.zip", members)
    source = SourceSpec(uri=str(tmp_path), labels="{sequence}.zip/SegmentationClass/*.png", encoding="colours")
    store = with_members(open_store(source.uri), source, MEMBERS.empty_table)
    catalog = scan(store, source, open_label_space("cityscapes", {}), INDEX.empty_table())
    assert not catalog.problems
    assert [(s.sequence_id, [f.name for f in s.frames]) for s in catalog.sequences] == [
        ("task_12", ["frame_000000", "frame_000001"])
    ]
    assert catalog.pixels == {7: 8, 26: 4}
