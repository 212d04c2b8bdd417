"""The segmenter: shapes, targets, and a file that is read strictly."""

import json

import pytest
import torch
from safetensors.torch import load, save

from flowreel.pipeline.quality.segmenter_network import (
    IGNORED,
    Segmenter,
    SegmenterFacts,
    load_segmenter,
    save_segmenter,
    targets,
)
from flowreel.schemas.errors import CheckpointError

FACTS = SegmenterFacts(label_space="cityscapes", classes=(7, 11, 26), size=(64, 32), sequences=("a", "b"), width=4)


def small() -> Segmenter:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Segmenter(FACTS).eval()


@pytest.mark.parametrize(("height", "width"), [(32, 64), (8, 8), (45, 61)])
def test_logits_have_the_frames_size(height: int, width: int) -> None:
    assert small()(torch.zeros(2, 3, height, width)).shape == (2, 3, height, width)


def test_features_go_from_shallow_to_deep_and_carry_gradients() -> None:
    frames = torch.rand(2, 3, 32, 64, requires_grad=True)
    features = small().features(frames)
    assert [tuple(f.shape) for f in features] == [(2, 4, 32, 64), (2, 8, 16, 32), (2, 16, 8, 16), (2, 32, 4, 8)]
    features[-1].sum().backward()
    assert frames.grad is not None and frames.grad.abs().sum() > 0


def test_targets_are_channels_and_unknown_ids_are_ignored() -> None:
    found = targets(torch.tensor([[[7, 11, 26, 0, 33]]], dtype=torch.uint8), FACTS.classes)
    assert found.tolist() == [[[0, 1, 2, IGNORED, IGNORED]]]


def test_predictions_are_label_ids() -> None:
    segmenter, frames = small(), torch.rand(1, 3, 16, 16)
    assert torch.equal(targets(segmenter.predict(frames), FACTS.classes), segmenter(frames).argmax(dim=1))


def test_a_file_gives_back_the_same_network_frozen() -> None:
    segmenter, frames = small(), torch.rand(1, 3, 32, 64)
    back = load_segmenter(save_segmenter(segmenter))
    assert back.facts == FACTS and torch.equal(back(frames), segmenter(frames))
    assert not back.training and not any(p.requires_grad for p in back.parameters())


def test_other_files_are_refused_with_their_name() -> None:
    data = save_segmenter(small())
    weights = load(data)
    metadata = {
        "kind": "segmenter",
        "label_space": "cityscapes",
        "classes": "[7, 11]",
        "size": "[64, 32]",
        "width": "4",
    }
    for wrong, message in (
        (data[:-9], "not a safetensors file, or cut short"),
        (save(weights), "kind None, where 'segmenter' is needed"),
        (save(weights, metadata | {"kind": "vgg19"}), "kind 'vgg19'"),
        (save(weights, metadata | {"classes": "[]"}), "its metadata is not that of a segmenter"),
        (save(weights, metadata | {"classes": "7 11"}), "unreadable segmenter metadata"),
        (save(weights, metadata), r"head.weight: \(3, 4, 1, 1\) here, \(2, 4, 1, 1\) in the network"),
    ):
        with pytest.raises(CheckpointError, match=message) as raised:
            load_segmenter(wrong, "seg.safetensors")
        assert str(raised.value).startswith("seg.safetensors: ")


def test_weights_of_another_shape_and_missing_ones_are_listed() -> None:
    weights, facts = load(save_segmenter(small())), FACTS.model_dump(mode="json")
    del weights["head.bias"]
    metadata = {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
    with pytest.raises(CheckpointError, match="1 missing\n    head.bias"):
        load_segmenter(save(weights, metadata))
