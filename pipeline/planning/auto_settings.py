"""Resolves what a spec leaves to `auto`: what decides clips as the version that is there has it, else by rules.

The same spec, checkpoint and version always give the same settings, whatever machine plans.
"""

from typing import Literal

from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.generator.cpu_features import multiplies_bfloat16
from flowreel.schemas.errors import UsageError
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec

GPU_BATCH_PIXELS = 8 * 512 * 256  # lock-step pixels that fill a GPU with the official networks, as a first rule


def resolve_settings(spec: Spec, checkpoint: Checkpoint, published: RenderSettings | None = None) -> RenderSettings:
    """Resolves device, batch, precision and size by a rule over device, network and size, never by measuring.

    ``published``: of the newest version, whose precision is kept: it is part of what clips are, and the processor of
    the machine that plans must not decide whether all of them are rendered again.
    """
    device: Literal["cpu", "cuda"] = "cuda" if spec.execution.num_gpus > 0 else "cpu"
    size = spec.generator.size or checkpoint.config.size
    if size is None:
        raise UsageError("generator.size: the checkpoint has no size of its own; write for example [512, 256]")
    # On CPUs a batch gained less than rounds of one benchmark differ by, and each clip more takes memory.
    fitting = 1 if device == "cpu" else max(1, GPU_BATCH_PIXELS // (size[0] * size[1]))
    batch = fitting if spec.generator.batch == "auto" else spec.generator.batch
    precision = spec.generator.precision
    if precision == "auto" and published:
        precision = published.precision
    elif precision == "auto":
        precision = "bfloat16" if device == "cuda" or multiplies_bfloat16() else "float32"
    return RenderSettings(device, batch, precision, size, checkpoint.digest)
