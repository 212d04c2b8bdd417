"""What edits do to a clip's class shares: tried out on maps of reduced size, as rendering will do it."""

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
FRAMES = 900  # that are tried out; what edits do to more is taken to be the same in the mean

Vector = NDArray[np.float64]


@dataclass
class Stage:
    """Reads maps once each, and tells the summed class shares of a piece's frames under edits."""

    job: RenderJob
    pieces: Spans
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

    def has(self, piece: int) -> bool:
        """Whether a piece is tried out: the first ones that are asked for are, as far as there is room."""
        if piece in self._maps:
            return True
        frames = int(self.pieces.frames_P[piece])
        if self._maps and frames > self._room:
            return False
        self._room -= frames
        s, start = int(self.pieces.sequence_P[piece]), int(self.pieces.start_P[piece])
        self._maps[piece] = self._read(self.pieces.sequences.frames(s, start, start + frames))
        return True

    def shares(self, piece: int, edits: Sequence[Edit]) -> Vector:
        """(C,): summed over the frames that the piece publishes."""
        donors = [self._donor(edit) for edit in edits if isinstance(edit, Insert)]
        label_THW, _ = apply_edits(*self._maps[piece], edits, self.job.space, donors)
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
