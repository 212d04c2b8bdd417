"""Measures what edits do to a clip's class shares on maps of reduced size, as rendering will apply them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.edits import Maps, apply_edits
from flowreel.pipeline.planning.spans import Spans
from flowreel.pipeline.render.fetch import fetch_maps
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.edit import Edit, Insert
from flowreel.schemas.sequence import Frame

WIDTH = 256  # pixels at most: shares change by less than a hundredth
FRAMES = 900  # that are measured; edits are assumed to do the same to the rest in the mean

Vector = NDArray[np.float64]


@dataclass
class Stage:
    """Reads maps once each, and measures the summed class shares of a span's frames under edits."""

    job: RenderJob
    spans: Spans
    donor_frames: Callable[[Insert], Sequence[Frame]]
    classes: int
    skip: int  # first frames of a clip that are not published
    _maps: dict[int, Maps] = field(default_factory=dict)
    _donors: dict[tuple[str, int], Maps] = field(default_factory=dict)
    _room: int = FRAMES

    def __post_init__(self) -> None:
        width, height = self.job.settings.size
        if width > WIDTH:
            size = (WIDTH, max(1, round(height * WIDTH / width)))
            self.job = replace(self.job, settings=replace(self.job.settings, size=size))

    def has(self, span: int) -> bool:
        """Tells whether a span is measured: those that are asked for first are, as long as there is room."""
        if span in self._maps:
            return True
        frames = int(self.spans.frames_P[span])
        if self._maps and frames > self._room:
            return False
        self._room -= frames
        s, start = int(self.spans.sequence_P[span]), int(self.spans.start_P[span])
        self._maps[span] = self._read(self.spans.sequences.frames(s, start, start + frames))
        return True

    def shares(self, span: int, edits: Sequence[Edit]) -> Vector:
        """Measures class shares summed over the frames that the span publishes, (C,)."""
        donors = [self._donor(edit) for edit in edits if isinstance(edit, Insert)]
        label_THW, _ = apply_edits(*self._maps[span], edits, self.job.space, donors)
        shown = label_THW[self.skip :]
        counts = np.bincount(shown.ravel(), minlength=self.classes)
        return np.asarray(counts[: self.classes] / max(1, shown[0].size))

    def _donor(self, edit: Insert) -> Maps:
        key = (edit.from_, edit.first)
        if key not in self._donors:
            self._donors[key] = self._read(self.donor_frames(edit))
        return self._donors[key]

    def _read(self, frames: Sequence[Frame]) -> Maps:
        return fetch_maps(frames, self.job, instances=all(frame.instance for frame in frames))
