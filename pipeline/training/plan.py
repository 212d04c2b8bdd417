"""Plans a training run before its first step: checked data, architecture, and the number of steps."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from flowreel.pipeline.generator.checkpoint import NOT_ARCHITECTURE, read_checkpoint
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.storage import NotFound, Store, absolute_uri, delete_leftovers, open_store
from flowreel.pipeline.training import state
from flowreel.pipeline.training.architecture import generator_config
from flowreel.pipeline.training.data.reference_flow import open_method
from flowreel.pipeline.training.data.sampling import Draw, Sampling, draw_round
from flowreel.pipeline.training.data.sequences import TrainingSequence
from flowreel.pipeline.training.data.sources import TrainingSource, open_source
from flowreel.pipeline.training.objective.perceptual import open_perceptual
from flowreel.pipeline.training.schedule import Stage, last_epoch, stage
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.training import TrainSpec

SPEC_FILE = "train.json"


@dataclass(frozen=True)
class TrainPlan:
    """Everything that workers are given. Which clip is trained on when is a pure function of it."""

    spec: TrainSpec
    source: TrainingSource
    config: GeneratorConfig
    resumes_at: int | None  # step of the newest state, if there is one

    @property
    def output(self) -> Store:
        """Opens the run's storage."""
        return open_store(self.spec.output, self.spec.storage_options)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Gives the frames of each sequence that is trained on."""
        return tuple(len(sequence.frames) for sequence in self.source.trained)

    @property
    def shown(self) -> TrainingSequence:
        """Gives the sequence that samples and figures are of: one that is held out, else one that is trained on."""
        return (*self.source.held_out, *self.source.trained)[0]

    def stage(self, epoch: int) -> Stage:
        """Gives the settings of an epoch."""
        return stage(epoch, self.spec, max(self.lengths))

    @property
    def rounds(self) -> int:
        """Counts the rounds of an epoch; in each, every worker takes ``accumulate`` clips."""
        clips = self.spec.schedule.epoch_clips or len(self.lengths)
        return -(-clips // self._at_once)

    def draws(self, epoch: int, round_: int) -> list[Draw]:
        """Samples the clips of a round, of all workers one after the other; all have one length."""
        now = self.stage(epoch)
        sampling = Sampling.of(self.spec, now.clip_frames, now.load_frames)
        first = round_ * self._at_once
        return draw_round(self.lengths, sampling, self.spec.optimiser.seed, epoch, range(first, first + self._at_once))

    @cached_property
    def total_steps(self) -> int:
        """Counts the optimisation steps of the whole schedule."""
        epochs = range(1, last_epoch(self.spec.schedule) + 1)
        return sum(len(self.loads(e, self.draws(e, r)[0])) for e in epochs for r in range(self.rounds))

    def loads(self, epoch: int, draw: Draw) -> list[range]:
        """Gives the new frames of a sampled clip, chunk by chunk, as indices into the clip."""
        size = min(self.stage(epoch).load_frames, draw.generated)
        return [range(t, t + size) for t in range(draw.context, draw.frames - size + 1, size)]

    @property
    def finished(self) -> bool:
        """Tells whether all steps were taken."""
        return self.resumes_at == self.total_steps

    def summary(self) -> list[str]:
        """Tells people what will be trained on what, by whom, and which sequence samples show."""
        held = ", ".join(s.name for s in self.source.held_out)
        samples = f"held out: {held}" if held else f"none held out: samples show {self.shown.name}, which is trained on"
        width, height = self.spec.data.size
        lines = [
            f"{len(self.lengths):,} sequences, {sum(self.lengths):,} frames of {width}x{height} to train on; {samples}",
            f"{self.total_steps:,} steps in {last_epoch(self.spec.schedule):,} epochs",
        ]
        if self.resumes_at:
            lines.append(f"resuming from step {self.resumes_at:,} of {self.output.uri}")
        return lines

    @property
    def _at_once(self) -> int:
        return self.spec.execution.workers * self.spec.optimiser.accumulate


def prepare(spec: TrainSpec, progress: Callable[[int, int], None] | None = None) -> TrainPlan:
    """Checks everything that can be checked before the first step. Raises UsageError, SourceError, CheckpointError,
    StorageError; each names what is wrong. Workers run in other folders, so the plan's local paths are absolute."""
    spec = with_absolute_paths(spec)
    output = open_store(spec.output, spec.storage_options)
    output.check_writable()
    delete_leftovers(output)
    source = open_source(spec, progress)
    source.check()
    config = generator_config(spec, source.space)
    if spec.generator.init:
        _check_same(
            spec.generator.init,
            read_checkpoint(open_store(spec.generator.init, spec.storage_options)).config,
            config,
        )
    open_method(spec.data, spec.storage_options)
    open_perceptual(spec.losses, spec.storage_options)
    with suppress(NotFound):
        _check_unchanged(output, spec)
    return TrainPlan(spec, source, config, state.newest_step(output))


def with_absolute_paths(spec: TrainSpec) -> TrainSpec:
    """Gives the spec with all its local paths made absolute, from the folder that the command runs in."""
    groups: dict[str, object] = {"output": absolute_uri(spec.output)}
    if spec.dataset:
        groups["dataset"] = absolute_uri(spec.dataset)
    if spec.source:
        named = {"uri": absolute_uri(spec.source.uri)} if spec.source.uri else {}
        if spec.source.label_space not in BUILT_IN:
            named["label_space"] = absolute_uri(spec.source.label_space)
        groups["source"] = spec.source.model_copy(update=named)
    for group, field in (("generator", "init"), ("data", "flow_weights"), ("losses", "perceptual_weights")):
        if place := getattr(getattr(spec, group), field):
            groups[group] = getattr(spec, group).model_copy(update={field: absolute_uri(place)})
    return spec.model_copy(update=groups)


def record_spec(plan: TrainPlan) -> None:
    """Writes the spec beside the states that it belongs to."""
    plan.output.write(SPEC_FILE, plan.spec.model_dump_json(indent=2).encode())


def _check_unchanged(output: Store, spec: TrainSpec) -> None:
    """Raises UsageError if the run began with other networks; all else may change on the way."""
    before = json.loads(output.read(SPEC_FILE))
    for name in ("generator", "discriminators"):
        now = getattr(spec, name).model_dump(mode="json", exclude={"init", "description"})
        old = {field: before[name].get(field) for field in now}
        changed = [f"{name}.{field} was {old[field]}, is {now[field]}" for field in now if old[field] != now[field]]
        if changed:
            raise UsageError(
                f"{output.uri} holds a run with other networks: {'; '.join(changed)}\n"
                "  give another output, or the spec that it was started with"
            )


def _check_same(place: str, found: AnyConfig, wanted: GeneratorConfig) -> None:
    """Raises UsageError if a checkpoint has another architecture than the spec."""
    old, new = (c.model_dump(exclude=NOT_ARCHITECTURE) for c in (found, wanted))
    fields = [field for field in {**old, **new} if old.get(field) != new.get(field)]
    changed = [f"{field} is {old.get(field)}, but the spec makes it {new.get(field)}" for field in fields]
    if changed:
        raise UsageError(f"generator.init {place} has another architecture: {'; '.join(changed)}")
