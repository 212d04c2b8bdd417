"""A run's networks at its start: new, from a checkpoint, or as they were when it stopped."""

from copy import deepcopy

import torch

from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training import state as states
from flowreel.pipeline.training.objective.networks import Networks, build
from flowreel.pipeline.training.plan import TrainPlan
from flowreel.pipeline.training.state import Position, State
from flowreel.pipeline.training.step import optimisers


def open_state(plan: TrainPlan, device: str) -> State:
    """Opens the state on ``device``. All workers get the same: initial weights follow from the seed."""
    saved = states.newest(plan.output)
    position = saved["position"] if saved else Position()
    networks = _new_networks(plan).to(device)
    finest_only = plan.stage(position.epoch).finest_only
    average = deepcopy(networks.generator).requires_grad_(False)
    state = State(networks, average, optimisers(networks, plan.spec.optimiser, finest_only), finest_only)
    if saved:
        states.restore(state, saved, plan.output.uri)
    return state


def _new_networks(plan: TrainPlan) -> Networks:
    spec = plan.spec
    with torch.random.fork_rng():
        torch.manual_seed(spec.optimiser.seed)
        networks = build(plan.config, spec.discriminators)
    if spec.generator.init:
        store = open_store(spec.generator.init, spec.storage_options)
        first = load_generator(read_checkpoint(store), "cpu")
        networks.generator.load_state_dict(first.state_dict())
    return networks
