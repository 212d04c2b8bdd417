"""Networks of a run: names, sizes, first weights."""

import pytest
import torch
from torch import nn

from flowreel.pipeline.training.objective.discriminators import MultiScaleDiscriminator
from flowreel.pipeline.training.objective.networks import build
from flowreel.schemas.training import DiscriminatorSpec

from ..small import CLASSES, config, networks


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def test_official_names_and_widths_of_a_discriminator() -> None:
    """Base widths double towards member 0, which sees the smallest image, up to 64; layers' up to 512."""
    found = shapes(MultiScaleDiscriminator(39, width=32, inner=4, members=3))
    expected = {
        "scale0_layer0.0.weight": (64, 39, 4, 4),
        "scale1_layer0.0.weight": (64, 39, 4, 4),
        "scale2_layer0.0.weight": (32, 39, 4, 4),
        "scale2_layer0.0.bias": (32,),
        "scale2_layer1.1.running_mean": (64,),
        "scale0_layer3.0.weight": (512, 256, 4, 4),
        "scale0_layer4.0.weight": (512, 512, 4, 4),
        "scale0_layer5.0.weight": (1, 512, 4, 4),
    }
    assert {key: found.get(key) for key in expected} == expected
    assert "scale0_layer0.1.weight" not in found and "scale0_layer6.0.weight" not in found


def test_names_without_feature_matching_are_flat() -> None:
    found = shapes(MultiScaleDiscriminator(5, width=8, inner=2, members=2, layered=False))
    assert {"layer0.0.weight", "layer0.2.weight", "layer0.3.running_var", "layer0.5.weight", "layer1.8.bias"} <= set(
        found
    )
    assert not any(key.startswith("scale") for key in found)


def test_members_see_smaller_images_the_finest_first() -> None:
    network = MultiScaleDiscriminator(5, width=4, inner=3, members=2)
    judged = network(torch.zeros(2, 5, 64, 32))
    assert [tuple(member[0].shape[1:]) for member in judged] == [(4, 33, 17), (8, 17, 9)]
    assert [tuple(member[-1].shape[1:]) for member in judged] == [(1, 11, 7), (1, 7, 5)]
    assert [len(member) for member in judged] == [5, 5]


def test_labels_are_the_original_files() -> None:
    made = networks(DiscriminatorSpec(temporal_scales=2, members=4, width=4, face=True))
    assert list(made.discriminators()) == ["D", "D_f", "D_T0", "D_T1"]
    assert len(made.D.members) == 4 and made.D_f is not None and len(made.D_f.members) == 2
    assert made.D.get_parameter("scale0_layer0.0.weight").shape[1] == CLASSES + 3
    assert made.D_T[1].get_parameter("scale0_layer0.0.weight").shape[1] == 3 * 3 + 2 * 2


def test_first_weights_are_the_originals() -> None:
    torch.manual_seed(0)
    made = build(config(ngf=16), DiscriminatorSpec(width=16))
    generator, judge = made.requires_grad_(False).generator.scales[0], made.D
    for conv in (generator.get_parameter("model_down_seg.1.weight"), judge.get_parameter("scale0_layer1.0.weight")):
        assert conv.std() == pytest.approx(0.02, rel=0.05) and abs(conv.mean()) < 1e-3
    for norm in (generator.get_parameter("model_down_seg.5.weight"), judge.get_parameter("scale0_layer3.1.weight")):
        assert norm.mean() == pytest.approx(1, abs=0.02) and norm.std() == pytest.approx(0.02, rel=0.5)
    assert not judge.get_parameter("scale0_layer3.1.bias").any()
    assert judge.get_parameter("scale0_layer3.0.bias").abs().max() > 0.001  # PyTorch's own
