"""Checks a checkpoint before anything is loaded: its keys and shapes, and whether it can render what is asked of it."""

from flowreel.pipeline.generator.checkpoint import Checkpoint, layout_of
from flowreel.schemas.errors import CheckpointError
from flowreel.schemas.label_space import LabelSpace

MIN_SIDE = 16  # pixels: optical flow, which measures quality, needs as much


def check_weights(checkpoint: Checkpoint) -> None:
    """Raises CheckpointError listing every key or shape that does not match the architecture; reads no weights."""
    if checkpoint.layout == layout_of(checkpoint.config, checkpoint.shapes):
        return
    from flowreel.pipeline.generator.loading import compare_weights  # PyTorch: for files that do not say what they fit

    compare_weights(checkpoint)


def check_fits(checkpoint: Checkpoint, space: LabelSpace, size: tuple[int, int], pictures: int = 0) -> None:
    """Raises CheckpointError unless the generator can render this label space at this size (width, height).

    ``pictures``: channels of the pictures that poses and faces are drawn as; 0 for label maps.
    """
    config, where = checkpoint.config, checkpoint.store.uri
    if pictures:
        if config.label_nc or config.input_nc != pictures:
            takes = f"label maps with {config.label_nc} ids" if config.label_nc else f"pictures of {config.input_nc}"
            raise CheckpointError(
                f"the generator {where} takes {takes}, but this source's poses or faces are drawn as pictures of"
                f" {pictures} channels; give another checkpoint, or what it takes: openpose and densepose have 3 each,"
                " faces 15, or 1 without distances"
            )
    elif config.label_space != space.name:
        raise CheckpointError(
            f"the generator {where} renders label space '{config.label_space}', but source.label_space is"
            f" '{space.name}'; set source.label_space: {config.label_space} and map the source's ids to it with"
            " source.remap, for example {0: sky, 1: building}"
        )
    beyond = [] if pictures else sorted(i for i in space.ids if i >= config.label_nc)
    if beyond:
        raise CheckpointError(
            f"label space '{space.name}' has ids {beyond}, but the generator {where} knows 0..{config.label_nc - 1}"
        )
    try:
        config.check_size(*size, least=MIN_SIDE)
    except ValueError as error:
        raise CheckpointError(f"generator.size [{size[0]}, {size[1]}] with {where}: {error}") from None
