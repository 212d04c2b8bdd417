"""Predicts how much memory a run takes, from its plan. Pure: constants, and what spec and checkpoint say.

The constants for CPUs, JPEG and the driver are fitted to renders of three small networks, and
`benchmarks.memory_prediction` compares them with real runs. Those for GPUs, flow and other codecs are estimates.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from flowreel.pipeline.generator.checkpoint import Checkpoint
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.image_files import COPIES, DECODING
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.render.fetch import DECODERS
from flowreel.pipeline.render.job import RenderJob
from flowreel.pipeline.sources.catalog import READERS
from flowreel.schemas.plan import Plan, RenderSettings
from flowreel.schemas.sequence import Sequences
from flowreel.schemas.shards import Shards

MB = 10**6
# Resident, with Ray's own part of a process.
ACTOR_LIBRARIES = 690 * MB  # PyTorch, numba, OpenCV, pyarrow, and compiled loops
DRIVER_LIBRARIES = 170 * MB  # no PyTorch
# Per weight while a generator is loaded, and from then on. The fast path of CPUs keeps them transformed to 6x6 tiles.
LOADING = {"float32": 27, "bfloat16": 13, "float16": 13}
LOADED = {"float32": 20, "bfloat16": 10, "float16": 10}
ON_DEVICE = 4
# Live feature maps of full size, as multiples of the finest scale's base width, in values of 4 bytes.
LIVE_MAPS = 42
MORE_LANES = 0.75  # of the maps of one lane, for each beyond the first: they seldom are at their peak together
# Encoding a frame: JPEG or WebP, and lossless PNG, in bytes a pixel; labels and instances together.
IMAGE_BYTES = {"jpeg": 0.2, "webp": 0.15, "png": 1.5}
ID_BYTES, FLOW_BYTES = 0.1, 3.0
FILE_COPIES = 3  # rows, their table, the file
PUBLISHING = 150 * MB  # rows in flight


@dataclass(frozen=True)
class Memory:
    """Predicted resident memory in bytes."""

    actor: int  # at its peak, with all its shards in flight
    shard: int  # what each shard in flight adds to it
    device: int  # of a GPU, that the networks and a batch take; 0 on CPUs
    driver: int


def memory(prepared: Prepared) -> Memory:
    """Predicts the memory of a run of this plan."""
    job, plan = prepared.job, prepared.plan
    weights, batch = _weights(job.checkpoint), batch_bytes(job.checkpoint.config, job.settings)
    shard, precision = shard_bytes(job, plan.shards), job.settings.precision
    in_flight, lanes = min(job.lanes.in_flight, len(plan.shards)), max(1, min(job.lanes.count, len(plan.shards)))
    if job.settings.device == "cuda":
        loading, working, device = 2 * ON_DEVICE * weights, in_flight * shard, ON_DEVICE * weights + batch
    else:
        loading, device = weights * LOADING[precision], 0
        working = weights * LOADED[precision] + int((1 + MORE_LANES * (lanes - 1)) * batch) + in_flight * shard
    decoding = decoding_bytes(job, plan.shards.sequences, DECODERS * in_flight)
    return Memory(ACTOR_LIBRARIES + max(loading, working + decoding), shard, device, driver_bytes(job, plan))


def _weights(checkpoint: Checkpoint) -> int:
    """Counts the weights of the generator."""
    return sum(map(prod, checkpoint.shapes.values()))


def batch_bytes(config: AnyConfig, settings: RenderSettings) -> int:
    """Predicts the bytes of feature maps of the clips that are rendered in lock-step."""
    width = config.width(config.n_scales - 1)
    return settings.batch * prod(settings.size) * width * 4 * LIVE_MAPS


def shard_bytes(job: RenderJob, shards: Shards) -> int:
    """Predicts the bytes of the plan's largest shard: maps from when it is fetched, frames from when they are
    rendered, the file at the end; averaged over the shards in flight, of which one is at each step."""
    if not len(shards):
        return 0
    frames = int(np.add.reduceat(shards.frames_C, shards.first_M1[:-1]).max())
    output, pixels, most = job.spec.output, prod(job.settings.size), job.lanes.in_flight
    maps = (
        (1 if max(job.space.ids) < 256 else 2) + 2 * job.spec.source.has_instances + job.checkpoint.config.use_instance
    )
    images = 3 + 8 * output.flow
    encoded = FILE_COPIES * (IMAGE_BYTES[output.image_codec] + ID_BYTES + FLOW_BYTES * output.flow)
    return int(frames * pixels * (maps + (images * (most - 1) + encoded) / most))


def decoding_bytes(job: RenderJob, sequences: Sequences, threads: int) -> int:
    """Predicts the bytes that ``threads`` threads take to decode the source's largest maps, which may be many times as
    large as what is rendered. Plans do not say how deep maps are stored: 16 bits are assumed."""
    if not len(sequences) or job.source is None:
        return 0
    return DECODING.peak(int(sequences.size_S2.astype(np.int64).prod(axis=1).max()) * 2 * COPIES, threads)


def driver_bytes(job: RenderJob, plan: Plan) -> int:
    """Predicts the driver's bytes: it decodes the maps that are new, then holds the plan in columns, and of a finished
    shard only its file's size and hash."""
    shards = plan.shards
    frames = shards.sequences.frame_count * (50 + 32 * (shards.sequences.instance_N32 is not None))
    clips = 32 * plan.clip_count + 16 * len(plan.reused) + 100 * (plan.clip_count + len(plan.reused))
    decoding = decoding_bytes(job, shards.sequences, READERS)
    return DRIVER_LIBRARIES + max(decoding, PUBLISHING + frames + clips + 40 * len(shards))
