"""The training loop: epochs of rounds of chunks. Read this first, then ``objective.py`` and ``step.py``."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import torch

from flowreel.pipeline.generator.cpu_features import multiplies_bfloat16
from flowreel.pipeline.training import evaluation, state
from flowreel.pipeline.training.data.loader import open_loader
from flowreel.pipeline.training.data.reference_flow import flow_between
from flowreel.pipeline.training.data.sampling import Batch, Sample, drive, whole
from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.data_parallel import Worker
from flowreel.pipeline.training.log import Log, Record
from flowreel.pipeline.training.objective.objective import ChunkOptions, Objective, start
from flowreel.pipeline.training.objective.perceptual import open_frozen, open_perceptual
from flowreel.pipeline.training.objective.segmentation import SegmentationLoss
from flowreel.pipeline.training.outlook import Outlook, check_learned, outlook
from flowreel.pipeline.training.plan import TrainPlan, record_spec
from flowreel.pipeline.training.schedule import Stage, last_epoch
from flowreel.pipeline.training.state import State
from flowreel.pipeline.training.step import add_gradients, not_finite
from flowreel.schemas.errors import DivergedError

SAMPLE_FRAMES, SAMPLE_FPS = 30, 12
DRIVE_FRAMES = 8  # of samples, where there are only stills
Post = Callable[[Record], object]


class Run:
    """One worker's part of a training run."""

    def __init__(self, plan: TrainPlan, worker: Worker, state: State, post: Post) -> None:
        """Opens what the run needs. ``post`` is called with every line of the log, by the worker that leads."""
        self.plan, self.worker, self.state, self.post = plan, worker, state, post
        self.loader = open_loader(plan.spec, plan.data)
        flow = partial(flow_between, method=self.loader.flows[0].method)
        losses, options = plan.spec.losses, plan.spec.storage_options
        perceptual, frozen = open_perceptual(losses, options), open_frozen(losses, options)
        perceptual = perceptual.to(worker.device) if perceptual else None
        segmentation = SegmentationLoss(frozen.to(worker.device), losses) if frozen else None
        self.objective = Objective(losses, plan.spec.discriminators, flow, perceptual, segmentation=segmentation)
        self.log = Log(plan.output, state.position.step)

    def outlook(self) -> Outlook:
        """Tells what is trained with and how long it will take, by a trial step where no step was timed before."""
        with self._precision():
            return outlook(self.plan, self.worker, self.state, self.objective, self.loader, self.log.records)

    def train(self) -> None:
        """Trains from the given state to the schedule's end."""
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
        """Trains the rounds of an epoch that are left."""
        now, position = self.plan.stage(number), self.state.position
        self.state.begin(now, self.plan.spec.optimiser)
        sampled = [self._mine(self.plan.samples(number, r)) for r in range(position.round, self.plan.rounds)]
        one_by_one = [sample for mine in sampled for sample in mine]
        with closing(self.loader.clips(self.plan.data.trained, one_by_one)) as loaded:
            for mine in sampled:
                self._round(now, mine, [next(loaded).to(self.worker.device) for _ in mine])
        position.epoch, position.round = number + 1, 0

    def _round(self, now: Stage, sampled: list[Sample], clips: list[TrainingClip]) -> None:
        """Trains on clips of one length, chunk by chunk, in step with the other workers'. States are saved between
        rounds only, so that nothing of a clip belongs to them."""
        networks, position = self.state.networks, self.state.position
        before = position.step
        half = self.plan.round(position.epoch, position.round).half
        memories = [start(networks, clip) for clip in clips]
        for frames in self.plan.loads(position.epoch, sampled[0]):
            perceptual = position.step % self.plan.spec.losses.perceptual_every == 0
            options = ChunkOptions(now.adversarial, now.backprop_frames, now.finest_only, half, perceptual)
            for i, clip in enumerate(clips):
                with self._precision():
                    losses, memories[i], _ = self.objective(networks, clip, frames, memories[i], options)
                add_gradients(losses, networks, share=1 / (len(clips) * self.worker.count))
                if wrong := not_finite(losses, networks):
                    raise DivergedError(
                        f"{self._where(sampled[i], frames)}: {wrong}. Nothing was saved after the newest state; lower"
                        " optimiser.lr, or look at these frames, and run the same command to resume from that state."
                    )
                self.log.add(losses.terms)
            self.state.optimisers.step(self.worker.add_up)
            self.state.optimisers.clear()
            position.step += 1
            self.state.follow(self.plan.spec.optimiser.ema)
            if position.step % self.plan.spec.saving.log_every == 0:
                self._line(now, sampled[0])
        position.round += 1
        self._after_round(before, now, sampled[0])

    def _where(self, sample: Sample, frames: range) -> str:
        """Names the step and the frames of a clip, for errors."""
        step, trained = f"step {self.state.position.step + 1}", self.plan.data.trained
        if isinstance(sample, Batch):
            shown = (f"{(s := trained[d.sequence]).name} {s.frames[d.indices[-1]].name}" for d in sample.draws)
            return f"{step}, frames {', '.join(shown)}"
        sequence = trained[sample.sequence]
        indices = sample.indices[frames.start : frames.stop]
        first, last = (sequence.frames[i].name for i in (indices[0], indices[-1]))
        return f"{step}, sequence {sequence.name}, frames {first} to {last}"

    def _after_round(self, before: int, now: Stage, sample: Sample) -> None:
        """Saves a sample and a state if they are due; both end an interval of the log."""
        saving, step = self.plan.spec.saving, self.state.position.step
        if before // saving.samples_every < step // saving.samples_every:
            self._sample()
        if before // saving.every < step // saving.every:
            self._line(now, sample)
            self._save()

    def _finish(self) -> None:
        """Notes the last figures. Raises DivergedError if they are worse than before the first step."""
        if not self.worker.leads:
            return
        shown = {record["step"] for record in self.log.records if evaluation.L1_NAMES & record.keys()}
        if self.state.position.step not in shown:
            self._sample()
        check_learned(self.log.records, self.plan)

    def _mine(self, sampled: list[Sample]) -> list[Sample]:
        """Gives this worker's share of a round."""
        each = self.plan.spec.optimiser.accumulate
        return sampled[self.worker.rank * each : (self.worker.rank + 1) * each]

    def _line(self, now: Stage, sample: Sample) -> None:
        """Writes a line of the log, of this worker's own clips."""
        if not self.worker.leads:
            return
        position = self.state.position
        more = {"epoch": position.epoch, "lr": now.lr_generator, "clip_frames": sample.generated}
        if record := self.log.line(position.step, more):
            self.post(record)

    def _save(self) -> None:
        """Writes state and checkpoint, and the log that belongs to them."""
        if self.worker.leads:
            self.log.flush()
            state.save(self.plan.output, self.state, self.plan.spec.saving.keep)

    def _sample(self) -> None:
        """Writes figures and a video of the sequence that samples show."""
        if not self.worker.leads:
            return
        data, step, sequence = self.plan.data, self.state.position.step, self.plan.shown
        context = self.plan.config.n_frames - 1
        shown = whole(0, min(SAMPLE_FRAMES, len(sequence.frames)), context)
        clip = self.loader.load(sequence, drive(DRIVE_FRAMES, context) if sequence.still else shown)
        empty = self.plan.spec.schedule.empty_start > 0
        figures, frames = evaluation.evaluate(self.state.average, clip, empty)
        kind = "held_out" if data.held_out else "trained_on"
        record = {"step": step, **{name.replace("shown", kind): value for name, value in figures.items()}}
        self.log.note(record)
        self.post(record)
        evaluation.save_sample(self.plan.output, step, clip, frames, data.space, SAMPLE_FPS)

    @contextmanager
    def _precision(self) -> Iterator[None]:
        """Multiplies in bfloat16 where the spec or the hardware says so; all else is in float32."""
        asked = self.plan.spec.optimiser.precision
        kind = torch.device(self.worker.device).type
        reduced = asked == "bfloat16" or (asked == "auto" and (kind == "cuda" or multiplies_bfloat16()))
        with torch.autocast(kind, torch.bfloat16, enabled=reduced):
            yield
