"""Renders a shard: shard -> data file and outcomes. The file to read first.

A shard goes through fetch, generate, encode, write. A clip that cannot be fetched, rendered or encoded fails alone;
its shard mates go on: every step gives, per clip, what it made of it or how the clip failed. What is stored is named
by the clips that it holds, so doing a shard twice is harmless.
"""

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import torch

from flowreel.pipeline.codec import thumbnail
from flowreel.pipeline.concurrency import background_pool
from flowreel.pipeline.dataset.data_file import EncodedClip, build, describe, stored
from flowreel.pipeline.dataset.runs.records import save_outcome
from flowreel.pipeline.generator.clip_data import ClipFrames
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import Engine
from flowreel.pipeline.identity import shard_id
from flowreel.pipeline.quality.gates import bounds_of, gate
from flowreel.pipeline.quality.label_agreement import label_agreement
from flowreel.pipeline.quality.measure import Agreement, measure
from flowreel.pipeline.quality.segmenters import open_segmenter
from flowreel.pipeline.render.encode import encode_clip
from flowreel.pipeline.render.fetch import ClipMaps, fetch_clip
from flowreel.pipeline.render.job import RenderJob, Tick
from flowreel.pipeline.render.lighting import in_light
from flowreel.pipeline.render.long_clips import ClipCheckpoints, render_long
from flowreel.pipeline.render.retry import with_retries
from flowreel.schemas.clip import Clip, Shard
from flowreel.schemas.edit import frame_stride
from flowreel.schemas.errors import DeviceLost
from flowreel.schemas.outcome import ClipOutcome, Failed, Rejected, Rendered, ShardOutcome

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class ShardRenderer:
    """Renders shards of one job with one generator. Several threads may render shards at once: they overlap fetching
    and encoding; as many as the device has lanes generate."""

    job: RenderJob
    plan_id: str
    engine: Engine
    tick: Tick | None = None
    background: Executor = field(default_factory=background_pool)
    device: threading.Semaphore = field(init=False)
    fitting: int = field(init=False)  # clips in lock-step that the device's memory holds, as far as is known

    def __post_init__(self) -> None:
        self.device = threading.Semaphore(self.job.lanes.count if self.engine.concurrent else 1)
        self.fitting = self.job.settings.batch

    def render(self, shard: Shard, worker: str = "") -> ShardOutcome:
        """Renders, stores and records a shard.

        Raises StorageError if the store keeps failing, DeviceLost if the device is: try again later, or elsewhere.
        """
        finished = self._finished(shard, worker)
        if finished:
            return finished
        clock, began = _Clock(), time.time()
        with clock.stage("fetch"):
            fetched = self._each(shard.clips, lambda clip: fetch_clip(clip, self.job))
        maps = _made(fetched)
        with self.device, clock.stage("generate"):
            try:
                generated = self._generated([c for c in shard.clips if c.clip_id in maps], maps)
            except torch.AcceleratorError as error:
                raise DeviceLost(str(error)) from error
        frames = _made(generated)
        with clock.stage("encode"):
            encoded = self._each(
                [c for c in shard.clips if c.clip_id in frames],
                lambda c: self._encoded(c, maps[c.clip_id], frames[c.clip_id]),
                self.background.map,
            )
        with clock.stage("write"):
            ended: dict[str, EncodedClip | Rejected | Failed] = {**_failed(fetched), **_failed(generated), **encoded}
            about = ShardOutcome(shard.shard_id, None, (), worker, clock.seconds, began)
            outcome = self._stored([ended[c.clip_id] for c in shard.clips], about)
            for clip in filter(self._is_long, shard.clips):
                self._pieces(clip).forget()
        return outcome

    def _finished(self, shard: Shard, worker: str) -> ShardOutcome | None:
        """Gives the outcome of a shard whose file is there: from an earlier run of another plan, or a lost record."""
        found = stored(self.job.dataset, shard.shard_id)
        if found is None:
            return None
        file, rows = found
        clips: list[ClipOutcome] = []
        for clip in shard.clips:
            of_clip = rows.filter(pc.equal(rows["clip_id"], clip.clip_id))
            if not len(of_clip) or not self._passes(of_clip):
                return None
            clips.append(Rendered(clip.clip_id, len(of_clip)))
        outcome = ShardOutcome(shard.shard_id, file, tuple(clips), worker)
        save_outcome(self.job.dataset, self.plan_id, outcome)
        return outcome

    def _passes(self, rows: pa.Table) -> bool:
        """Tells whether stored rows of a clip are within the spec's bounds, and were measured for all of them."""
        quality = self.job.spec.quality
        if not bounds_of(quality):
            return True
        by_older_release = rows["phash"].null_count > 0
        without_segmenter = quality.min_label_agreement is not None and rows["label_agreement"].null_count == len(rows)
        return not by_older_release and not without_segmenter and gate(rows.to_pydict(), quality) is None

    def _each(
        self,
        clips: Sequence[Clip],
        call: Callable[[Clip], T],
        each: Callable[[Callable[[Clip], T | Failed], Sequence[Clip]], Iterable[T | Failed]] = map,
    ) -> dict[str, T | Failed]:
        """Gives per clip id what ``call`` gives, or the clip's failure. ``each``: `map`, or that of threads."""
        most = self.job.spec.failure.max_attempts
        tried = each(lambda c: with_retries(c.clip_id, partial(call, c), most), clips)
        return dict(zip([c.clip_id for c in clips], tried, strict=True))

    def _generated(self, clips: list[Clip], maps: dict[str, ClipMaps]) -> dict[str, ClipFrames | Failed]:
        """Generates frames in lock-step batches; one that fails is rendered clip by clip, so that only the culprit is
        lost.

        One that the device has no memory for is halved, and so are all after it: then nothing was wrong with a clip.
        """
        spec = self.job.spec
        how = RenderOptions(spec.clips.lead_in, spec.output.flow)

        def together(group: Sequence[Clip]) -> list[ClipFrames]:
            return render_clips(self.engine, [maps[c.clip_id].conditioning for c in group], how, self.tick)

        done = self._each(
            [c for c in clips if self._is_long(c)],
            lambda c: render_long(self.engine, maps[c.clip_id].conditioning, how, self._pieces(c), self.tick),
        )
        left = [c for c in clips if not self._is_long(c)]
        while left:
            group, rest = left[: self.fitting], left[self.fitting :]
            try:
                done |= zip([c.clip_id for c in group], together(group), strict=True)
            except torch.AcceleratorError:
                raise
            except Exception as error:  # the clip that caused it says so again below, alone
                if isinstance(error, torch.OutOfMemoryError) and len(group) > 1:
                    self._halve(len(group))
                    continue
                done |= self._each(group, lambda clip: together([clip])[0])
            left = rest
        variant_of = {c.clip_id: spec.variants[c.variant] for c in clips}
        return {i: f if isinstance(f, Failed) else in_light(f, variant_of[i]) for i, f in done.items()}

    def _halve(self, tried: int) -> None:
        """Takes half as many clips into a batch from now on."""
        self.fitting = tried // 2
        log.warning("no memory for %d clips in lock-step: %d from now on", tried, self.fitting)
        torch.cuda.empty_cache()

    def _is_long(self, clip: Clip) -> bool:
        return len(clip.frames) > self.job.spec.execution.checkpoint_frames

    def _pieces(self, clip: Clip) -> ClipCheckpoints:
        return ClipCheckpoints(self.job.dataset, self.plan_id, clip.clip_id, self.job.spec.execution.checkpoint_frames)

    def _encoded(self, clip: Clip, maps: ClipMaps, frames: ClipFrames) -> EncodedClip | Rejected:
        """Measures a clip, and encodes it if no gate rejects it."""
        label_THW = maps.label_THW[frames.first :]
        fps = self.job.spec.source.fps / frame_stride(self.job.spec.variants[clip.variant].edits)
        quality = measure(frames.image_THW3, label_THW, fps, self._agreement)
        rejection = gate(quality, self.job.spec.quality)
        if rejection:
            picture = base64.b64encode(thumbnail(frames.image_THW3)).decode()
            return Rejected(clip.clip_id, rejection.reason, picture, kind=rejection.column)
        return encode_clip(clip, maps, frames, quality, self.job)

    @cached_property
    def _agreement(self) -> Agreement | None:
        segmenter = open_segmenter(self.job.spec, self.job.space, allow_code=self.job.allow_code)
        return partial(label_agreement, segmenter) if segmenter else None

    def _stored(self, ended: Sequence[EncodedClip | Rejected | Failed], about: ShardOutcome) -> ShardOutcome:
        """Stores the encoded clips. Record first, data file last: the data file is the mark that the shard is done.

        A file that is there already stays as it is: a version may name it, and its clips are the same, though perhaps
        rendered in batches of another size, which changes how results are rounded.
        """
        encoded = [e for e in ended if isinstance(e, EncodedClip)]
        name = shard_id(e.clip_id for e in encoded)
        there = stored(self.job.dataset, name) if encoded else None
        data = build(name, encoded) if encoded and not there else b""
        file = there[0] if there else describe(name, data) if encoded else None
        clips = tuple(Rendered(e.clip_id, len(e.rows)) if isinstance(e, EncodedClip) else e for e in ended)
        outcome = replace(about, file=file, clips=clips, ended=time.time())
        save_outcome(self.job.dataset, self.plan_id, outcome)
        if file and not there:
            self.job.dataset.write_checked(file.path, data)
        return outcome


def _made(results: Mapping[str, T | Failed]) -> dict[str, T]:
    """Keeps what a step made of clips, per clip id."""
    return {clip_id: result for clip_id, result in results.items() if not isinstance(result, Failed)}


def _failed(results: Mapping[str, T | Failed]) -> dict[str, Failed]:
    """Keeps the failures of a step, per clip id."""
    return {clip_id: result for clip_id, result in results.items() if isinstance(result, Failed)}


class _Clock:
    """Measures seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures what runs inside it."""
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 4)
