"""Label agreement with segmenters of others: TorchScript and ONNX files that are fitted to real frames here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowreel.pipeline.codec import decode_ids, decode_image, resize_ids, resize_image
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.quality.label_agreement import label_agreement
from flowreel.pipeline.quality.segmenters import open_segmenter
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.schemas.errors import UsageError
from flowreel.schemas.spec import Spec
from tests.support.local_run import LocalRun

SIZE = (128, 64)
CLASSES = (7, 11, 21, 26)  # road, building, vegetation, car
SPACE = open_label_space("cityscapes", {})


class ByColour(nn.Module):
    """Naive Bayes over colour and height in the frame: a 1x1 convolution of both and their squares."""

    height_11H1: Tensor

    def __init__(self, height: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(8, len(CLASSES), 1)
        self.register_buffer("height_11H1", torch.linspace(0, 1, height).view(1, 1, -1, 1))

    def forward(self, x_13HW: Tensor) -> Tensor:
        return self.head(self.features(x_13HW))

    def features(self, x_13HW: Tensor) -> Tensor:
        smooth = F.avg_pool2d(x_13HW, 5, stride=1, padding=2, count_include_pad=False)
        both = torch.cat([smooth, self.height_11H1.expand_as(x_13HW[:, :1])], dim=1)
        return torch.cat([both, both * both], dim=1)

    def fit(self, image_N3HW: Tensor, label_NHW: Tensor) -> None:
        assert self.head.bias is not None
        pixels_PF = self.features(image_N3HW).movedim(1, -1).flatten(0, 2)
        for k, class_id in enumerate(CLASSES):
            mean_8 = pixels_PF[(label_NHW == class_id).flatten()].mean(dim=0)
            mean, variance = mean_8[:4], mean_8[4:] - mean_8[:4] ** 2
            self.head.weight.data[k, :, 0, 0] = torch.cat([mean / variance, -0.5 / variance])
            self.head.bias.data[k] = -0.5 * (mean**2 / variance + variance.log()).sum()


def frames(data: Path, sequence: str, step: int) -> tuple[np.ndarray, np.ndarray]:
    folder = data / "cityscapes-sample" / sequence
    images, labels = (sorted((folder / name).iterdir())[::step] for name in ("images", "labels"))
    image_THW3 = np.stack([resize_image(decode_image(name.read_bytes()), SIZE) for name in images])
    return image_THW3, np.stack([resize_ids(decode_ids(name.read_bytes()), SIZE) for name in labels])


@pytest.fixture(scope="module")
def fitted(shared_data: Path) -> ByColour:
    pairs = [frames(shared_data, f"seq000{k}", 6) for k in range(4)]
    network = ByColour(SIZE[1])
    image_N3HW = torch.from_numpy(np.concatenate([p[0] for p in pairs])).movedim(-1, 1).float() / 255
    network.fit(image_N3HW, torch.from_numpy(np.concatenate([p[1] for p in pairs]).astype(np.int64)))
    return network.eval().requires_grad_(False)


def torchscript(network: nn.Module, file: Path) -> Path:
    torch.jit.script(network).save(file := file.with_suffix(".ts"))
    return file


def onnx(network: nn.Module, file: Path) -> Path:
    file = file.with_suffix(".onnx")
    torch.onnx.export(network, (torch.zeros(1, 3, *SIZE[::-1]),), file, dynamo=False)
    return file


def spec(file: Path, **quality: Any) -> Spec:
    quality = {"segmenter": str(file), "segmenter_classes": CLASSES} | quality
    return Spec.model_validate({"dataset": {"uri": "d"}, "source": {"uri": "s"}, "quality": quality})


@pytest.mark.parametrize("written", [torchscript, onnx])
def test_shifted_labels_agree_less(
    written: Callable[[nn.Module, Path], Path], fitted: ByColour, shared_data: Path, tmp_path: Path
) -> None:
    segmenter = open_segmenter(spec(written(fitted, tmp_path / "s")), SPACE, allow_code=True)
    assert segmenter is not None
    image_THW3, label_THW = frames(shared_data, "seq0004", 10)
    right = label_agreement(segmenter, image_THW3, label_THW)
    shifted = label_agreement(segmenter, image_THW3, np.roll(label_THW, (20, 40), axis=(1, 2)))
    for good, bad in zip(right, shifted, strict=True):
        assert good is not None and bad is not None and good > 0.6 and good > bad + 0.1
    assert label_agreement(segmenter, image_THW3[:1], np.zeros_like(label_THW[:1])) == [None]


def test_both_kinds_of_file_say_the_same(fitted: ByColour, shared_data: Path, tmp_path: Path) -> None:
    given = frames(shared_data, "seq0004", 15)
    opened = [
        open_segmenter(spec(written(fitted, tmp_path / "s")), SPACE, allow_code=True) for written in (torchscript, onnx)
    ]
    first, second = (label_agreement(segmenter, *given) for segmenter in opened if segmenter)
    assert first == pytest.approx(second)


def test_what_is_wrong_shows_before_anything_is_rendered(fitted: ByColour, tmp_path: Path) -> None:
    file = torchscript(fitted, tmp_path / "s")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"segmenter_classes": (7, 11)}, r"gives \(1, 4, 64, 128\) for one frame, where \(1, 2, H, W\) is needed"),
        ({"segmenter_classes": ("road", "dog")}, r"segmenter_classes: 'dog' is no class of label space 'cityscapes'"),
        ({"segmenter": str(tmp_path / "s.bin")}, r"s\.bin must end in one of \.safetensors, \.onnx, \.pt, \.ts"),
        ({"segmenter": str(tmp_path / "gone.ts")}, r"quality\.segmenter: .*gone\.ts"),
    ]
    for quality, told in wrong:
        with pytest.raises(UsageError, match=told):
            open_segmenter(spec(file, **quality), SPACE, allow_code=True)
    for name in ("noise.ts", "noise.onnx"):
        (tmp_path / name).write_bytes(b"noise")
        with pytest.raises(UsageError, match=rf"{name}: not an? (TorchScript|ONNX) file"):
            open_segmenter(spec(tmp_path / name), SPACE, allow_code=True)


class Writes(nn.Module):
    """What a hostile network may be: it makes a file where it is run."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file(self.place, True, 4, dtype=torch.float32).sum()


@pytest.mark.parametrize("ending", [".pt", ".ts"])
def test_a_program_is_refused_unread_unless_it_is_allowed(local_run: LocalRun, tmp_path: Path, ending: str) -> None:
    mark, file = tmp_path / "mark", tmp_path / f"net{ending}"
    torch.jit.script(Writes(str(mark))).save(file)
    quality = {"segmenter": str(file), "segmenter_classes": [7, 11, 23]}
    with pytest.raises(UsageError, match=r"can run code of its own .* ONNX .* give --allow-code"):
        prepare(local_run.spec(quality=quality), dry=True)
    assert not mark.exists()
    prepared = prepare(local_run.spec(quality=quality), dry=True, allow_code=True)
    assert mark.stat().st_size == 16 and prepared.job.allow_code  # workers are told by the job


def test_weights_outside_the_file_are_not_opened(fitted: ByColour, tmp_path: Path) -> None:
    import onnx as format_

    file = onnx(fitted, tmp_path / "s")
    format_.save(format_.load(file), file, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").exists()
    with pytest.raises(UsageError, match=r"s\.onnx keeps its weights in other files, which are not opened"):
        open_segmenter(spec(file), SPACE)
