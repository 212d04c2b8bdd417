"""One scale's network for one clip's frame, as in ``networks.ScaleNetwork``, on maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.fast.activations import Map, Norm, Place, added
from flowreel.pipeline.generator.fast.blocks import Block, Head, PictureConv, blocks, run
from flowreel.pipeline.generator.fast.label_conv import LabelConv, convolved
from flowreel.pipeline.generator.fast.labels import SparseWindow
from flowreel.pipeline.generator.layers import ClipNorm
from flowreel.pipeline.generator.networks import CoarsestNetwork, FinerNetwork, ScaleNetwork
from flowreel.pipeline.generator.warp import over, warp

Window = SparseWindow | Tensor  # T encoded frames, oldest first: label maps are sparse, other pictures (T L, H, W)


@dataclass(frozen=True)
class Seen:
    """One scale's features of one frame's conditioning alone, whatever was rendered before it."""

    features: Map
    front: Map | None  # the foreground's features, for the next finer scale; None: there is none
    cutout: "Cutout | None"


@dataclass(frozen=True)
class Cutout:
    """The foreground's image, in the rectangle that holds all of it."""

    image_3HW: Tensor
    share_HW: Tensor  # in [0, 1]
    place: Place

    def over(self, behind_3HW: Tensor) -> Tensor:
        top, left, bottom, right = self.place
        made_3HW = behind_3HW.clone()
        made_3HW[:, top:bottom, left:right] = over(self.image_3HW, made_3HW[:, top:bottom, left:right], self.share_HW)
        return made_3HW


@dataclass(frozen=True)
class Made:
    """One scale's output for one clip's frame; the maps go to the next finer scale."""

    image_3HW: Tensor
    raw_3HW: Tensor
    flow_2HW: Tensor | None
    weight_1HW: Tensor | None
    image: Map
    flow: Map | None


class Entry:
    """The first convolutions of the conditioning frames: for the labels' path, and the foreground's if names_here is
    one."""

    def __init__(self, modules: Sequence[nn.Sequential], config: GeneratorConfig) -> None:
        parts = [_entry(module) for module in modules]
        self.labels = [LabelConv(conv, norm, config.n_frames) for conv, norm in parts] if config.label_nc else []
        self.pictures = [] if config.label_nc else [PictureConv(conv, norm) for conv, norm in parts]

    def __call__(self, window: Window, front: bool) -> tuple[Map, Map | None]:
        """Convolves the conditioning frames. ``front``: whether the foreground's is wanted."""
        if isinstance(window, SparseWindow):
            return convolved(window, self.labels[0], self.labels[1] if front else None)
        return self.pictures[0](window), self.pictures[1](window) if front else None


class FastScale:
    """A scale's network; it holds weights and no state of any clip."""

    def __init__(self, network: ScaleNetwork, config: GeneratorConfig, products: torch.dtype) -> None:
        assert isinstance(network, CoarsestNetwork | FinerNetwork)
        paths = [network.model_down_seg, *([network.indv_down] if network.has_foreground else [])]
        self.enter_frames, self.down_frames = Entry(paths, config), blocks(network.model_down_seg[3:], products)
        self.enter_history = PictureConv(*_entry(network.model_down_img))
        self.down_history = blocks(network.model_down_img[3:], products)
        self.up_image = _up(network, ("model_res_img", "model_up_img"), products)
        self.image_head = Head(_conv(network.model_final_img))
        self.has_flow, self.has_foreground, self.flow_unit = network.has_flow, network.has_foreground, network.flow_unit
        if self.has_flow:
            self.up_flow = _up(network, ("model_res_flow", "model_up_flow"), products)
            self.flow_head = Head(_conv(network.model_final_flow), _conv(network.model_final_w))
        if self.has_foreground:
            self.down_front = blocks(network.indv_down[3:], products)
            self.up_front = _up(network, ("indv_res", "indv_up"), products)
            self.front_head = Head(_conv(network.indv_final))

    def prepare(
        self, windows: Sequence[Window], masks: Sequence[Tensor | None], coarser: Sequence[Seen] | None
    ) -> list[Seen]:
        """Does the part of several frames' work that needs no history."""
        shown = [i for i, mask in enumerate(masks) if mask is not None and self.has_foreground]
        entered = [self.enter_frames(window, i in shown) for i, window in enumerate(windows)]
        features = run(self.down_frames, [labels for labels, _ in entered])
        fronts: dict[int, Map] = {}
        if shown:
            downs = run(self.down_front, [front for _, front in entered if front])
            downs = _refined(downs, [coarser[i].front for i in shown] if coarser else None)
            fronts = dict(zip(shown, run(self.up_front, downs), strict=True))
        seen = []
        for i, mask in enumerate(masks):
            front = fronts.get(i)
            seen.append(Seen(features[i], front, None if front is None or mask is None else self._cutout(front, mask)))
        return seen

    def __call__(
        self, seen: Sequence[Seen], histories_PHW: Sequence[Tensor], raw_only: bool, coarser: Sequence[Made] | None
    ) -> list[Made]:
        """Renders one frame of each clip; ``histories_PHW``: T-1 previous outputs in [-1, 1], oldest first."""
        entered = [self.enter_history(history_PHW) for history_PHW in histories_PHW]
        joint = [added(s.features, h) for s, h in zip(seen, run(self.down_history, entered), strict=True)]
        images = run(self.up_image, _refined(joint, [made.image for made in coarser] if coarser else None))
        flows: list[Map | None] = [None] * len(seen)
        if self.has_flow:
            flows[:] = run(self.up_flow, _refined(joint, [made.flow for made in coarser] if coarser else None))
        return [self._blended(*parts, raw_only) for parts in zip(seen, histories_PHW, images, flows, strict=True)]

    def _cutout(self, front: Map, mask_HW: Tensor) -> Cutout:
        rows, columns = mask_HW.any(dim=1).nonzero(), mask_HW.any(dim=0).nonzero()
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        place = top, left, bottom, right
        return Cutout(torch.tanh(self.front_head(front, place)), mask_HW[top:bottom, left:right], place)

    def _blended(self, seen: Seen, history_PHW: Tensor, image: Map, flow: Map | None, raw_only: bool) -> Made:
        """Applies heads, warp and foreground, as ``ScaleNetwork._blended`` does."""
        raw_3HW = made_3HW = torch.tanh(self.image_head(image))
        flow_2HW = weight_1HW = None
        if flow is not None:
            head_3HW = self.flow_head(flow)
            flow_2HW, weight_1HW = self.flow_unit * head_3HW[:2], torch.sigmoid(head_3HW[2:])
            if not raw_only:
                warped_3HW = warp(history_PHW[None, -3:], flow_2HW[None])[0]
                made_3HW = over(raw_3HW, warped_3HW, weight_1HW)
        if seen.cutout is not None:
            made_3HW, raw_3HW = seen.cutout.over(made_3HW), seen.cutout.over(raw_3HW)
        return Made(made_3HW, raw_3HW, flow_2HW, weight_1HW, image, flow)


def _refined(maps: list[Map], coarser: Sequence[Map | None] | None) -> list[Map]:
    """Adds the features that the next coarser scale hands over."""
    if coarser is None:
        return maps
    return [added(fine, coarse) for fine, coarse in zip(maps, coarser, strict=True) if coarse is not None]


def _up(network: ScaleNetwork, names: tuple[str, str], products: torch.dtype) -> list[Block]:
    """Builds the way up; the coarsest network has residual blocks of their own name before it."""
    names_here = names if isinstance(network, CoarsestNetwork) else names[1:]
    return [block for name in names_here for block in blocks(network.get_submodule(name), products)]


def _entry(modules: nn.Sequential) -> tuple[nn.Conv2d, Norm]:
    """Builds the first convolution and its norm, after the padding."""
    conv, norm = modules[1], modules[2]
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, ClipNorm)
    return conv, Norm(norm)


def _conv(head: nn.Sequential) -> nn.Conv2d:
    conv = head[1]
    assert isinstance(conv, nn.Conv2d)
    return conv
