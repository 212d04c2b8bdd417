"""Published clips as PyTorch datasets: windows of frames, decoded to tensors of whole numbers.

A sample is a dict: `image` uint8 (T, H, W, 3) RGB; `label` (T, H, W), uint8, or int32 where ids need 16 bits;
`instance` int32 (T, H, W); `flow` float32 (T, H, W, 2), backward t -> t-1 in pixels, zero on a clip's first frame;
`clip_id`, `sequence_id`: str; `frame_index`: int64 (T).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa
import torch
import torch.utils.data
from numpy.typing import NDArray

from flowreel.pipeline.reader import windows
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.pipeline.reader.decode import decode_column, decode_flows
from flowreel.pipeline.reader.windows import Windows
from flowreel.schemas.errors import UsageError
from flowreel.schemas.manifest import MEDIA_COLUMNS

Sample = dict[str, Any]
KEPT_CLIPS = 8  # of a map-style dataset: neighbouring windows lie in one row group
_KEYS = ("clip_id", "sequence_id", "frame_index")


@dataclass(frozen=True)
class Samples:
    """The windows of a dataset that become samples, and the columns in them.

    ``frames``: T, 0 for all frames of a clip (T then differs between clips). ``stride``: frames from one window's start
    to the next, ``frames`` if None.
    """

    dataset: Dataset
    frames: int = 0
    stride: int | None = None
    columns: Sequence[str] = ("image", "label")

    def __post_init__(self) -> None:
        unknown = sorted(set(self.columns) - set(MEDIA_COLUMNS))
        if unknown or not self.columns:
            raise UsageError(f"columns {list(self.columns)}: give some of {', '.join(MEDIA_COLUMNS)}")

    @cached_property
    def windows(self) -> Windows:
        """Gives the windows of frames that become samples."""
        index = self.dataset.index
        stride = max(1, self.frames) if self.stride is None else self.stride
        return windows.cut_windows(index.edge_C, index.row_F, self.frames, stride)

    def rows(self, clip: int) -> pa.Table:
        """Reads a clip's rows, media as they are stored."""
        return self.dataset.rows(clip, [*_KEYS, *self.columns])

    def sample(self, rows: pa.Table, window: int) -> Sample:
        """Decodes a window of the clip whose ``rows`` are given. Raises ValueError for media that do not decode."""
        found = self.windows
        begin = int(self.dataset.index.edge_C[found.clip_W[window]])
        start, stop = int(found.start_W[window]) - begin, int(found.stop_W[window]) - begin
        part = rows.slice(start, stop - start)
        made: Sample = {name: torch.from_numpy(self._decoded(part, name)) for name in self.columns}
        made |= {name: part[name][0].as_py() for name in ("clip_id", "sequence_id")}
        return made | {"frame_index": torch.tensor(part["frame_index"].to_numpy(), dtype=torch.int64)}

    def _decoded(self, rows: pa.Table, column: str) -> NDArray[Any]:
        if column == "flow":
            return decode_flows(rows, self.dataset.version.record.settings.size)
        return decode_column(rows, column)


class ClipDataset(torch.utils.data.Dataset[Sample]):
    """A map-style dataset: sample i is window i, in manifest order. Shuffled by a sampler, it reads a row group per
    sample; `flowreel.pipeline.reader.torch_stream.ClipStream` reads each once."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self._rows = lru_cache(KEPT_CLIPS)(samples.rows)

    def __len__(self) -> int:
        return len(self.samples.windows)

    def __getitem__(self, i: int) -> Sample:
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        window = i % len(self)
        return self.samples.sample(self._rows(int(self.samples.windows.clip_W[window])), window)

    def __reduce__(self) -> tuple[type["ClipDataset"], tuple[Samples]]:
        return ClipDataset, (self.samples,)  # without its cache
