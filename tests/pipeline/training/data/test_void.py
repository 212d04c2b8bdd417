"""Void regions: filled by their neighbours in what the networks are given, and left out of what they are told."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from flowreel.pipeline.generator.conditioning import instance_edges
from flowreel.pipeline.training.data.loader import open_loader
from flowreel.pipeline.training.data.sampling import Draw, Sampling, draw
from flowreel.pipeline.training.data.sources import open_data
from flowreel.pipeline.training.data.void import filled

from ..paired import train_spec
from ..stills import BONNET, CAR, ROAD, SIDE, still, write_stills

VOID = frozenset({BONNET})
ONE = Draw(0, 0, 1, 3, 2, empty=True)


def test_void_pixels_get_the_nearest_class_and_instance() -> None:
    frame = still()
    frame.label_HW[-20:, :10] = CAR
    frame.instance_HW[-20:, :10] = 77
    frame.label_HW[-8:] = BONNET
    frame.instance_HW[-8:] = 0
    found = filled(frame, VOID)
    assert (found.label_HW[-8:, :10] == CAR).all() and (found.instance_HW[-8:, :10] == 77).all()
    assert (found.label_HW[-8:, 20:] == ROAD).all() and found.label_HW.dtype == frame.label_HW.dtype
    kept = frame.label_HW != BONNET
    np.testing.assert_array_equal(found.label_HW[kept], frame.label_HW[kept])
    assert found.image_HW3 is frame.image_HW3


def test_a_frame_with_nothing_else_stays() -> None:
    frame = replace(still(), label_HW=np.full((SIDE, SIDE), BONNET, np.uint8))
    assert filled(frame, VOID) is frame


def test_clips_are_filled_and_edged_when_drawn_so_and_void_never_counts(tmp_path: Path) -> None:
    source = {"uri": str(write_stills(tmp_path / "stills", 1)), "instances": None}
    spec = train_spec("", tmp_path / "run", source=source, data={"size": (SIDE, SIDE), "void": ["ego vehicle"]})
    loader = open_loader(spec, open_data(spec))
    plain, full, bare = (
        loader.load(loader.data.trained[0], drawn)
        for drawn in (ONE, replace(ONE, fill=True), replace(ONE, edges=False))
    )
    for clip in (plain, full, bare):
        assert (
            clip.known_T1HW is not None
            and not clip.known_T1HW[..., -8:, :].any()
            and clip.known_T1HW[..., :-8, :].all()
        )
    assert (plain.frames[..., -8:, :] == BONNET).all() and (full.frames[..., -8:, :] == ROAD).all()
    assert torch.equal(plain.frames[..., :-8, :], full.frames[..., :-8, :])
    assert plain.instance_THW is not None and plain.instance_THW.any()
    assert bare.instance_THW is not None and not bare.instance_THW.any()


def test_without_void_classes_everything_counts(tmp_path: Path) -> None:
    spec = train_spec("", tmp_path / "run", source={"uri": str(write_stills(tmp_path / "s", 1)), "instances": None})
    data = open_data(spec)
    assert open_loader(spec, data).load(data.trained[0], ONE).known_T1HW is None


def test_without_instance_maps_edges_are_those_of_connected_components() -> None:
    """What stands in for instance maps is a number per class of things: components that touch are one."""
    frame = still()
    component_HW = cv2.connectedComponents((frame.label_HW == CAR).astype(np.uint8), connectivity=4)[1]
    assert component_HW.max() == 2
    edges, wanted = (instance_edges(torch.from_numpy(x.astype(np.int32))) for x in (frame.instance_HW, component_HW))
    assert edges.any() and torch.equal(edges, wanted)


def test_shares_are_kept() -> None:
    how = Sampling(context=2, clip_frames=2, load_frames=1, size=(SIDE, SIDE), fill_void=0.7, drop_edges=0.3)
    drawn = [draw((9,), how, 0, 1, i) for i in range(500)]
    assert 0.6 < np.mean([d.fill for d in drawn]) < 0.8 and 0.6 < np.mean([d.edges for d in drawn]) < 0.8
