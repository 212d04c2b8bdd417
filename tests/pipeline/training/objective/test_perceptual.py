"""Perceptual distances: VGG's features are torchvision's, files are read strictly."""

import io
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from flowreel.pipeline.quality.segmenter_network import Segmenter, SegmenterFacts, save_segmenter
from flowreel.pipeline.training.objective.feature_networks import EfficientNetLite2, SameConv
from flowreel.pipeline.training.objective.perceptual import Perceptual, load_perceptual
from flowreel.schemas.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("one_thread")


# The layers of its vgg19().features: channels, or "M" for pooling.
TORCHVISION: tuple[int | str, ...] = (64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M")
SEEN = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 in it


def torchvisions() -> nn.Sequential:
    layers, channels = nn.Sequential(), 3
    for width in TORCHVISION:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2))
            continue
        layers.extend([nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()])
        channels = width
    return layers.requires_grad_(False)


@pytest.fixture(scope="module")
def reference() -> nn.Sequential:
    torch.manual_seed(0)
    return torchvisions()


@pytest.fixture(scope="module")
def weights(reference: nn.Sequential) -> dict[str, Tensor]:
    """As in torchvision's file, with one tensor of its classifier."""
    return {f"features.{k}": v for k, v in reference.state_dict().items()} | {"classifier.6.bias": torch.zeros(1000)}


@pytest.fixture(scope="module")
def vgg(weights: dict[str, Tensor]) -> Perceptual:
    return load_perceptual(as_pth(weights), "vgg")


def as_pth(weights: Any) -> bytes:
    sink = io.BytesIO()
    torch.save(weights, sink)
    return sink.getvalue()


def images(seed: int, size: tuple[int, int] = (32, 48)) -> Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_features_are_torchvisions(reference: nn.Sequential, vgg: Perceptual) -> None:
    x, wanted = images(0), []
    for i, layer in enumerate(reference):
        x = layer(x)
        wanted += [x] * (i in SEEN)
    for found, there in zip(vgg.network.features(images(0)), wanted, strict=True):
        assert torch.equal(found, there)


def test_distance_is_the_mean_over_sets_of_weighted_differences(vgg: Perceptual) -> None:
    real, fakes = images(0), [images(1), images(2)]
    target, weights = vgg.network.features(real), (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)
    expected = [
        w * (a - b).abs().mean()
        for fake in fakes
        for w, a, b in zip(weights, vgg.network.features(fake), target, strict=True)
    ]
    torch.testing.assert_close(vgg(fakes, real), torch.stack(expected).sum() / 2)
    assert vgg([real, real], real) == 0 != vgg(fakes, real)


def test_only_made_images_have_gradients(vgg: Perceptual) -> None:
    real, fake = images(0).requires_grad_(), images(1).requires_grad_()
    vgg([fake], real).backward()
    assert real.grad is None and fake.grad is not None and fake.grad.any()
    assert not any(p.requires_grad for p in vgg.parameters())


def test_wide_pictures_are_halved_until_they_are_not(vgg: Perceptual) -> None:
    sizes = [tuple(vgg.network.features(images(0, (64, w))[:1])[0].shape[2:]) for w in (1024, 1040, 2064)]
    assert sizes == [(64, 1024), (32, 520), (16, 516)]


def test_safetensors_files_are_read_as_well(vgg: Perceptual, weights: dict[str, Tensor]) -> None:
    found = load_perceptual(save(weights), "vgg")
    assert all(torch.equal(p, q) for p, q in zip(found.parameters(), vgg.parameters(), strict=True))


def test_a_segmenters_layers_count_alike() -> None:
    torch.manual_seed(0)
    segmenter = Segmenter(SegmenterFacts(label_space="cityscapes", classes=(7, 26), size=(48, 32), width=4)).eval()
    found = load_perceptual(save_segmenter(segmenter), "segmenter")
    real, fake = images(0), images(1)
    parts = [(a - b).abs().mean() for a, b in zip(segmenter.features(fake), segmenter.features(real), strict=True)]
    torch.testing.assert_close(found([fake], real), torch.stack(parts).mean().detach())
    assert isinstance(found, Perceptual) and not any(p.requires_grad for p in found.parameters())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features.28.weight": None}, "1 missing"),
        ({"features.0.weight": torch.zeros(64, 1, 3, 3)}, "1 of another shape"),
        ({"head.weight": torch.zeros(3)}, "1 not in the network"),
    ],
)
def test_other_weights_are_refused(weights: dict[str, Tensor], change: dict[str, Any], said: str) -> None:
    small = {key: torch.zeros(()).expand(value.shape) for key, value in weights.items()}  # one number in the file
    changed = {key: value for key, value in (small | change).items() if value is not None}
    with pytest.raises(CheckpointError, match=f"bad.pth.*\n.*{said}"):
        load_perceptual(as_pth(changed), "bad.pth")


# VGG16 and EfficientNet-Lite2


def test_vgg16_is_torchvisions_with_its_normalisation(weights: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    layers, channels = nn.Sequential(), 3
    widths: list[int | str] = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3]
    for width in widths:
        layers.extend([nn.MaxPool2d(2)] if isinstance(width, str) else [nn.Conv2d(channels, width, 3, padding=1)])
        layers.extend([] if isinstance(width, str) else [nn.ReLU()])
        channels = channels if isinstance(width, str) else width
    file = {f"features.{k}": v for k, v in layers.state_dict().items()} | {"classifier.6.bias": torch.zeros(1000)}
    found = load_perceptual(save(file), "vgg16")
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x, wanted = ((images(0) + 1) / 2 - mean[:, None, None]) / deviation[:, None, None], []
    for i, layer in enumerate(layers):
        x = layer(x)
        wanted += [x] * (i in (1, 6, 11, 18, 25))
    for made, there in zip(found.network.features(images(0)), wanted, strict=True):
        torch.testing.assert_close(made, there.detach())


def lite2_file() -> dict[str, Tensor]:
    """Random weights by the keys of the public file, with its classifier."""
    torch.manual_seed(0)
    network = EfficientNetLite2()
    random = {k: torch.rand_like(v) + 0.5 if v.is_floating_point() else v for k, v in network.state_dict().items()}
    scaled = {k: (v - 1) / v[0].numel() ** 0.5 if v.dim() == 4 else v for k, v in random.items()}
    return scaled | {"_conv_head.weight": torch.zeros(1280, 352, 1, 1), "_fc.bias": torch.zeros(1000)}


def test_lite2s_layers_have_strides_2_to_32() -> None:
    found = load_perceptual(save(lite2_file()), "lite2")
    shapes = [tuple(layer.shape[1:]) for layer in found.network.features(images(0, (64, 128)))]
    assert shapes == [(16, 32, 64), (24, 16, 32), (48, 8, 16), (120, 4, 8), (352, 2, 4)]
    assert found([images(0)], images(0)) == 0 != found([images(1)], images(0))
    assert not any(p.requires_grad for p in found.parameters())


def test_lite2_is_the_same_in_training_mode() -> None:
    found = load_perceptual(save(lite2_file()), "lite2")
    expected = found.eval().network.features(images(0))
    assert all(map(torch.equal, found.train().network.features(images(0)), expected))


def test_stride_2_pads_as_tensorflow_does() -> None:
    """Even sides: nothing before and one after for a kernel of 3, one and two for one of 5."""
    for kernel, before in ((3, 0), (5, 1)):
        conv = SameConv(1, 1, kernel, stride=2)
        conv.weight.data.zero_()[0, 0, before, before] = 1  # looks at each second pixel
        x = torch.arange(64.0).reshape(1, 1, 8, 8)
        assert torch.equal(conv(x), x[..., ::2, ::2])


def test_a_damaged_lite2_file_says_what_it_was_compared_with() -> None:
    file = lite2_file()
    del file["_blocks.3._bn1.weight"]
    with pytest.raises(CheckpointError, match=r"compared with EfficientNetLite2\n.*1 missing"):
        load_perceptual(save(file), "bad")


class Code:
    """Not a tensor: reading it would need this class."""


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut", b"x" * 100, as_pth([1, 2]), as_pth({"a": Code()})])
def test_files_without_weights_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="bad.pth"):
        load_perceptual(data, "bad.pth")
