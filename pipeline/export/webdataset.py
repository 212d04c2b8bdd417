"""WebDataset: SPLIT-NNNNNN.tar of samples, one per frame: KEY.image.jpg, KEY.label.png, KEY.instance.png, KEY.json.

The frames of a clip follow each other in one tar; all bytes are the published ones.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowreel.pipeline.export.clip import ClipSource, ExportClip, folder_name
from flowreel.pipeline.export.run import Put, Record, Unit
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.schemas.manifest import MEDIA_COLUMNS

TAR_FRAMES = 1000  # a tar is built in memory: some 50 MB at 512x256


class WebDataset:
    """https://github.com/webdataset/webdataset, "The WebDataset Format"."""

    name = "webdataset"

    def units(self, dataset: Dataset) -> Sequence[Unit]:
        """Groups whole clips of one split into tars."""
        units: list[Unit] = []
        edges = dataset.index.edge_C
        splits = list(map(folder_name, dataset.heads(["split"])["split"].to_pylist()))
        for split in sorted(set(splits)):
            clips: list[int] = []
            frames = number = 0
            for clip in (i for i, found in enumerate(splits) if found == split):
                length = int(edges[clip + 1] - edges[clip])
                if clips and frames + length > TAR_FRAMES:
                    units.append(Unit(f"{split}-{number:06d}", tuple(clips)))
                    clips, frames, number = [], 0, number + 1
                clips.append(clip)
                frames += length
            units.append(Unit(f"{split}-{number:06d}", tuple(clips)))
        return units

    def write(self, source: ClipSource, unit: Unit, put: Put) -> Record:
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for number in unit.clips:
                clip = source.clip(number)
                for t in range(len(clip.frames)):
                    _add_frame(tar, clip, t)
        put(f"{unit.name}.tar", sink.getvalue())
        return {}

    def close(self, dataset: Dataset, records: Iterator[Record], folder: Path) -> Sequence[Path]:
        return []


def _add_frame(tar: tarfile.TarFile, clip: ExportClip, t: int) -> None:
    frame = clip.frames[t]
    key = f"{clip.key('clip_id')}_{frame['frame_index']:06d}"
    for column in MEDIA_COLUMNS:
        if frame.get(column):
            _add(tar, f"{key}.{column}{clip.ending(t, column)}", frame[column]["bytes"])
    keys = {name: value for name, value in frame.items() if name not in MEDIA_COLUMNS}
    _add(tar, f"{key}.json", json.dumps(keys).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)  # without times and owners: the same clips give the same bytes
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
