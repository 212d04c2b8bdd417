"""The generator architecture that a spec asks for, given the label space of its data."""

from pydantic import ValidationError

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.sources.keypoints.frames import channels
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.problems import problem_lines
from flowreel.schemas.training import TrainSpec


def generator_config(spec: TrainSpec, space: LabelSpace) -> GeneratorConfig:
    """Builds the generator's config. Raises UsageError for an impossible architecture, or frames that it cannot
    take."""
    network, points = spec.generator, spec.source if spec.source and spec.source.kind in ("pose", "face") else None
    if spec.discriminators.face and not (points and points.pose):
        raise UsageError("discriminators.face finds faces in pose pictures, and this source has none: set it to false")
    if points and network.foreground:
        raise UsageError("generator.foreground names classes, and poses and faces are no label maps: leave it out")
    try:
        config = GeneratorConfig(
            label_space=space.name,
            label_nc=0 if points else max(space.ids) + 1,
            input_nc=channels(points) if points else 3,
            use_instance=network.instances and points is None,
            fg_labels=tuple(space.resolve(key) for key in network.foreground),
            ngf=network.ngf,
            n_downsample=network.n_downsample,
            n_blocks=network.n_blocks,
            n_blocks_local=network.n_blocks_local,
            n_frames=network.n_frames,
            n_scales=network.n_scales,
            flow=network.flow,
            size=spec.data.size,
            description=network.description,
            held_out=spec.data.hold_out,
        )
    except ValidationError as error:
        raise UsageError("\n  ".join(["generator:", *problem_lines(GeneratorConfig, error)])) from None
    except ValueError as error:
        raise UsageError(f"generator: {error}") from None
    for name, size in (("size", spec.data.size), ("crop", spec.data.crop)):
        try:
            if size:
                config.check_size(*size)
        except ValueError as error:
            raise UsageError(f"data.{name}: {error}") from None
    return config
