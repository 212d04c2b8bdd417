"""One scale's network for one clip's frame: what ``networks.ScaleNetwork`` does, on maps."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.generator.config import GeneratorConfig
from pipeline.generator.fast.activations import Map, Norm, added
from pipeline.generator.fast.blocks import Block, Head, PictureConv, blocks, run
from pipeline.generator.fast.label_conv import LabelConv
from pipeline.generator.fast.labels import SparseWindow
from pipeline.generator.layers import ClipNorm
from pipeline.generator.networks import CoarsestNetwork, FinerNetwork, ScaleNetwork
from pipeline.generator.warp import warp

Window = SparseWindow | Tensor  # T encoded frames, oldest first: label maps are sparse, other pictures (T L, H, W)


@dataclass(frozen=True)
class ScaleGiven:
    """What one scale is given of one clip."""

    window: Window
    history_PHW: Tensor  # T-1 previous outputs in [-1, 1], oldest first
    mask_HW: Tensor | None  # share of foreground, in [0, 1]; None: there is none, its branch has nothing to do
    raw_only: bool


@dataclass(frozen=True)
class ScaleMade:
    """What one scale returns; the maps go to the next finer scale."""

    image_3HW: Tensor
    raw_3HW: Tensor
    flow_2HW: Tensor | None
    weight_1HW: Tensor | None
    image: Map
    flow: Map | None
    foreground: Map | None


class FramesPath:
    """Conditioning frames through the first convolution and what follows it."""

    def __init__(self, modules: nn.Sequential, config: GeneratorConfig) -> None:
        conv, norm = _entry(modules)
        self.labels = LabelConv(conv, norm, config.n_frames) if config.label_nc else None
        self.pictures = None if self.labels else PictureConv(conv, norm)
        self.blocks = blocks(modules[3:])

    def __call__(self, window: Window) -> Map:
        if isinstance(window, SparseWindow):
            assert self.labels
            return run(self.blocks, self.labels(window))
        assert self.pictures
        return run(self.blocks, self.pictures(window))


class HistoryPath:
    """Previous outputs through the first convolution and what follows it."""

    def __init__(self, modules: nn.Sequential) -> None:
        self.entry, self.blocks = PictureConv(*_entry(modules)), blocks(modules[3:])

    def __call__(self, history_PHW: Tensor) -> Map:
        return run(self.blocks, self.entry(history_PHW))


class FastScale:
    """A scale's network; holds weights and nothing of any clip."""

    def __init__(self, network: ScaleNetwork, config: GeneratorConfig) -> None:
        assert isinstance(network, CoarsestNetwork | FinerNetwork)
        first = isinstance(network, CoarsestNetwork)
        self.down_labels, self.down_history = FramesPath(network.model_down_seg, config), HistoryPath(network.model_down_img)
        self.up_image: list[Block] = [*(blocks(network.model_res_img) if first else []), *blocks(network.model_up_img)]
        self.image_head = Head(_conv(network.model_final_img))
        self.has_flow, self.has_foreground, self.flow_unit = network.has_flow, network.has_foreground, network.flow_unit
        if self.has_flow:
            self.up_flow = [*(blocks(network.model_res_flow) if first else []), *blocks(network.model_up_flow)]
            self.flow_head = Head(_conv(network.model_final_flow), _conv(network.model_final_w))
        if self.has_foreground:
            self.down_foreground = FramesPath(network.indv_down, config)
            self.up_foreground = [*(blocks(network.indv_res) if first else []), *blocks(network.indv_up)]
            self.foreground_head = Head(_conv(network.indv_final))

    def __call__(self, given: ScaleGiven, coarser: ScaleMade | None) -> ScaleMade:
        joint = added(self.down_labels(given.window), self.down_history(given.history_PHW))
        image = run(self.up_image, _refined(joint, coarser and coarser.image))
        raw_3HW = made_3HW = torch.tanh(self.image_head(image))
        flow = flow_2HW = weight_1HW = foreground = None
        if self.has_flow:
            flow = run(self.up_flow, _refined(joint, coarser and coarser.flow))
            head_3HW = self.flow_head(flow)
            flow_2HW, weight_1HW = self.flow_unit * head_3HW[:2], torch.sigmoid(head_3HW[2:])
            if not given.raw_only:
                warped_3HW = warp(given.history_PHW[None, -3:], flow_2HW[None])[0]
                made_3HW = raw_3HW * weight_1HW + warped_3HW * (1 - weight_1HW)
        if self.has_foreground and given.mask_HW is not None:
            down = _refined(self.down_foreground(given.window), coarser and coarser.foreground)
            foreground, m = run(self.up_foreground, down), given.mask_HW
            front_3HW = torch.tanh(self.foreground_head(foreground))
            made_3HW = front_3HW * m + made_3HW * (1 - m)
            raw_3HW = front_3HW * m + raw_3HW * (1 - m)
        return ScaleMade(made_3HW, raw_3HW, flow_2HW, weight_1HW, image, flow, foreground)


def _refined(made: Map, coarser: Map | None) -> Map:
    return made if coarser is None else added(made, coarser)


def _entry(modules: nn.Sequential) -> tuple[nn.Conv2d, Norm]:
    """The first convolution and its norm, after the padding."""
    _, conv, norm = modules[:3]
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, ClipNorm)
    return conv, Norm(norm)


def _conv(head: nn.Sequential) -> nn.Conv2d:
    conv = head[1]
    assert isinstance(conv, nn.Conv2d)
    return conv
