"""What runs in each of Ray Train's workers."""

from typing import Any

import ray
import ray.train.torch
import torch

from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.initial_state import open_state
from flowreel.pipeline.training.plan import TrainPlan
from flowreel.pipeline.training.run import Run
from flowreel.schemas.errors import FlowreelError


def train_worker(config: dict[str, Any]) -> None:
    """Trains until the schedule's end, from the newest state that there is."""
    plan: TrainPlan = config["plan"]
    bulletin: Any = config["bulletin"]
    context = ray.train.get_context()
    torch.set_num_threads(plan.spec.execution.num_cpus)
    device = str(ray.train.torch.get_device())
    worker = Worker(context.get_world_rank(), context.get_world_size(), device)
    try:
        state = open_state(plan, device)
        run = Run(plan, worker, state, bulletin.post.remote)
        if worker.leads:
            bulletin.started.remote(run.outlook())
        run.train()
    except FlowreelError as error:
        ray.get(bulletin.fail.remote(error))
        raise
