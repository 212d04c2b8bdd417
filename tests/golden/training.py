"""Reference files of training -> what Flowreel's objective and optimisers make of the same clip and weights."""

from dataclasses import dataclass, field
from math import ceil
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from flowreel.pipeline.generator.conditioning import from_uint8
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.objective.face_crop import FaceCrop
from flowreel.pipeline.training.objective.generate import Rendered
from flowreel.pipeline.training.objective.networks import Networks
from flowreel.pipeline.training.objective.objective import ChunkOptions, Losses, Objective, start
from flowreel.pipeline.training.step import add_gradients, optimisers
from flowreel.schemas.training import DiscriminatorSpec, LossSpec, OptimiserSpec
from tests.golden.networks import fill, pictures, video_config
from tests.golden.vectors import Vector

INPUTS = {"label", "inst", "input_u8", "real_u8"}
SURE = 0.05  # sum over channels of squared differences below which the formula's flow is certain


@dataclass
class Run:
    """What came of a file's steps."""

    log: list[dict[str, Any]] = field(default_factory=list)
    gradient_norms: dict[str, float] = field(default_factory=dict)  # when a parameter first had a gradient
    first: dict[str, Tensor] = field(default_factory=dict)  # the first load's frames
    parameters: dict[str, dict[str, float]] = field(default_factory=dict)  # after the last step
    shapes: dict[str, dict[str, list[int]]] = field(default_factory=dict)


def flow_formula(current_B3HW: Tensor, previous_B3HW: Tensor) -> tuple[Tensor, Tensor]:
    """What takes the place of a reference flow in these files."""
    difference = current_B3HW - previous_B3HW
    mean_BHW = difference.mean(dim=1)
    sure_B1HW = (difference.square().sum(dim=1, keepdim=True) < SURE).to(difference.dtype)
    return torch.stack((3 * mean_BHW, -2 * mean_BHW), dim=1), sure_B1HW


def clip_of(vector: Vector, networks: Networks, dtype: torch.dtype) -> TrainingClip:
    """All of a file's frames."""
    config = networks.generator.config
    frames = torch.from_numpy(vector.require("label")).long() if config.label_nc else pictures(vector, dtype)
    instance_THW = torch.from_numpy(vector.require("inst")) if config.use_instance else None
    real_T3HW = from_uint8(torch.from_numpy(vector.require("real_u8")), dtype)
    flow_T2HW, sure_T1HW = flow_formula(real_T3HW[1:], real_T3HW[:-1])
    flow_T2HW, sure_T1HW = (torch.cat((torch.zeros_like(x[:1]), x)) for x in (flow_T2HW, sure_T1HW))
    empty = vector.settings.get("no_first_img", False)
    return TrainingClip(frames, instance_THW, real_T3HW, flow_T2HW, sure_T1HW, starts_empty=empty)


def discriminator_spec(s: dict[str, Any]) -> DiscriminatorSpec:
    names = {
        "num_D": "members",
        "n_layers_D": "layers",
        "ndf": "width",
        "n_scales_temporal": "temporal_scales",
        "n_frames_D": "temporal_frames",
        "sparse_D": "sparse",
        "add_face_disc": "face",
    }
    return DiscriminatorSpec(**{ours: s[theirs] for theirs, ours in names.items() if theirs in s})


def loss_spec(s: dict[str, Any]) -> LossSpec:
    names = {"lambda_feat": "feature_matching", "lambda_F": "flow", "lambda_T": "warp"}
    given = {ours: s[theirs] for theirs, ours in names.items() if theirs in s}
    return LossSpec(**given | ({"feature_matching": 0} if s.get("no_ganFeat") else {}))


def build_networks(vector: Vector, weights: ModuleType, dtype: torch.dtype) -> Networks:
    """With the reference's weights."""
    s = vector.settings
    with torch.device("meta"):
        networks = Networks(video_config(vector), discriminator_spec(s), layered=not s.get("no_ganFeat"))
    for label, network in labelled(networks).items():
        fill(label, network, weights, dtype)
    return networks.requires_grad_(True)


def labelled(networks: Networks) -> dict[str, torch.nn.Module]:
    scales = {f"G{s}": scale for s, scale in enumerate(networks.generator.scales)}
    return {**scales, **networks.discriminators()}


def backprop_frames(s: dict[str, Any], load: int) -> int:
    """Frames that gradients flow back, after the schedule's ratio that the file says (section 10.6)."""
    ratio = s.get("update_training_batch")
    if ratio is None:
        return 1
    return load // ceil(load / min(s.get("max_frames_backpropagate", 1), 2**ratio))


def train(vector: Vector, weights: ModuleType, dtype: torch.dtype) -> Run:
    """All steps of a file."""
    s, run = vector.settings, Run()
    networks = build_networks(vector, weights, dtype)
    spec = OptimiserSpec(lr=s.get("lr", 2e-4), beta1=s.get("beta1", 0.5), ttur=s.get("TTUR", False))
    finest_only = s.get("niter_fix_global", 0) > 0 and s.get("n_scales_spatial", 1) > 1
    steps = optimisers(networks, spec, finest_only)
    clip = clip_of(vector, networks, dtype)
    face = FaceCrop(s.get("fineSize", 512) // 32 * 8, s.get("openpose_only", False)) if s.get("add_face_disc") else None
    objective = Objective(loss_spec(s), discriminator_spec(s), flow_formula, face=face)
    load, context = s.get("max_frames_per_gpu", 1), networks.generator.config.n_frames - 1
    how = ChunkOptions(backprop=backprop_frames(s, load), finest_only=finest_only)
    memory = start(networks, clip)
    for first in range(context, len(clip.real_T3HW) - load + 1, load):
        losses, memory, made = objective(networks, clip, range(first, first + load), memory, how)
        steps.clear()
        add_gradients(losses, networks)
        run.first = run.first or arrays_of(made)
        run.gradient_norms = norms_of(networks) | run.gradient_norms
        run.log.append(entry(losses, len(run.log), first - context))
        steps.step()
    for label, network in labelled(networks).items():
        values = [p.detach().double() for p in network.parameters()]
        sums = {"param_sum": sum(float(v.sum()) for v in values)}
        run.parameters[label] = sums | {"param_abs_sum": sum(float(v.abs().sum()) for v in values)}
        run.shapes[label] = {key: list(value.shape) for key, value in network.state_dict().items()}
    return run


def entry(losses: Losses, step: int, first: int) -> dict[str, Any]:
    """A step's line of the log, flat: temporal terms end in their time scale."""
    totals = {"loss_G": losses.generator} | ({} if losses.image is None else {"loss_D": losses.image})
    totals |= {f"loss_D_T{s}": loss for s, loss in enumerate(losses.temporal)}
    terms = {name: float(value.detach()) for name, value in (losses.terms | totals).items()}
    return {"step": step, "first_frame_index": first, "terms": terms, "groups": len(losses.temporal)}


def norms_of(networks: Networks) -> dict[str, float]:
    """Per parameter that has a gradient."""
    return {
        f"{label}.{key}": float(parameter.grad.norm())
        for label, network in labelled(networks).items()
        for key, parameter in network.named_parameters()
        if parameter.grad is not None
    }


def arrays_of(made: Rendered) -> dict[str, Tensor]:
    found = {
        "step0_fake_B": made.image_T3HW,
        "step0_fake_B_raw": made.raw_T3HW,
        "step0_flow": made.flow_T2HW,
        "step0_weight": made.weight_T1HW,
    }
    return {name: value for name, value in found.items() if value is not None}
