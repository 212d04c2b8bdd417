"""The generator architecture that a spec asks for, given the label space of its data."""

from typing import Any

from pydantic import ValidationError

from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.sources.keypoints.frames import channels
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.problems import problem_lines
from flowreel.schemas.training import ADAPTIVE, VID2VID, NetworkSpec, TrainSpec


def generator_config(spec: TrainSpec, space: LabelSpace) -> AnyConfig:
    """Builds the generator's config. Raises UsageError for an impossible architecture, or frames that it cannot
    take."""
    network, points = spec.generator, spec.source if spec.source and spec.source.kind in ("pose", "face") else None
    if spec.discriminators.face and not (points and points.pose):
        raise UsageError("discriminators.face finds faces in pose pictures, and this source has none: set it to false")
    if points and network.foreground:
        raise UsageError("generator.foreground names classes, and poses and faces are no label maps: leave it out")
    if spec.discriminators.segmentation and points:
        raise UsageError(
            "discriminators.segmentation needs classes, and poses and faces are no label maps: leave it out"
        )
    common = {
        "label_space": space.name,
        "label_nc": 0 if points else max(space.ids) + 1,
        "input_nc": channels(points) if points else 3,
        "use_instance": network.instances and points is None,
        "n_frames": network.n_frames,
        "size": spec.data.size,
        "description": network.description,
        "held_out": spec.data.hold_out,
    }
    adaptive = network.architecture == "adaptive"
    try:
        config = _adaptive(network, common) if adaptive else _vid2vid(network, common, space)
    except ValidationError as error:
        lines = problem_lines(AdaptiveConfig if adaptive else GeneratorConfig, error)
        raise UsageError("\n  ".join(["generator:", *lines])) from None
    except ValueError as error:
        raise UsageError(f"generator: {error}") from None
    for name, size in (("size", spec.data.size), ("crop", spec.data.crop)):
        try:
            if size:
                config.check_size(*size)
        except ValueError as error:
            raise UsageError(f"data.{name}: {error}") from None
    return config


def _vid2vid(network: NetworkSpec, common: dict[str, Any], space: LabelSpace) -> GeneratorConfig:
    return GeneratorConfig(
        fg_labels=tuple(space.resolve(key) for key in network.foreground),
        **common | network.model_dump(include=set(VID2VID - {"foreground"})),
    )


def _adaptive(network: NetworkSpec, common: dict[str, Any]) -> AdaptiveConfig:
    return AdaptiveConfig(**common | network.model_dump(include=set(ADAPTIVE)))
