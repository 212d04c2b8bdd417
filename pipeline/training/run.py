"""The training loop: epochs of rounds of loads. Read this first, then ``objective.py`` and ``step.py``."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import torch

from flowreel.pipeline.generator.cpu_features import multiplies_bfloat16
from flowreel.pipeline.training import evaluation, state
from flowreel.pipeline.training.data.loader import open_loader
from flowreel.pipeline.training.data.reference_flow import flow_between
from flowreel.pipeline.training.data.sampling import Draw, whole
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.log import Log, Record
from flowreel.pipeline.training.objective.objective import ChunkOptions, Objective, start
from flowreel.pipeline.training.objective.perceptual import open_perceptual
from flowreel.pipeline.training.outlook import Outlook, check_learned, outlook
from flowreel.pipeline.training.plan import TrainPlan, record_spec
from flowreel.pipeline.training.schedule import Stage, last_epoch
from flowreel.pipeline.training.state import State
from flowreel.pipeline.training.step import add_gradients, not_finite
from flowreel.schemas.errors import DivergedError

SAMPLE_FRAMES, SAMPLE_FPS = 30, 12
Post = Callable[[Record], object]


class Run:
    """One worker's part of a training run."""

    def __init__(self, plan: TrainPlan, worker: Worker, state: State, post: Post) -> None:
        """``post`` is told every line of the log, by the worker that leads."""
        self.plan, self.worker, self.state, self.post = plan, worker, state, post
        self.loader = open_loader(plan.spec, plan.source)
        flow = partial(flow_between, method=self.loader.flows.method)
        perceptual = open_perceptual(plan.spec.losses, plan.spec.storage_options)
        perceptual = perceptual.to(worker.device) if perceptual else None
        self.objective = Objective(plan.spec.losses, plan.spec.discriminators, flow, perceptual)
        self.log = Log(plan.output, state.position.step)

    def outlook(self) -> Outlook:
        """Tells what is trained with and how long it will take, by a trial step where no step was timed before."""
        with self._precision():
            return outlook(self.plan, self.worker, self.state, self.objective, self.loader, self.log.records)

    def train(self) -> None:
        """From the state that it was given to the schedule's end."""
        if self.worker.leads:
            record_spec(self.plan)
        with closing(self.log):
            if self.state.position.step == 0:
                self._sample()
            for epoch in range(self.state.position.epoch, last_epoch(self.plan.spec.schedule) + 1):
                self._epoch(epoch)
            self._save()
            self._finish()

    def _epoch(self, number: int) -> None:
        """The rounds of an epoch that are still to be done."""
        now, position = self.plan.stage(number), self.state.position
        self.state.begin(now, self.plan.spec.optimiser)
        drawn = [self._mine(self.plan.draws(number, r)) for r in range(position.round, self.plan.rounds)]
        one_by_one = [draw for mine in drawn for draw in mine]
        with closing(self.loader.clips(self.plan.source.trained, one_by_one)) as loaded:
            for mine in drawn:
                self._round(now, mine, [next(loaded).to(self.worker.device) for _ in mine])
        position.epoch, position.round = number + 1, 0

    def _round(self, now: Stage, drawn: list[Draw], held: list[TrainingClip]) -> None:
        """Clips of one length, load by load, in step with the other workers'. States are saved between rounds only, so
        that nothing of a clip belongs to them."""
        networks, position = self.state.networks, self.state.position
        before = position.step
        how = ChunkOptions(now.adversarial, now.backprop_frames, now.finest_only)
        memories = [start(networks, clip) for clip in held]
        for frames in self.plan.loads(position.epoch, drawn[0]):
            for i, clip in enumerate(held):
                with self._precision():
                    losses, memories[i], _ = self.objective(networks, clip, frames, memories[i], how)
                add_gradients(losses, networks, share=1 / (len(held) * self.worker.count))
                if wrong := not_finite(losses, networks):
                    raise DivergedError(
                        f"{self._where(drawn[i], frames)}: {wrong}. Nothing was saved after the newest state; lower"
                        " optimiser.lr, or look at these frames, and run the same command to resume from that state."
                    )
                self.log.add(losses.terms)
            self.state.optimisers.step(self.worker.add_up)
            self.state.optimisers.clear()
            position.step += 1
            self.state.follow(self.plan.spec.optimiser.ema)
            if position.step % self.plan.spec.saving.log_every == 0:
                self._line(now, drawn[0])
        position.round += 1
        self._after_round(before, now, drawn[0])

    def _where(self, draw: Draw, frames: range) -> str:
        """Names the step and the frames of a clip, for errors."""
        sequence = self.plan.source.trained[draw.sequence]
        indices = draw.indices[frames.start : frames.stop]
        first, last = (sequence.frames[i].name for i in (indices[0], indices[-1]))
        return f"step {self.state.position.step + 1}, sequence {sequence.name}, frames {first} to {last}"

    def _after_round(self, before: int, now: Stage, draw: Draw) -> None:
        """What is due after so many steps: a sample, a state; both end an interval of the log."""
        saving, step = self.plan.spec.saving, self.state.position.step
        if before // saving.samples_every < step // saving.samples_every:
            self._sample()
        if before // saving.every < step // saving.every:
            self._line(now, draw)
            self._save()

    def _finish(self) -> None:
        """Notes the last figures. Raises DivergedError if they are worse than before the first step."""
        if not self.worker.leads:
            return
        shown = {record["step"] for record in self.log.records if evaluation.L1_NAMES & record.keys()}
        if self.state.position.step not in shown:
            self._sample()
        check_learned(self.log.records, self.plan)

    def _mine(self, drawn: list[Draw]) -> list[Draw]:
        """This worker's share of a round."""
        each = self.plan.spec.optimiser.accumulate
        return drawn[self.worker.rank * each : (self.worker.rank + 1) * each]

    def _line(self, now: Stage, draw: Draw) -> None:
        """A line of the log, of this worker's own clips."""
        if not self.worker.leads:
            return
        position = self.state.position
        more = {"epoch": position.epoch, "lr": now.lr_generator, "clip_frames": draw.generated}
        if record := self.log.line(position.step, more):
            self.post(record)

    def _save(self) -> None:
        """State and checkpoint, and the log that belongs to them."""
        if self.worker.leads:
            self.log.flush()
            state.save(self.plan.output, self.state, self.plan.spec.saving.keep)

    def _sample(self) -> None:
        """Notes figures and leaves a video of the sequence that samples show; only if its networks are finite."""
        if not self.worker.leads:
            return
        source, step, sequence = self.plan.source, self.state.position.step, self.plan.shown
        shown = whole(0, min(SAMPLE_FRAMES, len(sequence.frames)), self.plan.config.n_frames - 1)
        clip = self.loader.load(sequence, shown)
        empty = self.plan.spec.schedule.empty_start > 0
        figures, frames = evaluation.evaluate(self.state.average, clip, empty)
        kind = "held_out" if source.held_out else "trained_on"
        record = {"step": step, **{name.replace("shown", kind): value for name, value in figures.items()}}
        self.log.note(record)
        self.post(record)
        evaluation.save_sample(self.plan.output, step, clip, frames, source.space, SAMPLE_FPS)

    @contextmanager
    def _precision(self) -> Iterator[None]:
        """bfloat16 for what networks multiply, where the spec or the hardware says so; all else in float32."""
        asked = self.plan.spec.optimiser.precision
        kind = torch.device(self.worker.device).type
        reduced = asked == "bfloat16" or (asked == "auto" and (kind == "cuda" or multiplies_bfloat16()))
        with torch.autocast(kind, torch.bfloat16, enabled=reduced):
            yield
