"""The state that a run needs to resume exactly where it stopped: ``state/<step>.pt``, whole or absent."""

import io
import pickle
import re
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from flowreel.pipeline.generator.families import AnyGenerator
from flowreel.pipeline.generator.loading import save_checkpoint
from flowreel.pipeline.storage import Store
from flowreel.pipeline.training.objective.networks import Networks
from flowreel.pipeline.training.schedule import Stage
from flowreel.pipeline.training.step import Optimisers
from flowreel.schemas.errors import CheckpointError, DivergedError
from flowreel.schemas.training import OptimiserSpec

FOLDER = "state"


@dataclass
class Position:
    """The progress of a run. Which clips come next follows from it and the seed alone: no random generator has a
    state."""

    epoch: int = 1
    round: int = 0  # rounds of the epoch that are done; a round is ``accumulate`` clips per worker
    step: int = 0  # optimisation steps taken


@dataclass
class State:
    """Everything that training changes."""

    networks: Networks
    average: AnyGenerator  # of the generator's weights over time: what is rendered with
    optimisers: Optimisers
    finest_only: bool  # the generator's optimiser holds the finest scale alone
    position: Position = field(default_factory=Position)

    def begin(self, now: Stage, spec: OptimiserSpec) -> None:
        """Begins an epoch: sets its learning rates, and makes a new optimiser where all scales begin to learn."""
        if self.finest_only and not now.finest_only:
            self.optimisers = self.optimisers.with_all_scales(self.networks, spec, now.lr_generator)
        self.finest_only = now.finest_only
        for optimiser, lr in ((self.optimisers.generator, now.lr_generator), (self.optimisers.image, now.lr_image)):
            for group in optimiser.param_groups:
                group["lr"] = lr

    def follow(self, decay: float) -> None:
        """Moves the average towards the generator; faster at first, when there is little to average."""
        keep = min(decay, (1 + self.position.step) / (10 + self.position.step))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.networks.generator.parameters(), strict=True)
            for mean, new in pairs:
                mean.lerp_(new, 1 - keep)


def save(store: Store, state: State, keep: int) -> None:
    """Writes the state, then the checkpoint directory at the store's root, then drops states beyond ``keep``.

    Raises DivergedError, before anything is written, if a weight is not finite.
    """
    for part in (state.networks, state.average):
        wrong = [name for name, value in part.named_parameters() if not value.isfinite().all()]
        if wrong:
            raise DivergedError(
                f"step {state.position.step}: weights are not finite ({', '.join(wrong[:3])}), so they are not saved;"
                f" the newest state in {store.uri} is kept. Lower optimiser.lr and run the same command to resume from"
                " it."
            )
    sink = io.BytesIO()
    saved = {
        "networks": state.networks.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in state.optimisers.all()],
        "position": asdict(state.position),
    }
    torch.save(saved, sink)
    store.write(_name(state.position.step), sink.getvalue())
    save_checkpoint(store, state.average, dtype=torch.bfloat16)
    store.delete(*(_name(step) for step in _steps(store)[:-keep]))


def newest_step(store: Store) -> int | None:
    """Gives the step of the newest state; None if there is none."""
    return max(_steps(store), default=None)


def newest(store: Store) -> dict[str, Any] | None:
    """Loads what ``restore`` takes; None if there is none. Raises CheckpointError for a file that is not a state."""
    step = newest_step(store)
    if step is None:
        return None
    name = _name(step)
    try:
        saved = torch.load(io.BytesIO(store.read(name)), map_location="cpu", weights_only=True)
        saved["position"] = Position(**saved["position"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{store.url(name)} is not a state of a training run: {str(error)[:200]}; delete it to resume from an older"
            " one"
        ) from None
    return saved


def restore(state: State, saved: dict[str, Any], place: str) -> None:
    """Restores a state. Raises CheckpointError if it was saved from other networks."""
    try:
        state.networks.load_state_dict(saved["networks"], strict=True)
        state.average.load_state_dict(saved["average"], strict=True)
        for optimiser, moments in zip(state.optimisers.all(), saved["optimisers"], strict=True):
            optimiser.load_state_dict(moments)
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"the newest state in {place} does not fit this spec: {str(error)[:300]}") from None
    state.position = saved["position"]


def _name(step: int) -> str:
    return f"{FOLDER}/{step:09d}.pt"


def _steps(store: Store) -> list[int]:
    found = [re.fullmatch(rf"{FOLDER}/(\d+)\.pt", info.path) for info in store.list(FOLDER)]
    return sorted(int(match[1]) for match in found if match)
