"""What an actor renders with. PyTorch is imported where the generator is loaded: drivers, and actors of simulations, do
without it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from flowreel.pipeline.render.job import RenderJob, Tick
from flowreel.schemas.clip import Shard
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.plan import RenderSettings

if TYPE_CHECKING:
    from flowreel.pipeline.generator.checkpoint import Checkpoint
    from flowreel.pipeline.generator.engine import Engine

EngineLoader = Callable[["Checkpoint", RenderSettings], "Engine"]


class Renderer(Protocol):
    """Renders shards; safe to be called by several threads at once."""

    def render(self, shard: Shard, worker: str) -> ShardOutcome:
        """Renders a shard. ``worker``: the name that its outcome carries."""


RendererFactory = Callable[[RenderJob, str, Tick], Renderer]  # given the plan's id


def open_renderer(job: RenderJob, plan_id: str, tick: Tick, load: EngineLoader | None = None) -> Renderer:
    """Loads the generator and gives a renderer. ``load``: loads it in place of `load_engine`."""
    from flowreel.pipeline.generator.engine import load_engine
    from flowreel.pipeline.render.device import set_up_device, use_threads
    from flowreel.pipeline.render.shard import ShardRenderer

    set_up_device(job.spec.execution.num_cpus, job.spec.execution.num_gpus)
    engine = (load or load_engine)(job.checkpoint, job.settings)  # with all threads
    use_threads(job.lanes.threads if engine.concurrent else job.spec.execution.num_cpus)
    return ShardRenderer(job, plan_id, engine, tick)
