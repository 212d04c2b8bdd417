"""The frames of a video of label maps: which there are, and their pixels as files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.sources.containers.lossless import HOW, check_lossless, lossless_blocks, whole_slices
from flowreel.pipeline.sources.containers.members import FRAME, Member
from flowreel.pipeline.sources.containers.png import stored_png
from flowreel.pipeline.sources.containers.windows import WindowedFile
from flowreel.schemas.errors import SourceError, StorageError

MOST_PIXELS = 2**27  # of a frame: beyond, Pillow refuses pictures too
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode", "export_side_data": "venc_params"}
_ORDER = {  # where red, green, blue (and alpha) stand
    **{"rgb24": (0, 1, 2), "bgr24": (2, 1, 0), "bgr0": (2, 1, 0), "rgb0": (0, 1, 2), "0rgb": (1, 2, 3)},
    **{"0bgr": (3, 2, 1), "rgba": (0, 1, 2, 3), "bgra": (2, 1, 0, 3), "argb": (1, 2, 3, 0), "abgr": (3, 2, 1, 0)},
    **{"gbrp": (2, 0, 1), "gbrap": (2, 0, 1, 3)},  # of planes
}


def video_members(file: WindowedFile, url: str) -> Iterator[Member]:
    """Yields one member per frame, named by its number: reads the packets from end to end, and decodes nothing.

    Numbers follow from the time stamps, so that frames that were left out leave a gap. Raises SourceError for a video
    that is damaged, cut short or lossy.
    """
    with _opened(file, url) as (container, stream):
        try:
            packets = [
                (packet.pts, packet.is_keyframe)
                for packet in container.demux(stream)
                if packet.pts is not None and not packet.is_discard
            ]
        except av.FFmpegError as error:
            raise SourceError(f"{url}: damaged or truncated video: {error.strerror}; make or copy it again") from None
        times = sorted(pts for pts, _ in packets)
        if not times:
            raise SourceError(f"{url}: a video without frames")
        step = median(b - a for a, b in pairwise(times)) if len(times) > 1 else 1
        tick = float(stream.time_base or 1)
        _check_whole(container, stream, len(times), (times[-1] - times[0] + step) * tick, url)
        rate = _rate(stream, step * tick)  # FFmpeg's objects end with the container
    keys, names = sorted(pts for pts, is_key in packets if is_key), list[str]()
    key, behind = times[0], iter([*keys, times[-1] + 1])
    following = next(behind)
    for pts in times:
        while following <= pts:
            key, following = following, next(behind)
        number = round((pts - times[0]) * tick * rate)
        names.append(f"{number:06d}")
        if names[-2:-1] == names[-1:]:
            raise SourceError(f"{url}: two frames at {number / rate:.3f} s; give the video a constant frame rate")
        yield names[-1], pts, key, 0, round(1000 * rate), -1, FRAME


def _rate(stream: "av.video.stream.VideoStream", step_s: float) -> float:
    """Gives the frames per second: as the container says, if its time stamps agree within rounding."""
    told = float(stream.guessed_rate or 0)
    return told if told and abs(1 / told - step_s) <= max(float(stream.time_base or 0), 0.001) else 1 / step_s


def frames_of(
    file: WindowedFile, members: Sequence[Mapping[str, Any]], url: str
) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Decodes some frames of a video, in order of their time stamps, each once: yields member and PNG.

    Decoding starts at the key frame before the first, and again behind a longer gap. Raises SourceError for what does
    not decode, frame by frame exactly.
    """
    wanted = sorted(members, key=lambda member: member["start"])
    with _opened(file, url) as (container, stream):
        decoded: Iterator[av.VideoFrame] = iter(())
        at = None
        for member in wanted:
            name = f"{url}/{member['name']}"
            if at is None or member["stop"] > at:
                container.seek(member["stop"], stream=stream, backward=True, any_frame=False)
                decoded = _decoded(container, stream, name)
            found = next((frame for frame in decoded if frame.pts is not None and frame.pts >= member["start"]), None)
            at = found.pts if found else None
            if found is None or at != member["start"]:
                raise SourceError(f"{name}: damaged: the video has no frame at its time stamp any more")
            yield member, _png(found, stream, name)


@contextmanager
def _opened(
    file: WindowedFile, url: str
) -> "Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]":
    """Opens a video with one lossless stream. Raises SourceError."""
    try:
        with av.open(file, "r", metadata_errors="replace") as container:
            streams = container.streams.video
            if len(streams) != 1:
                raise SourceError(f"{url}: {len(streams)} video streams, exactly one is needed")
            stream = streams[0]
            if not isinstance(stream.codec_context, av.VideoCodecContext):
                raise SourceError(f"{url}: a video in a format that nobody knows, or damaged; make or copy it again")
            if stream.width * stream.height > MOST_PIXELS:
                raise SourceError(f"{url}: {stream.width}x{stream.height} pixels, at most {MOST_PIXELS:,} are read")
            check_lossless(stream, url)
            stream.codec_context.options = _STRICT
            stream.codec_context.thread_count = 1
            yield container, stream
    except StorageError:
        raise
    except av.FFmpegError as error:
        raise SourceError(f"{url}: no video, or a damaged one: {error.strerror}; make or copy it again") from None


def _decoded(
    container: "av.container.InputContainer", stream: "av.video.stream.VideoStream", url: str
) -> "Iterator[av.VideoFrame]":
    context = stream.codec_context
    checked = context.codec.canonical_name == "ffv1" and bool(context.extradata)  # version 3: with checksums
    try:
        for packet in container.demux(stream):
            if checked and packet.size and not whole_slices(bytes(packet)):
                raise SourceError(f"{url}: damaged: its checksum differs in the packet at byte {packet.pos}")
            yield from packet.decode()
    except av.FFmpegError as error:
        raise SourceError(f"{url}: damaged: it does not decode ({error.strerror})") from None


def _check_whole(
    container: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
    frames: int,
    length_s: float,
    url: str,
) -> None:
    """Raises SourceError for a video that ends before what its header says: FFmpeg takes it as it is."""
    told = container.duration / av.time_base if container.duration else 0.0
    missing = stream.frames and frames < stream.frames
    if missing or told - length_s > max(1.5 * length_s / frames, 0.01):
        what = f"{frames} frames of {stream.frames}" if missing else f"{length_s:.2f} s of {told:.2f} s"
        raise SourceError(f"{url}: truncated: {what} are there; make or copy it again")


def _png(frame: "av.VideoFrame", stream: "av.video.stream.VideoStream", url: str) -> bytes:
    """Writes a decoded frame as a PNG. Raises SourceError for one that was not decoded exactly."""
    if stream.codec_context.codec.canonical_name == "h264":
        found = [bytes(data) for data in _side_data(frame) if data.type.name == "VIDEO_ENC_PARAMS"]
        if len(found) != 1 or not lossless_blocks(found[0]):
            raise SourceError(f"{url}: H.264 with lossy macroblocks, which change ids. {HOW}")
    if frame.is_corrupt:
        raise SourceError(f"{url}: damaged: it does not decode whole")
    name = frame.format.name
    if (frame.width, frame.height, name) != (stream.width, stream.height, stream.codec_context.pix_fmt):
        raise SourceError(
            f"{url}: {frame.width}x{frame.height} {name}, but the video is {stream.width}x{stream.height}"
        )
    if name == "pal8":
        palette = np.frombuffer(bytes(frame.planes[1]), np.uint32)[:256]
        rgb = np.stack([palette >> 16 & 255, palette >> 8 & 255, palette & 255], axis=1).astype(np.uint8)
        return stored_png(_plane(frame, 0, np.dtype(np.uint8), 1)[..., 0], rgb)
    return stored_png(_pixels(frame, name))


def _side_data(frame: "av.VideoFrame") -> "list[Any]":
    return list(frame.side_data)


def _pixels(frame: "av.VideoFrame", name: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if name.startswith("gray16"):
        return _plane(frame, 0, np.dtype("<u2" if name.endswith("le") else ">u2"), 1)[..., 0].astype(np.uint16)
    byte = np.dtype(np.uint8)
    if name in ("gray", "ya8"):
        pixels = _plane(frame, 0, byte, 1 if name == "gray" else 2)
        return pixels[..., 0] if name == "gray" else pixels
    if name.startswith("gb"):
        return np.concatenate([_plane(frame, i, byte, 1) for i in _ORDER[name]], axis=2)
    together = _plane(frame, 0, byte, 3 if name.endswith("24") else 4)
    return together[..., list(_ORDER[name])]


def _plane(frame: "av.VideoFrame", index: int, kind: np.dtype[Any], channels: int) -> NDArray[Any]:
    """Gives one plane as an array (H, W, channels), without the padding of its lines."""
    plane = frame.planes[index]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]
    return lines[:, : frame.width * channels * kind.itemsize].view(kind).reshape(frame.height, frame.width, channels)
