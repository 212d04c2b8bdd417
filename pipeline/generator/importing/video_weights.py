"""Facts that the weights of a video generator show of its architecture (vid2vid, section 3; official key names)."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowreel.pipeline.generator.importing import weight_layout
from flowreel.pipeline.generator.importing.pth import Weights
from flowreel.schemas.errors import CheckpointError

_FIRST = "the first convolution, which shows width and input channels"


@dataclass(frozen=True)
class ScaleFacts:
    """The layout of one file."""

    file: str
    width: int  # n: channels after the first convolution
    inputs: int  # C: channels of T encoded frames
    history: int  # P: channels of T-1 images
    foreground: int | None  # q: width of the foreground branch; None: there is none
    flow: bool
    blocks: int  # residual blocks of the image path: b in the coarsest scale, l in a finer one
    downs: int  # stride-2 steps: d in the coarsest scale, 1 in a finer one


@dataclass(frozen=True)
class VideoFacts:
    """The layout that all scales share, coarsest first in ``files``."""

    files: tuple[str, ...]
    ngf: int
    n_downsample: int
    n_blocks: int
    n_blocks_local: int | None  # None: there is only one scale
    n_frames: int
    frame_channels: int
    foreground: bool
    flow: bool


def video_facts(scales: Sequence[Weights]) -> VideoFacts:
    """Reads the layout. Raises CheckpointError where a file is not such a network, or where files do not belong
    together."""
    facts = [_scale_facts(weights, scale) for scale, weights in enumerate(scales)]
    coarsest = facts[0]
    for scale, finer in enumerate(facts[1:], 1):
        _check_fits(coarsest, finer, scale, facts[1])
    if coarsest.history % 3 or coarsest.history < 3:
        raise CheckpointError(
            f"{coarsest.file}: model_down_img.1.weight reads {coarsest.history} channels of previous images; RGB images"
            " have 3 each"
        )
    frames = coarsest.history // 3 + 1
    if coarsest.inputs % frames:
        raise CheckpointError(
            f"{coarsest.file}: model_down_seg.1.weight reads {coarsest.inputs} channels, which do not divide into"
            f" {frames} frames (model_down_img.1.weight reads {frames - 1} previous images)"
        )
    _check_foreground(facts)
    return VideoFacts(
        files=tuple(f.file for f in facts),
        ngf=coarsest.width,
        n_downsample=coarsest.downs,
        n_blocks=coarsest.blocks,
        n_blocks_local=facts[1].blocks if len(facts) > 1 else None,
        n_frames=frames,
        frame_channels=coarsest.inputs // frames,
        foreground=coarsest.foreground is not None,
        flow=coarsest.flow,
    )


def _scale_facts(weights: Weights, scale: int) -> ScaleFacts:
    width, inputs = weight_layout.shape_of(weights, "model_down_seg.1.weight", _FIRST)[:2]
    foreground = weight_layout.has(weights, "indv_down")
    return ScaleFacts(
        file=weights.name,
        width=width,
        inputs=inputs,
        history=weight_layout.shape_of(weights, "model_down_img.1.weight", "which shows how many images it looks back")[
            1
        ],
        foreground=weight_layout.shape_of(weights, "indv_down.1.weight", _FIRST)[0] if foreground else None,
        flow=weight_layout.has(weights, "model_final_flow"),
        blocks=_blocks(weights) if scale == 0 else len(weight_layout.blocks(weights, "model_up_img")),
        downs=weight_layout.downs(weights, "model_down_seg"),
    )


def _blocks(weights: Weights) -> int:
    """Counts residual blocks of the coarsest scale, which lie half before and half after labels and images are
    added."""
    before, after = (len(weight_layout.blocks(weights, module)) for module in ("model_down_seg", "model_res_img"))
    if before == 0 or before - after not in (0, 1):
        raise CheckpointError(
            f"{weights.name}: {before} residual blocks in model_down_seg and {after} in model_res_img; a coarsest scale"
            " (G0) has as many in both, or one more in the first"
        )
    return before + after


def _check_fits(coarsest: ScaleFacts, finer: ScaleFacts, scale: int, first_finer: ScaleFacts) -> None:
    """Raises CheckpointError unless each finer scale has half the width of the one before, and the same inputs and
    branches."""
    compared = [
        ("base width", finer.width, coarsest.width / 2**scale, coarsest),
        ("channels of all frames", finer.inputs, coarsest.inputs, coarsest),
        ("channels of previous images", finer.history, coarsest.history, coarsest),
        ("a foreground branch", finer.foreground is not None, coarsest.foreground is not None, coarsest),
        ("a flow branch", finer.flow, coarsest.flow, coarsest),
        ("blocks", finer.blocks, first_finer.blocks, first_finer),
    ]
    wrong = [
        f"  {what}: {found} in {finer.file}, where {other.file} asks for {wanted:g}"
        if not isinstance(found, bool)
        else f"  {what}: {'there' if found else 'missing'} in {finer.file}, but not so in {other.file}"
        for what, found, wanted, other in compared
        if found != wanted
    ]
    if wrong:
        raise CheckpointError("\n".join(["these files are not the scales of one generator:", *wrong]))


def _check_foreground(facts: Sequence[ScaleFacts]) -> None:
    """Raises CheckpointError unless the foreground branch has half the width where the coarsest scale has more than
    two stride-2 steps."""
    downs = facts[0].downs
    for f in facts:
        wanted = f.width // 2 if downs > 2 else f.width
        if f.foreground not in (None, wanted):
            raise CheckpointError(
                f"{f.file}: the foreground branch has width {f.foreground}; with base width {f.width} and {downs}"
                f" stride-2 steps in {facts[0].file} vid2vid builds it with {wanted}"
            )
