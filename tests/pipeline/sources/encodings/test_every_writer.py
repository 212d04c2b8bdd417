"""Random id maps through every writer and mode: what is read is what the writer's picture shows, or is refused."""

import importlib.util
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.sources.encodings import MapDecoder
from flowreel.schemas.label_spaces import BUILT_IN

Ids = NDArray[np.integer]
Write = Callable[[Ids], bytes | None]  # None: this writer cannot store the map
CITY = MapDecoder(BUILT_IN["cityscapes"])
SMALL = ("L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "YCbCr")
DEEP = (".png", ".tiff", ".pgm", ".pam", ".jp2")  # endings of formats that hold 16 bits
FILES: dict[str, list[dict[str, Any]]] = {
    "PNG": [{}, {"optimize": True}, {"bits": 4}, {"bits": 8}],
    "TIFF": [{"compression": c} for c in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd", "jpeg")],
    "BMP": [{}],
    "GIF": [{}],
    "TGA": [{}, {"rle": True}],
    "PPM": [{}],
    "WEBP": [{"lossless": True}, {"lossless": True, "exact": True}, {"quality": 95}],
    "JPEG": [{"quality": 100}],
    "JPEG2000": [{}, {"irreversible": True}],
}
PACKAGES = ("PIL", "cv2", "tifffile", "imageio")


def maps() -> st.SearchStrategy[Ids]:
    """Maps of few ids, as labels are, or of many; often of ids that optimisers have short forms for."""
    short = st.sampled_from([0, 1, 2, 3, 15, 17, 34, 85, 170, 255])
    small = st.lists(short | st.integers(0, 34) | st.integers(0, 255), min_size=1, max_size=40)
    wide = st.lists(st.sampled_from([0, 257, 514, 65535]) | st.integers(0, 65535), min_size=1, max_size=40)
    depths = st.tuples(small, st.just(np.uint8)) | st.tuples(wide, st.just(np.uint16))

    def pixels(drawn: tuple[list[int], type[np.integer]], width: int, seed: int) -> Ids:
        ids, kind = drawn
        return np.random.default_rng(seed).choice(np.array(ids, kind), (9, width))

    return st.builds(pixels, depths, st.integers(1, 21), st.integers(0, 99))


def by_pillow(form: str, mode: str, options: dict[str, Any]) -> Write:
    def write(ids_HW: Ids) -> bytes | None:
        image = Image.fromarray(ids_HW)
        if ids_HW.dtype == np.uint16 and (mode != "L" or form not in ("PNG", "TIFF", "PPM", "JPEG2000")):
            return None  # Pillow cuts off what is above 255
        if mode == "P":
            image = grey_palette(ids_HW)
        elif mode == "1":  # black and white: it shows 0 and 255
            if not set(np.unique(ids_HW)) <= {0, 255}:
                return None
            image = Image.fromarray(ids_HW > 0)
        elif image.mode != mode and ids_HW.dtype == np.uint8:
            image = image.convert(mode)
        sink = io.BytesIO()
        try:
            image.save(sink, form, **options)
        except (OSError, ValueError, KeyError, SystemError):
            return None
        return sink.getvalue()

    return write


def grey_palette(ids_HW: Ids) -> Image.Image:
    """The picture of a map, with a palette of the greys that it uses, in random order."""
    used = np.random.default_rng(int(ids_HW.sum())).permutation(np.unique(ids_HW))
    place = np.zeros(256, np.uint8)
    place[used] = np.arange(len(used))
    image = Image.fromarray(place[ids_HW])
    image.putpalette([v for v in used.tolist() for _ in range(3)])
    return image


def by_opencv(ending: str, options: list[int], channels: int = 1) -> Write:
    def write(ids_HW: Ids) -> bytes | None:
        if ids_HW.dtype == np.uint16 and ending not in DEEP:
            return None  # OpenCV cuts off what is above 255
        pixels = ids_HW if channels == 1 else np.dstack([ids_HW] * channels)
        if channels == 4:
            pixels[..., 3] = np.iinfo(ids_HW.dtype).max
        try:
            done, data = cv2.imencode(ending, pixels, options)
        except cv2.error:
            return None
        return bytes(data) if done else None

    return write


def by_library(name: str, call: Callable[[Any, io.BytesIO, Ids], None], only_8_bits: bool = False) -> Write:
    def write(ids_HW: Ids) -> bytes | None:
        if ids_HW.dtype == np.uint16 and only_8_bits:
            return None
        sink = io.BytesIO()
        try:
            call(importlib.import_module(name), sink, ids_HW)
        except (ValueError, OSError, KeyError, TypeError, ImportError):
            return None
        return sink.getvalue()

    return write


def writers() -> Iterator[tuple[str, str, Write]]:
    """Name, the package it needs, and the writer."""
    for form, variants in FILES.items():
        for options in variants:
            modes = ("L", "P", "1") if form == "GIF" else SMALL  # of other modes, Pillow's GIFs are approximations
            yield from ((f"Pillow {form} {m} {options}", "PIL", by_pillow(form, m, options)) for m in modes)
    for ending in (".png", ".tiff", ".bmp", ".pgm", ".ppm", ".webp", ".jp2", ".jpg", ".ras", ".pam"):
        for channels in (1, 3, 4):
            yield f"OpenCV {ending} {channels}", "cv2", by_opencv(ending, [], channels)
    yield "OpenCV lossless WebP", "cv2", by_opencv(".webp", [cv2.IMWRITE_WEBP_QUALITY, 101], 3)
    yield "OpenCV plain PGM", "cv2", by_opencv(".pgm", [cv2.IMWRITE_PXM_BINARY, 0])
    yield "OpenCV JPEG in TIFF", "cv2", by_opencv(".tiff", [cv2.IMWRITE_TIFF_COMPRESSION, 7])
    for kind in ("uint8", "uint16", "uint32", "int8", "int16", "int32", "int64", "float32", "float64"):
        for shown in ("minisblack", "miniswhite"):
            for order in ("<", ">"):

                def tiff(lib: Any, sink: io.BytesIO, ids: Ids, a: Any = (kind, shown, order)) -> None:
                    if ids.max() > np.iinfo(a[0]).max if "int" in a[0] else False:
                        raise ValueError("does not fit")
                    lib.imwrite(sink, ids.astype(a[0]), photometric=a[1], byteorder=a[2])

                yield f"tifffile {kind} {shown} {order}", "tifffile", by_library("tifffile", tiff)
    for ending in (".png", ".tiff", ".bmp", ".gif", ".ppm", ".jpg", ".webp"):

        def picture(lib: Any, sink: io.BytesIO, ids: Ids, end: str = ending) -> None:
            lib.imwrite(sink, ids, extension=end)

        yield f"imageio {ending}", "imageio", by_library("imageio.v3", picture, ending not in DEEP)


WRITERS = list(writers())


@pytest.mark.parametrize("package", PACKAGES)
@settings(max_examples=120, deadline=None)
@given(maps(), st.data())
def test_ids_are_those_written_or_the_file_is_refused(package: str, ids_HW: Ids, data: st.DataObject) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    name, _, write = data.draw(st.sampled_from([w for w in WRITERS if w[1] == package]))
    if (written := write(ids_HW)) is not None:
        check(name, written, ids_HW)


@pytest.mark.parametrize("package", PACKAGES)
def test_most_writers_of_grey_maps_are_read(package: str) -> None:
    ids_HW = np.random.default_rng(0).choice(np.array([0, 7, 11, 23, 26], np.uint8), (9, 21))
    grey = [w for w in WRITERS if w[1] == package and "jp" not in w[0].lower()]
    written = [(name, data) for name, _, write in grey if (data := write(ids_HW)) is not None]
    assert sum(check(name, data, ids_HW) for name, data in written) > 0.3 * len(written)


def check(name: str, data: bytes, ids_HW: Ids) -> bool:
    """Whether the map is read; it must be the one that was written."""
    for role in ("label", "instance"):
        try:
            found_HW = CITY.read(data, "a.png", role).ids_HW
        except ValueError:
            return False
        assert np.array_equal(found_HW, ids_HW), f"{name}, as {role}"
    return True


@pytest.mark.parametrize("level", [0, 2, 4, 6])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_an_optimiser_never_changes_ids(mode: str, level: int) -> None:
    oxipng = pytest.importorskip("oxipng", reason="pyoxipng is not installed")
    rng = np.random.default_rng(level)
    read = 0
    for _ in range(12):
        values = rng.choice([0, 1, 7, 8, 11, 17, 21, 23, 24, 26, 33, 34, 255], rng.integers(1, 12))
        ids_HW: Ids = rng.choice(values, (16, 24)).astype(np.uint16 if mode == "I;16" else np.uint8)
        if mode == "I;16":
            ids_HW[ids_HW == 26] = 26001
        image = grey_palette(ids_HW) if mode == "P" else Image.fromarray(ids_HW)
        sink = io.BytesIO()
        (image if mode in ("P", "I;16") else image.convert(mode)).save(sink, "PNG")
        read += check(f"oxipng {mode}", oxipng.optimize_from_memory(sink.getvalue(), level=level), ids_HW)
    assert read >= 6


def test_a_grey_map_of_streets_survives_the_optimiser() -> None:
    oxipng = pytest.importorskip("oxipng", reason="pyoxipng is not installed")
    ids_HW = np.random.default_rng(0).choice(np.array([7, 11, 23, 26], np.uint8), (32, 64))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.png"
        Image.fromarray(ids_HW).save(file)
        oxipng.optimize(str(file))
        data = file.read_bytes()
    assert Image.open(io.BytesIO(data)).mode == "P"
    assert np.array_equal(CITY.read(data, "a.png", "label").ids_HW, ids_HW)
