"""The generator that a spec asks for, given the label space of its data."""

from pydantic import ValidationError

from pipeline.generator.config import GeneratorConfig
from schemas.errors import UsageError
from schemas.label_space import LabelSpace
from schemas.training import TrainSpec


def generator_config(spec: TrainSpec, space: LabelSpace) -> GeneratorConfig:
    """Raises UsageError for an architecture that cannot be, or frames that it cannot take."""
    network = spec.generator
    if spec.discriminators.face:
        raise UsageError("discriminators.face finds faces in pose pictures, and label maps have none: set it to false")
    try:
        config = GeneratorConfig(
            label_space=space.name,
            label_nc=max(space.ids) + 1,
            use_instance=network.instances,
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
    except (ValidationError, ValueError) as error:
        raise UsageError(f"generator: {error}") from None
    for name, size in (("size", spec.data.size), ("crop", spec.data.crop)):
        try:
            if size:
                config.check_size(*size)
        except ValueError as error:
            raise UsageError(f"data.{name}: {error}") from None
    return config
