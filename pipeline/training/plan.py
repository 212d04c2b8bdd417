"""Plans a training run before its first step: checked data, architecture, and the number of steps."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from flowreel.pipeline.generator.checkpoint import NOT_ARCHITECTURE, read_checkpoint
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.storage import NotFound, Store, absolute_uri, delete_leftovers, open_store
from flowreel.pipeline.training import state
from flowreel.pipeline.training.architecture import generator_config
from flowreel.pipeline.training.data.reference_flow import open_method
from flowreel.pipeline.training.data.sampling import Batch, Sample, Sampling, draw_round
from flowreel.pipeline.training.data.sequences import TrainingSequence
from flowreel.pipeline.training.data.sources import TrainingData, open_data
from flowreel.pipeline.training.objective.perceptual import open_frozen, open_perceptual
from flowreel.pipeline.training.rounds import Mix, Round, rounds_of
from flowreel.pipeline.training.schedule import Stage, last_epoch, stage
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.source import SourceSpec
from flowreel.schemas.training import TrainSpec

SPEC_FILE = "train.json"
AnySource = TypeVar("AnySource", bound=SourceSpec)


@dataclass(frozen=True)
class TrainPlan:
    """Everything that workers are given. Which clip is trained on when is a pure function of it."""

    spec: TrainSpec
    data: TrainingData
    config: AnyConfig
    resumes_at: int | None  # step of the newest state, if there is one

    @property
    def output(self) -> Store:
        """Opens the run's storage."""
        return open_store(self.spec.output, self.spec.storage_options)

    @cached_property
    def lengths(self) -> tuple[tuple[int, ...], ...]:
        """Gives the frames of each sequence that is trained on, source by source."""
        return tuple(tuple(len(s.frames) for s in source.trained) for source in self.data.sources)

    @property
    def shown(self) -> TrainingSequence:
        """Gives the sequence that samples and figures are of: one that is held out, else one that is trained on."""
        return (*self.data.held_out, *self.data.trained)[0]

    @cached_property
    def _longest(self) -> int:
        """Gives the frames of the longest clip that there can be; a camera may drive on over a still as long as clips
        are at first."""
        moved = self.spec.schedule.clip_frames + self.spec.generator.n_frames - 1
        return max(moved if s.still else len(s.frames) for s in self.data.trained)

    def stage(self, epoch: int) -> Stage:
        """Gives the settings of an epoch."""
        return stage(epoch, self.spec, self._longest)

    @property
    def rounds(self) -> int:
        """Counts the rounds of an epoch; in each, every worker takes ``accumulate`` clips."""
        clips = self.spec.schedule.epoch_clips or len(self.data.trained)
        return -(-clips // self._at_once)

    def round(self, epoch: int, number: int) -> Round:
        """Gives a round of an epoch, counted from 0."""
        return rounds_of(self._mix, epoch)[number]

    @cached_property
    def _mix(self) -> Mix:
        stills = tuple(all(length == 1 for length in lengths) for lengths in self.lengths)
        schedule, seed = self.spec.schedule, self.spec.optimiser.seed
        return Mix(self.data.weights, stills, self.rounds, self._at_once, schedule, seed)

    def samples(self, epoch: int, number: int) -> list[Sample]:
        """Samples the clips of a round, of all workers one after the other; all are of one source and have one
        length."""
        now, round_, each = self.stage(epoch), self.round(epoch, number), self.spec.schedule.stills
        sampling = Sampling.of(self.spec, now.clip_frames, now.load_frames)
        if round_.alone:
            sampling = sampling.from_nothing()
        draws = draw_round(self.lengths[round_.source], sampling, self.spec.optimiser.seed, epoch, round_.draws)
        before = sum(len(lengths) for lengths in self.lengths[: round_.source])
        draws = [replace(draw, sequence=draw.sequence + before) for draw in draws]
        return [Batch(tuple(draws[i : i + each])) for i in range(0, len(draws), each)] if round_.alone else [*draws]

    @cached_property
    def total_steps(self) -> int:
        """Counts the optimisation steps of the whole schedule."""
        epochs = range(1, last_epoch(self.spec.schedule) + 1)
        return sum(self._steps(e, r) for e in epochs for r in range(self.rounds))

    def loads(self, epoch: int, sample: Sample) -> list[range]:
        """Gives the new frames of a clip, chunk by chunk, as indices into the clip."""
        if isinstance(sample, Batch):
            return [range(len(sample.draws))]
        size = min(self.stage(epoch).load_frames, sample.generated)
        return [range(t, t + size) for t in range(sample.context, sample.frames - size + 1, size)]

    def _steps(self, epoch: int, number: int) -> int:
        return 1 if self.round(epoch, number).alone else len(self.loads(epoch, self.samples(epoch, number)[0]))

    @property
    def finished(self) -> bool:
        """Tells whether all steps were taken."""
        return self.resumes_at == self.total_steps

    def summary(self) -> list[str]:
        """Tells people what will be trained on what, by whom, and which sequence samples show."""
        held = ", ".join(s.name for s in self.data.held_out)
        samples = f"held out: {held}" if held else f"none held out: samples show {self.shown.name}, which is trained on"
        width, height = self.spec.data.size
        lines = [
            f"{len(self.data.trained):,} sequences, {sum(map(sum, self.lengths)):,} frames of {width}x{height} to train"
            f" on; {samples}",
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
    data = open_data(spec, progress)
    data.check()
    config = generator_config(spec, data.space)
    if spec.generator.init:
        _check_same(
            spec.generator.init,
            read_checkpoint(open_store(spec.generator.init, spec.storage_options)).config,
            config,
        )
    open_method(spec.data, spec.storage_options)
    open_perceptual(spec.losses, spec.storage_options)
    open_frozen(spec.losses, spec.storage_options)
    with suppress(NotFound):
        _check_unchanged(output, spec)
    return TrainPlan(spec, data, config, state.newest_step(output))


def with_absolute_paths(spec: TrainSpec) -> TrainSpec:
    """Gives the spec with all its local paths made absolute, from the folder that the command runs in."""
    groups: dict[str, object] = {"output": absolute_uri(spec.output)}
    if spec.dataset:
        groups["dataset"] = absolute_uri(spec.dataset)
    if spec.source:
        groups["source"] = _absolute(spec.source)
    groups["sources"] = tuple(_absolute(source) for source in spec.sources)
    losses = ("perceptual_weights", "segmentation_weights")
    for group, names in (("generator", ("init",)), ("data", ("flow_weights",)), ("losses", losses)):
        places = {name: place for name in names if (place := getattr(getattr(spec, group), name))}
        absolute = {name: absolute_uri(place) for name, place in places.items()}
        groups[group] = getattr(spec, group).model_copy(update=absolute)
    return spec.model_copy(update=groups)


def _absolute(source: AnySource) -> AnySource:
    named = {"uri": absolute_uri(source.uri)} if source.uri else {}
    if source.label_space not in BUILT_IN:
        named["label_space"] = absolute_uri(source.label_space)
    return source.model_copy(update=named)


def record_spec(plan: TrainPlan) -> None:
    """Writes the spec beside the states that it belongs to."""
    plan.output.write(SPEC_FILE, plan.spec.model_dump_json(indent=2).encode())


def _check_unchanged(output: Store, spec: TrainSpec) -> None:
    """Raises UsageError if the run began with other networks; all else may change on the way."""
    before = json.loads(output.read(SPEC_FILE))
    for name in ("generator", "discriminators"):
        now = getattr(spec, name).model_dump(mode="json", exclude={"init", "description"})
        defaults = type(getattr(spec, name))().model_dump(mode="json")  # of fields that are younger than the run
        old = {field: before[name].get(field, defaults[field]) for field in now}
        changed = [f"{name}.{field} was {old[field]}, is {now[field]}" for field in now if old[field] != now[field]]
        if changed:
            raise UsageError(
                f"{output.uri} holds a run with other networks: {'; '.join(changed)}\n"
                "  give another output, or the spec that it was started with"
            )


def _check_same(place: str, found: AnyConfig, wanted: AnyConfig) -> None:
    """Raises UsageError if a checkpoint has another architecture than the spec."""
    old, new = (c.model_dump(exclude=NOT_ARCHITECTURE) for c in (found, wanted))
    fields = [field for field in {**old, **new} if old.get(field) != new.get(field)]
    changed = [f"{field} is {old.get(field)}, but the spec makes it {new.get(field)}" for field in fields]
    if changed:
        raise UsageError(f"generator.init {place} has another architecture: {'; '.join(changed)}")
