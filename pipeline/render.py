"""Shard -> data file and outcomes. The file to read first.

A shard goes through fetch, generate, encode, write. A clip that cannot be fetched, rendered or encoded fails alone;
its shard mates go on. What is stored is named by the clips that it holds, so doing a shard twice is harmless.
"""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow.compute as pc

from pipeline.clip_source import ClipMaps, fetch_clip
from pipeline.data_file import EncodedClip, build, describe, stored
from pipeline.encode import encode_clip
from pipeline.generator.clips import ClipFrames, How, render_clips
from pipeline.generator.networks import VideoGenerator
from pipeline.identity import shard_id
from pipeline.job import RenderJob
from pipeline.quality import gate, warp_errors
from pipeline.runs import save_outcome
from pipeline.storage_errors import Unavailable
from schemas.errors import FlowreelError
from schemas.outcome import ClipOutcome, Failed, Rejected, Rendered, ShardOutcome
from schemas.plan import Clip, Shard

Tick = Callable[[int], None]  # told of n more frames rendered


@dataclass
class ShardRenderer:
    """One generator and the job that it works for. Several threads may render shards at once: they overlap fetching
    and encoding, and take turns on the device."""

    job: RenderJob
    plan_id: str
    generator: VideoGenerator
    tick: Tick | None = None
    device: threading.Lock = field(default_factory=threading.Lock)

    def render(self, shard: Shard, worker: str = "") -> ShardOutcome:
        """Renders, stores and records a shard. Raises StorageError if the store keeps failing: try again later."""
        finished = self._finished(shard, worker)
        if finished:
            return finished
        lost: dict[str, ClipOutcome] = {}
        clock = _Clock()
        with clock.stage("fetch"):
            maps = dict(self._fetched(shard.clips, lost))
        with self.device, clock.stage("generate"):
            frames = self._generated([c for c in shard.clips if c.clip_id in maps], maps, lost)
        with clock.stage("encode"):
            encoded = [e for c in shard.clips if c.clip_id in frames and (e := self._encoded(c, maps, frames, lost))]
        with clock.stage("write"):
            return self._stored(shard, encoded, lost, worker, clock.seconds)

    def _finished(self, shard: Shard, worker: str) -> ShardOutcome | None:
        """The outcome of a shard whose file is there already: from an earlier run of another plan, or a lost record."""
        found = stored(self.job.dataset, shard.shard_id)
        if found is None:
            return None
        file, rows = found
        clips: list[ClipOutcome] = []
        for clip in shard.clips:
            errors = rows.filter(pc.equal(rows["clip_id"], clip.clip_id))["warp_error"].to_pylist()
            if not errors or gate(errors, self.job.spec.quality):
                return None
            clips.append(Rendered(clip.clip_id, len(errors)))
        outcome = ShardOutcome(shard.shard_id, file, tuple(clips), worker)
        save_outcome(self.job.dataset, self.plan_id, outcome)
        return outcome

    def _fetched(self, clips: Sequence[Clip], lost: dict[str, ClipOutcome]) -> Iterator[tuple[str, ClipMaps]]:
        for clip in clips:
            with _alone(clip, lost):
                yield clip.clip_id, fetch_clip(clip, self.job)

    def _generated(
        self, clips: list[Clip], maps: dict[str, ClipMaps], lost: dict[str, ClipOutcome]
    ) -> dict[str, ClipFrames]:
        """Lock-step batches; one that fails is rendered clip by clip, so that only the culprit is lost."""
        spec, batch = self.job.spec, self.job.settings.batch
        how = How(self.job.settings.precision, spec.clips.lead_in, spec.output.flow)
        done: dict[str, ClipFrames] = {}
        groups = [clips[i : i + batch] for i in range(0, len(clips), batch)]
        while groups:
            group = groups.pop(0)
            try:
                frames = render_clips(self.generator, [maps[c.clip_id].conditioning for c in group], how, self.tick)
            except Exception as error:
                if len(group) > 1:
                    groups = [[clip] for clip in group] + groups
                else:
                    lost[group[0].clip_id] = _failed(group[0], error)
            else:
                done.update(zip([c.clip_id for c in group], frames, strict=True))
        return done

    def _encoded(
        self, clip: Clip, maps: dict[str, ClipMaps], frames: dict[str, ClipFrames], lost: dict[str, ClipOutcome]
    ) -> EncodedClip | None:
        with _alone(clip, lost):
            errors = warp_errors(frames[clip.clip_id].image_THW3)
            reason = gate(errors, self.job.spec.quality)
            if reason is None:
                return encode_clip(clip, maps[clip.clip_id], frames[clip.clip_id], errors, self.job)
            lost[clip.clip_id] = Rejected(clip.clip_id, reason)
        return None

    def _stored(
        self,
        shard: Shard,
        encoded: list[EncodedClip],
        lost: dict[str, ClipOutcome],
        worker: str,
        seconds: dict[str, float],
    ) -> ShardOutcome:
        """Record first, data file last: the data file is the mark that the shard is done.

        A file that is there already stays as it is: a version may name it, and its clips are the same, though perhaps
        rendered in batches of another size, which changes how results are rounded.
        """
        name = shard_id(e.clip_id for e in encoded)
        there = stored(self.job.dataset, name) if encoded else None
        data = build(name, encoded) if encoded and not there else b""
        file = there[0] if there else describe(name, data) if encoded else None
        rendered = {e.clip_id: Rendered(e.clip_id, len(e.rows)) for e in encoded}
        clips = tuple(rendered.get(c.clip_id) or lost[c.clip_id] for c in shard.clips)
        outcome = ShardOutcome(shard.shard_id, file, clips, worker, seconds)
        save_outcome(self.job.dataset, self.plan_id, outcome)
        if file and not there:
            self.job.dataset.write(file.path, data)
        return outcome


@contextmanager
def _alone(clip: Clip, lost: dict[str, ClipOutcome]) -> Iterator[None]:
    """Whatever goes wrong with this clip is this clip's failure; a store that is down is nobody's."""
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        lost[clip.clip_id] = _failed(clip, error)


def _failed(clip: Clip, error: Exception) -> Failed:
    known = isinstance(error, FlowreelError)
    reason = str(error) if known else f"{type(error).__name__}: {error}"
    return Failed(clip.clip_id, reason, "" if known else traceback.format_exc())


class _Clock:
    """Seconds per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 4)
