"""Videos of label maps: lossless ones give the ids that went in, all others are refused by name."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.codec import decode_ids
from flowreel.pipeline.sources.catalog import Catalog, scan
from flowreel.pipeline.sources.containers.members import MEMBERS
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.containers.png import stored_png
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.sources.verified_read import read_all_unchanged
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.source import SourceSpec
from tests.support.containers import video_of

FRAMES, HEIGHT, WIDTH = 29, 48, 61  # no multiple of what codecs like
RNG = np.random.default_rng(0)
IDS = [RNG.integers(0, 34, (HEIGHT, WIDTH)).astype(np.uint8) for _ in range(FRAMES)]
GREY = [np.repeat(ids_HW[..., None], 3, axis=2) for ids_HW in IDS]
WIDE = [ids_HW.astype(np.uint16) * 1000 + 7 for ids_HW in IDS]
COLOURS = [np.stack([ids, 7 * ids, 255 - ids], axis=2).astype(np.uint8) for ids in IDS]


def opened(root: Path, name: str, **given: Any) -> tuple[Store, Catalog]:
    source = SourceSpec(uri=str(root), labels=f"{{sequence}}{Path(name).suffix}", **given)
    store = with_members(open_store(source.uri), source, MEMBERS.empty_table)
    return store, scan(store, source, open_label_space("cityscapes", {}), INDEX.empty_table())


def pixels(data: bytes) -> NDArray[Any]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    ("name", "codec", "form", "frames", "options"),
    [
        ("a.mkv", "ffv1", "gray", IDS, {}),
        ("a.mkv", "ffv1", "gray", IDS, {"level": "3", "g": "1", "slices": "4"}),
        ("a.mkv", "ffv1", "gray16le", WIDE, {}),
        ("a.mkv", "ffv1", "bgr0", COLOURS, {}),
        ("a.avi", "ffv1", "gray", IDS, {"level": "1"}),
        ("a.mkv", "ffv1", "gray", IDS, {"slicecrc": "0"}),
        ("a.nut", "ffvhuff", "gray", IDS, {}),
        ("a.mov", "png", "gray", IDS, {}),
        ("a.mov", "png", "rgb24", COLOURS, {}),
        ("a.mov", "qtrle", "rgb24", COLOURS, {}),
        ("a.avi", "utvideo", "gbrp", COLOURS, {}),
        ("a.mkv", "libx264rgb", "rgb24", COLOURS, {"qp": "0"}),
        ("a.mp4", "libx264rgb", "rgb24", COLOURS, {"qp": "0", "preset": "ultrafast"}),
        ("a.mp4", "libx264rgb", "bgr24", COLOURS, {"crf": "0"}),
    ],
)
def test_lossless_videos_give_the_pixels_that_went_in(
    tmp_path: Path, name: str, codec: str, form: str, frames: list[NDArray[Any]], options: dict[str, str]
) -> None:
    video_of(tmp_path / name, frames, codec, form, options)
    source = SourceSpec(uri=str(tmp_path), labels=f"{{sequence}}{Path(name).suffix}")
    store = with_members(open_store(source.uri), source, MEMBERS.empty_table)
    paths = [f"{name}/{t:06d}" for t in range(FRAMES)]
    assert [info.path for info in store.list()] == paths
    for t, data in enumerate(store.read_all(paths)):
        assert data is not None
        np.testing.assert_array_equal(pixels(data), frames[t], err_msg=f"frame {t}")
    # Any span, from a key frame or not, is the same frames.
    for start, stop in ((0, 1), (7, 9), (13, 29), (28, 29)):
        assert store.read_all(paths[start:stop]) == store.read_all(paths)[start:stop]
    assert store.read_all([paths[25], paths[3]]) == [store.read(paths[25]), store.read(paths[3])]


def test_a_video_is_planned_and_read_as_its_frames(tmp_path: Path) -> None:
    video_of(tmp_path / "drive.mkv", IDS, "ffv1", "gray")
    store, catalog = opened(tmp_path, "drive.mkv")
    assert not catalog.problems and catalog.read == FRAMES
    assert catalog.pixels == {i: int(n) for i, n in enumerate(np.bincount(np.concatenate(IDS).ravel())) if n}
    (sequence,) = catalog.sequences
    assert sequence.sequence_id == "drive" and sequence.size == (WIDTH, HEIGHT)
    files = [frame.label for frame in sequence.frames]
    for t, data in enumerate(read_all_unchanged(store, files)):
        np.testing.assert_array_equal(decode_ids(data), IDS[t])
    assert [file.path for file in files] == [f"drive.mkv/{t:06d}" for t in range(FRAMES)]


HOW = "make one from the label maps themselves, ffmpeg -framerate FPS -i %06d.png -c:v ffv1 -level 3 -pix_fmt gray"


@pytest.mark.parametrize(
    ("name", "codec", "form", "options", "says"),
    [
        ("a.mp4", "libx264", "yuv420p", {}, "h264 in yuv420p"),
        ("a.mp4", "libx264", "yuv444p", {"qp": "0"}, "h264 in yuv444p"),
        ("a.mp4", "libx264rgb", "rgb24", {"crf": "12"}, "H.264 in gbrp with lossy compression"),
        ("a.mp4", "libx264rgb", "rgb24", {"qp": "1"}, "H.264 in gbrp with lossy compression"),
        ("a.avi", "mjpeg", "yuvj420p", {}, "mjpeg in yuvj420p"),
        ("a.webm", "libvpx-vp9", "yuv420p", {}, "vp9 in yuv420p"),
        ("a.webm", "libvpx-vp9", "gbrp", {"lossless": "1"}, "vp9 in gbrp"),
        ("a.mkv", "ffv1", "yuv420p", {}, "ffv1 in yuv420p, a pixel format that ids pass through changed"),
        ("a.mkv", "mpeg4", "yuv420p", {}, "mpeg4 in yuv420p"),
        ("a.mov", "prores_ks", "yuv444p10le", {}, "prores in yuv444p1"),
    ],
)
def test_other_videos_are_refused_by_name(
    tmp_path: Path, name: str, codec: str, form: str, options: dict[str, str], says: str
) -> None:
    even = [frame[:, :60] for frame in GREY[:3]]
    video_of(tmp_path / name, even, codec, form, options)
    with pytest.raises(SourceError) as refused:
        opened(tmp_path, name)
    text = str(refused.value)
    assert f"{tmp_path / name}: {says}" in text and HOW in text


def test_h264_is_believed_by_its_macroblocks_not_by_its_header(tmp_path: Path) -> None:
    """A header that allows lossless macroblocks, before frames that are none."""
    lossless = video_of(tmp_path / "good" / "a.mp4", COLOURS[:4], "libx264rgb", "rgb24", {"qp": "0"}).read_bytes()
    lossy = video_of(tmp_path / "bad" / "a.mp4", COLOURS[:4], "libx264rgb", "rgb24", {"qp": "9"})
    assert b"avcC" in lossless
    data = bytearray(lossy.read_bytes())
    at = data.find(b"avcC") + 4  # the parameter set: its flag is the bit behind profile, level, id, 4:4:4, depths
    bits = 8 * (at + 8 + 4)
    head = f"{int.from_bytes(data[at + 12 : at + 14], 'big'):016b}"
    assert head.startswith("1" + "00100" + "0" + "1" + "1" + "0"), head  # id 0, 4:4:4, not apart, 8 bits, 8 bits, off
    place = bits + 9
    data[place // 8] |= 0x80 >> place % 8
    lossy.write_bytes(data)
    with pytest.raises(SourceError, match="H.264 with lossy macroblocks|does not decode"):
        opened(tmp_path / "bad", "a.mp4")


def test_the_frame_rate_is_the_containers_or_the_specs(tmp_path: Path) -> None:
    video_of(tmp_path / "a.mkv", IDS[:5], "ffv1", "gray", rate=30)
    with pytest.raises(SourceError, match="30 frames a second, but source.fps is 17, its default; state it"):
        opened(tmp_path, "a.mkv")
    for fps in (30, 10):
        assert not opened(tmp_path, "a.mkv", fps=fps)[1].problems


def test_frames_that_were_left_out_are_a_gap(tmp_path: Path) -> None:
    import av

    video_of(tmp_path / "whole.mov", IDS[:12], "png", "gray")
    with av.open(str(tmp_path / "whole.mov")) as whole, av.open(str(tmp_path / "a.mov"), "w") as cut:
        stream = whole.streams.video[0]
        copy = cut.add_stream_from_template(stream)
        for t, packet in enumerate(whole.demux(stream)):
            if packet.pts is not None and t not in (5, 6):
                packet.stream = copy
                cut.mux(packet)
    (tmp_path / "whole.mov").unlink()
    _, catalog = opened(tmp_path, "a.mov")
    assert any("missing between '000004' and '000007'" in problem for problem in catalog.problems), catalog.problems


@pytest.mark.parametrize(
    ("name", "codec", "damage", "says"),
    [
        ("a.mkv", "ffv1", lambda data: data[: len(data) * 2 // 3], "truncated"),
        ("a.mov", "png", lambda data: data[: len(data) * 2 // 3], "no video, or a damaged one"),
        ("a.mkv", "ffv1", lambda data: b"", "no video, or a damaged one"),
        ("a.mkv", "ffv1", lambda data: b"x" * 5000, "no video, or a damaged one"),
        ("a.mkv", "ffv1", lambda data: _flipped(data), "damaged"),
        ("a.mov", "png", lambda data: _flipped(data), "damaged"),
    ],
)
def test_damaged_videos_end_in_a_sentence(
    tmp_path: Path, name: str, codec: str, damage: Callable[[bytes], bytes], says: str
) -> None:
    path = video_of(tmp_path / name, IDS, codec, "gray")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SourceError, match=f"{name}.*{says}"):
        opened(tmp_path, name)


def _flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) // 2] ^= 4
    return bytes(changed)


def test_png_of_a_frame_is_the_same_bytes_everywhere() -> None:
    """Ids of clips rest on these bytes: they never change."""
    import hashlib

    data = stored_png(np.arange(300 * 250, dtype=np.uint16).reshape(300, 250))
    assert hashlib.sha256(data).hexdigest() == "a1e494bae874d716aa86d9225235b37fba0cf952613c5a7b301d2d27d19ddd6f"
    np.testing.assert_array_equal(decode_ids(data), np.arange(300 * 250, dtype=np.uint16).reshape(300, 250))
