"""Label maps in containers, as their owners' tools write them."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

HF_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def tar_of(path: Path, members: Mapping[str, bytes]) -> Path:
    """Packs members in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_of(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Packs members in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def parquet_of(path: Path, rows: Sequence[Mapping[str, Any]], row_group_size: int = 4) -> Path:
    """Writes rows whose values of type bytes become images as Hugging Face's `datasets` stores them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {}
    for name, value in rows[0].items():
        values = [row[name] for row in rows]
        columns[name] = (
            pa.array([{"bytes": v, "path": None} for v in values], HF_IMAGE)
            if isinstance(value, bytes)
            else pa.array(values)
        )
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def video_of(
    path: Path,
    frames: Sequence[NDArray[Any]],
    codec: str,
    pixels: str,
    options: Mapping[str, str] | None = None,
    rate: int = 17,
) -> Path:
    """Encodes frames, given as arrays of the encoder's pixel format or RGB, by FFmpeg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    given = "rgb24" if frames[0].ndim == 3 else "gray16le" if frames[0].dtype == np.uint16 else "gray"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = pixels, dict(options or {})
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=given)
            container.mux(stream.encode(picture if pixels == given else picture.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def files_below(root: Path) -> dict[str, bytes]:
    """All files below a folder, by their paths in it, sorted."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
