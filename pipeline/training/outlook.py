"""What is known of a run before its first step, how long it will take, and whether it got anywhere in the end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from flowreel.pipeline.training.data.loader import ClipLoader
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.evaluation import L1_NAMES
from flowreel.pipeline.training.log import Record
from flowreel.pipeline.training.objective.objective import ChunkOptions, Objective, start
from flowreel.pipeline.training.plan import TrainPlan
from flowreel.pipeline.training.state import State
from flowreel.pipeline.training.step import add_gradients
from flowreel.schemas.errors import DivergedError

TRIAL_STEPS = 20  # runs with fewer steps left are over as soon as they are timed
WORSE = 1.25  # times the L1 distance before the first step: more than that at the end is no noise
WORSE_TUNED = 2.0  # the same for a run that began with a trained generator


@dataclass(frozen=True)
class Outlook:
    """What a run trains with, and what it will take."""

    device: str  # for people, such as "CPU (2 threads)" or a GPU's name
    workers: int
    generator_parameters: int
    discriminator_parameters: int
    step: int  # steps that were taken before
    steps_left: int
    seconds_per_step: float | None  # measured by this run before, or in a trial; None: too few steps to predict

    @property
    def seconds_left(self) -> float | None:
        """Predicts the seconds to the schedule's end; later epochs may have longer or shorter steps."""
        return None if self.seconds_per_step is None else self.seconds_per_step * self.steps_left


def outlook(
    plan: TrainPlan, worker: Worker, state: State, objective: Objective, loader: ClipLoader, log: Sequence[Record]
) -> Outlook:
    """Describes a run that is about to begin or to resume. Changes neither weights nor statistics of ``state``."""
    left = plan.total_steps - state.position.step
    measured = [float(record["seconds_per_step"]) for record in log if "seconds_per_step" in record]
    seconds = measured[-1] if measured else None
    if seconds is None and left >= TRIAL_STEPS:
        seconds = _trial(plan, worker, state, objective, loader)
    networks = state.networks
    judges = sum(p.numel() for network in networks.critics() for p in network.parameters())
    made = sum(p.numel() for p in networks.generator.parameters())
    return Outlook(_device_name(worker.device), worker.count, made, judges, state.position.step, left, seconds)


def _trial(plan: TrainPlan, worker: Worker, state: State, objective: Objective, loader: ClipLoader) -> float:
    """Times losses and gradients of the next chunk, in seconds a step, and forgets them."""
    position, networks = state.position, state.networks
    sample, now = plan.samples(position.epoch, 0)[0], plan.stage(position.epoch)
    clip = loader.sampled(plan.data.trained, sample).to(worker.device)
    half = plan.round(position.epoch, 0).half
    options = ChunkOptions(now.adversarial, now.backprop_frames, now.finest_only, half)
    buffers = {name: value.clone() for name, value in networks.named_buffers()}
    began = time.monotonic()
    losses, _, _ = objective(networks, clip, plan.loads(position.epoch, sample)[0], start(networks, clip), options)
    add_gradients(losses, networks)
    float(losses.generator.detach())  # waits for the device
    took = time.monotonic() - began
    state.optimisers.clear()
    for name, value in networks.named_buffers():
        value.copy_(buffers[name])
    return took * plan.spec.optimiser.accumulate


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"CPU ({threads} thread{'s' * (threads != 1)})"


def check_learned(log: Sequence[Record], plan: TrainPlan) -> None:
    """Raises DivergedError if the last figures of the log are worse than those before the first step."""
    distances = [(name, float(r[name])) for r in log for name in sorted(L1_NAMES & r.keys())]
    if not distances:
        return
    (_, before), (name, after) = distances[0], distances[-1]
    if after <= before * (WORSE_TUNED if plan.spec.generator.init else WORSE):
        return
    raise DivergedError(
        f"training ended at {name} {after:.3g}, worse than {before:.3g} before its first step: it diverged. The"
        f" checkpoint in {plan.output.uri} holds these weights; do not render with it. log.jsonl and samples/ show when"
        " it went wrong; lower optimiser.lr and train into another output."
    )
