"""The function that Ray Train runs in each of its workers."""

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
    """Trains to the end of the schedule, from the newest saved state.

    ``config``: `plan`, the `TrainPlan`, and `news`, the handle of the actor that takes reports. Raises FlowreelError
    for what training again would not help; the actor is given it, too.
    """
    plan: TrainPlan = config["plan"]
    news: Any = config["news"]
    news.placed.remote()
    context = ray.train.get_context()
    torch.set_num_threads(plan.spec.execution.num_cpus)
    device = str(ray.train.torch.get_device())
    worker = Worker(context.get_world_rank(), context.get_world_size(), device)
    try:
        state = open_state(plan, device)
        run = Run(plan, worker, state, news.post.remote)
        if worker.leads:
            news.started.remote(run.outlook())
        run.train()
    except FlowreelError as error:
        ray.get(news.fail.remote(error))
        raise
