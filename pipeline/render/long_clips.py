"""Saves long clips segment by segment with the state that the next frame needs, so that a kill costs one segment.

A clip's identity decides its frames, so segments that another worker or run has left are as good as one's own.
"""

from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from flowreel.pipeline.dataset import layout
from flowreel.pipeline.dataset.own_files import is_own
from flowreel.pipeline.generator.clip_data import ClipFrames, Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, Segment, first_frame, joined, render_segments
from flowreel.pipeline.generator.engine import Engine
from flowreel.pipeline.generator.rollout import RolloutState
from flowreel.pipeline.storage import Store


def render_long(
    engine: Engine,
    clip: Conditioning,
    options: RenderOptions,
    saved: "ClipCheckpoints",
    tick: Callable[[int], None] | None = None,
) -> ClipFrames:
    """Renders the frames that `render_clips` gives of the clip alone, bit for bit, after those that are saved."""
    done = saved.load(first_frame(options, engine.config), engine.generator.device)
    last = done[-1] if done else None
    if last is None or last.stop < len(clip.label_THW):
        for segment in render_segments(engine, [clip], options, tick, saved.every, last):
            if segment.stop < len(clip.label_THW):
                saved.save(segment)
            done.append(segment)
    return joined(done)[0]


class ClipCheckpoints:
    """Saved segments of one clip in a run's records: ``runs/<plan_id>/pieces/<clip_id>/<start>.safetensors``."""

    def __init__(self, dataset: Store, plan_id: str, clip_id: str, every: int) -> None:
        """Names the folder of the clip's segments. ``every``: frames in a segment."""
        self._dataset, self._plan, self._clip, self.every = dataset, plan_id, clip_id, every
        self._folder = layout.SEGMENTS.format(plan=plan_id, clip=clip_id)

    def save(self, segment: Segment) -> None:
        """Saves one segment."""
        tensors = {f"history.{i}": part.contiguous().cpu() for i, part in enumerate(segment.state.history)}
        tensors |= {"image": torch.from_numpy(segment.image_BTHW3), "raw_only": torch.tensor(segment.state.raw_only)}
        if segment.flow_BTHW2 is not None:
            tensors["flow"] = torch.from_numpy(segment.flow_BTHW2)
        path = layout.SEGMENT.format(plan=self._plan, clip=self._clip, start=segment.start)
        self._dataset.write_checked(path, save(tensors))

    def load(self, start: int, device: torch.device) -> list[Segment]:
        """Loads saved segments from label frame ``start`` on, up to the first gap or damaged one."""
        found: list[Segment] = []
        for info in self._dataset.list(self._folder):
            try:
                tensors = load(self._dataset.read(info.path, info.size))
                history = [tensors[f"history.{i}"].to(device) for i in range(sum("history" in n for n in tensors))]
                state = RolloutState(tuple(history), bool(tensors["raw_only"]))
                flow = tensors["flow"].numpy() if "flow" in tensors else None
                segment = Segment(
                    int(info.path.rpartition("/")[2].split(".")[0]), tensors["image"].numpy(), flow, state
                )
            except (SafetensorError, KeyError, ValueError):
                break
            if segment.start != (found[-1].stop if found else start):
                break
            found.append(segment)
        return found

    def forget(self) -> None:
        """Deletes the segments, once the clip is in a data file."""
        self._dataset.delete(*(info.path for info in self._dataset.list(self._folder) if is_own(info.path)))
