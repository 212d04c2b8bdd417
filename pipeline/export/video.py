"""Videos: SPLIT/SEQUENCE_NNNNNN.mp4 per clip (H.264), beside it .label.mkv and .instance.mkv (FFV1, lossless ids),
and .json with its keys and the time of every frame."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.export.clip import ClipSource, Ids
from flowreel.pipeline.export.run import Put, Record, Unit
from flowreel.pipeline.pictures import h264
from flowreel.pipeline.reader.dataset import Dataset
from flowreel.schemas.errors import UsageError

_PIXELS = {np.dtype(np.uint8): "gray", np.dtype(np.uint16): "gray16le"}


class Video:
    """Images encoded as H.264 (crf 18, yuv420p); labels and instances bit by bit."""

    name = "video"

    def units(self, dataset: Dataset) -> Sequence[Unit]:
        return [Unit(f"{i:06d}", (i,)) for i in range(len(dataset))]

    def write(self, source: ClipSource, unit: Unit, put: Put) -> Record:
        clip, fps = source.clip(unit.clips[0]), source.dataset.version.record.spec.source.fps
        if min(clip.image(0).shape[:2]) < 2:
            raise UsageError(f"{clip.where(0)}: H.264 takes frames of 2x2 pixels or more; choose another format")
        name = f"{clip.split}/{clip.slug}_{clip.number:06d}"
        put(f"{name}.mp4", h264((clip.image(t) for t in range(len(clip.frames))), fps))
        for column in ("label", "instance"):
            maps = [ids for t in range(len(clip.frames)) if (ids := clip.ids(column, t)) is not None]
            if maps:
                put(f"{name}.{column}.mkv", ffv1(maps, fps))
        keys = {k: clip.key(k) for k in ("clip_id", "sequence_id", "variant", "split")}
        times = {k: [f[k] for f in clip.frames] for k in ("frame_index", "timestamp_s")}
        put(f"{name}.json", json.dumps(keys | times).encode())
        return {}

    def close(self, dataset: Dataset, records: Iterator[Record], folder: Path) -> Sequence[Path]:
        return []


def ffv1(maps: Sequence[Ids], fps: float) -> bytes:
    """Encodes maps, (H, W) of 8 or 16 bits, as the frames of a Matroska file, bit by bit."""
    with tempfile.TemporaryDirectory(prefix="flowreel-") as folder:
        file = Path(folder) / "ids.mkv"
        if any(ids.dtype == np.uint16 for ids in maps):
            _write_ffv1([ids.astype(np.uint16) for ids in maps], fps, file)
        else:
            _write_ffv1([ids.astype(np.uint8) for ids in maps], fps, file)
        return file.read_bytes()


def _write_ffv1(maps: Sequence[NDArray[np.uint8]] | Sequence[NDArray[np.uint16]], fps: float, file: Path) -> None:
    pixels = _PIXELS[maps[0].dtype]
    with av.open(str(file), "w", options={"fflags": "+bitexact"}) as container:  # no random ids in the header
        stream = container.add_stream("ffv1", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width = maps[0].shape
        stream.pix_fmt = pixels
        for ids_HW in maps:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(ids_HW, format=pixels)))
        container.mux(stream.encode())
