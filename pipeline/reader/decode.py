"""Decodes media columns to arrays at the speed that training needs, with no checks of checksums beyond libpng's own."""

from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import simplejpeg
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_flow
from flowreel.schemas.errors import DamagedMedia

_FLAG = {"image": cv2.IMREAD_COLOR_RGB} | dict.fromkeys(("label", "instance", "depth"), cv2.IMREAD_UNCHANGED)
JPEG = b"\xff\xd8"  # what such files begin with


def decode_column(rows: pa.Table, column: str) -> NDArray[Any]:
    """Decodes images (T, H, W, 3), or labels, instances or depths (T, H, W), of rows of one size.

    Types are as `torch_dataset` says. Raises ValueError, naming the frame, for a missing or damaged medium.
    """
    if column not in rows.column_names:
        raise ValueError(f"{column}: this dataset does not publish it")
    media = pc.struct_field(rows[column].combine_chunks(), "bytes")
    out: NDArray[Any] | None = None
    for t, cell in enumerate(media):
        found = _decode(cell, _FLAG[column], None if out is None else out[t])
        first = out is None
        wrong = found is None or found.ndim != (3 if column == "image" else 2)
        if wrong or found is None or (out is not None and (found.shape, found.dtype) != (out.shape[1:], out.dtype)):
            raise DamagedMedia(f"{column} of {_name(rows, t)}: {_problem(cell, found, first=first)}")
        if out is None:
            out = _allocate(len(media), found)
        if not np.may_share_memory(found, out):
            out[t] = found
    if out is None:
        raise ValueError(f"{column}: no rows")
    return out.astype(np.int32) if column == "instance" or out.dtype == np.uint16 else out


def _allocate(count: int, like: NDArray[Any]) -> NDArray[Any]:
    """Allocates room for ``count`` arrays of a kind from Arrow's memory pool.

    What several threads take from malloc and another one frees leaves gaps, and a process that grows from epoch to
    epoch.
    """
    return np.frombuffer(pa.allocate_buffer(count * like.nbytes), like.dtype).reshape(count, *like.shape)


def _decode(cell: pa.Scalar, flag: int, place: NDArray[Any] | None) -> NDArray[Any] | None:
    """Decodes one medium; None if it is missing or damaged. Decoders release the interpreter lock meanwhile.

    JPEG goes directly to its ``place``, if it fits there: a quarter less time than by OpenCV, which makes a new array
    each time.
    """
    data = np.frombuffer(cell.as_buffer(), np.uint8) if cell.is_valid else np.zeros(0, np.uint8)
    if place is None or place.ndim != 3 or bytes(data[:2]) != JPEG:
        return cv2.imdecode(data, flag) if len(data) else None
    try:
        return simplejpeg.decode_jpeg(data, buffer=place)
    except ValueError:  # damaged, or larger than its place
        return cv2.imdecode(data, flag)


def decode_flows(rows: pa.Table, size: tuple[int, int]) -> NDArray[np.float32]:
    """Decodes flow (T, H, W, 2) in pixels of rows of ``size`` (width, height). A clip's first frame has none: it gets
    zeros.

    Raises ValueError, naming the frame, where another has none.
    """
    out = np.zeros((len(rows), size[1], size[0], 2), np.float32)
    for t, cell in enumerate(pc.struct_field(rows["flow"].combine_chunks(), "bytes")):
        if cell.is_valid:
            out[t] = _flow(rows, t, cell.as_py(), out.shape[1:])
        elif rows["frame_index"][t].as_py():
            raise ValueError(f"flow of {_name(rows, t)}: not published; render with output.flow: true")
    return out


def _name(rows: pa.Table, t: int) -> str:
    """Names a frame for messages."""
    return f"clip {rows['clip_id'][t].as_py()}, frame {rows['frame_index'][t].as_py()}"


def _flow(rows: pa.Table, t: int, data: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Decodes one flow. Raises DamagedMedia, naming the frame, if it is none of this shape."""
    try:
        flow = decode_flow(data)[0]
    except ValueError as error:
        raise DamagedMedia(f"flow of {_name(rows, t)}: {error}") from None
    if flow.shape != shape:
        raise DamagedMedia(f"flow of {_name(rows, t)}: {flow.shape}, must be {shape}")
    return flow


def _problem(cell: pa.Scalar, found: NDArray[Any] | None, *, first: bool) -> str:
    """Says what is wrong with a medium."""
    if not cell.is_valid:
        return "not published"
    if found is None:
        return "damaged"
    return f"{found.shape} {found.dtype}, {'which is no map of ids' if first else 'unlike the frames before'}"
