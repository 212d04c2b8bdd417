"""Ids, images and flow, to bytes and back; what is no complete lossless id map is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flowreel.pipeline.codec import (
    ImageCodec,
    decode_flow,
    decode_ids,
    decode_image,
    encode_flow,
    encode_ids,
    encode_image,
    resize_ids,
    resize_image,
)

Ids = NDArray[np.uint8] | NDArray[np.uint16]


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def noise(height: int, width: int, kind: type[np.uint8] | type[np.uint16]) -> Ids:
    """Every id that the depth can hold is as likely."""
    return np.random.default_rng(0).integers(0, np.iinfo(kind).max, (height, width), kind, endpoint=True)


def street() -> NDArray[np.uint8]:
    """Large areas of one id, as label maps have them."""
    label_HW = np.full((32, 64), 23, np.uint8)
    label_HW[16:] = 7
    label_HW[10:24, 20:40] = 26
    return label_HW


def ids_or_none(data: bytes) -> Ids | None:
    """None for bytes that are refused."""
    try:
        return decode_ids(data)
    except ValueError:
        return None


def gray_png(depth: int, row: bytes, width: int) -> bytes:
    """A one-row grey PNG of any depth, written by the PNG specification."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, 1, depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("ids_HW", "depth"),
    [
        (np.arange(256, dtype=np.uint8).reshape(8, 32), 8),
        (np.arange(65536, dtype=np.uint16).reshape(256, 256), 16),
        (np.zeros((1, 1), np.uint8), 8),
        (np.array([[26001, 7], [255, 65535]], np.uint16), 16),
        (np.zeros((3, 5), np.uint16), 16),
        (np.arange(24, dtype=np.uint8).reshape(4, 6)[:, ::2], 8),
    ],
)
def test_ids_come_back_in_their_depth(ids_HW: Ids, depth: int) -> None:
    data = encode_ids(ids_HW)
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[24] == depth
    back_HW = decode_ids(data)
    assert back_HW.dtype == ids_HW.dtype and np.array_equal(back_HW, ids_HW)


def test_the_same_ids_give_the_same_bytes() -> None:
    assert encode_ids(street()) == encode_ids(np.asfortranarray(street()))


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.int16, np.int8, np.float32, np.bool_])
def test_arrays_that_png_would_change_are_not_encoded(kind: type[np.generic]) -> None:
    with pytest.raises(ValueError, match=r"PNG does not give back the \w+ map of shape \(2, 3\)"):
        encode_ids(np.ones((2, 3), kind))


def test_the_grey_of_a_palette_png_is_the_id() -> None:
    image = Image.fromarray(street())
    image.putpalette([255 - i // 3 for i in range(768)])
    assert image.mode == "P" and np.array_equal(decode_ids(saved(image)), 255 - street())
    few = Image.fromarray((street() == 7).astype(np.uint8))
    few.putpalette([9, 9, 9, 40, 40, 40])
    assert np.array_equal(decode_ids(saved(few, bits=1)), np.where(street() == 7, 40, 9))
    few.putpalette([9, 9, 9, 200, 0, 0])
    with pytest.raises(ValueError, match="indexed picture whose palette shows colours"):
        decode_ids(saved(few, bits=1))


def test_other_lossless_formats_and_depths() -> None:
    wide_HW = noise(5, 7, np.uint16)
    assert np.array_equal(decode_ids(saved(Image.fromarray(wide_HW))), wide_HW)
    assert np.array_equal(decode_ids(saved(Image.fromarray(wide_HW), "TIFF")), wide_HW)
    assert np.array_equal(decode_ids(saved(Image.fromarray(street()), "TIFF", compression="tiff_lzw")), street())
    assert np.array_equal(decode_ids(saved(Image.fromarray(wide_HW.astype(np.int32)), "TIFF")), wide_HW)
    with pytest.raises(ValueError, match="1-bit grey PNG: its numbers 0 to 1 are shown as 0 and 255"):
        decode_ids(saved(Image.fromarray(street() == 26)))
    assert not decode_ids(saved(Image.fromarray(street() == 99))).any()
    rgb = Image.fromarray(street()).convert("RGB")
    for image in (rgb, rgb.convert("RGBA"), rgb.convert("L").convert("LA")):
        assert np.array_equal(decode_ids(saved(image)), street())
    assert np.array_equal(decode_ids(saved(rgb, "WEBP", lossless=True)), street())


@pytest.mark.parametrize("low", [-1, 65536])
def test_ids_beyond_16_bits_are_refused(low: int) -> None:
    image = Image.fromarray(np.array([[low, 7]], np.int32))
    with pytest.raises(ValueError, match=rf"ids {min(low, 7)}\.\.{max(low, 7)} outside 0\.\.65535"):
        decode_ids(saved(image, "TIFF"))


@pytest.mark.parametrize(("depth", "row"), [(4, b"\x01\x23"), (2, b"\x1b")])
def test_ids_of_small_depth_are_as_stored_or_refused(depth: int, row: bytes) -> None:
    ids_HW = ids_or_none(gray_png(depth, row, 4))
    assert ids_HW is None or ids_HW.tolist() == [[0, 1, 2, 3]]


def picture(mode: str) -> Image.Image:
    rgb_HW3 = np.random.default_rng(1).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return Image.fromarray(rgb_HW3).convert(mode)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (saved(picture("RGB")), "RGB image with 3 channels, where one channel of ids is needed"),
        (saved(picture("RGBA")), "RGBA image with 4 channels, where one"),
        (saved(picture("F"), "TIFF"), "F TIFF of floating-point numbers"),
        (saved(picture("L"), "JPEG"), "JPEG is lossy and changes ids; store label maps as PNG"),
        (saved(picture("RGB"), "JPEG"), "JPEG is lossy"),
        (saved(picture("RGB"), "WEBP"), "WEBP is lossy"),
        (b"", "no image: 0 bytes that start with b''"),
        (b"<html>busy</html>", "no image: 17 bytes that start with b'<html>bu'"),
    ],
)
def test_what_is_no_id_map_is_refused_with_what_it_is(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_ids(data)


@pytest.mark.parametrize(
    "data",
    [
        encode_ids(noise(24, 40, np.uint8)),
        encode_ids(noise(24, 40, np.uint16)),
        saved(Image.fromarray(street())),
    ],
    ids=["8 bit", "16 bit", "street"],
)
def test_a_png_cut_anywhere_in_its_pixels_is_refused(data: bytes) -> None:
    whole_HW = decode_ids(data)
    pixels_end = data.rindex(b"IEND") - 16  # before: the length of IEND, and of the pixels their CRC and checksum
    for cut in range(len(data)):
        ids_HW = ids_or_none(data[:cut])
        if cut < pixels_end:
            assert ids_HW is None
        else:  # all pixels are there
            assert ids_HW is None or np.array_equal(ids_HW, whole_HW)


def test_a_png_with_a_flipped_bit_never_gives_other_ids() -> None:
    data, wrong = encode_ids(street()), []
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            ids_HW = ids_or_none(bytes(damaged))
            if ids_HW is not None and not np.array_equal(ids_HW, street()):
                wrong.append((place, bit))
    assert wrong == []


@pytest.mark.parametrize("decode", [decode_ids, decode_image])
def test_a_header_that_promises_too_many_pixels_is_refused(decode: object) -> None:
    assert callable(decode)
    data = gray_png(8, b"", 400_000_000)
    with pytest.raises(ValueError, match="pixels"):
        decode(data)


@pytest.mark.parametrize("size", [(32, 16), (20, 9), (64, 32), (100, 70), (1, 1), (63, 33)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_ids_are_resized_by_pillows_rule(size: tuple[int, int], kind: type[np.uint8] | type[np.uint16]) -> None:
    ids_HW = noise(32, 64, kind)
    expected_HW = np.asarray(Image.fromarray(ids_HW.astype(np.int32)).resize(size, Image.Resampling.NEAREST))
    resized_HW = resize_ids(ids_HW, size)
    assert resized_HW.dtype == kind and resized_HW.shape == (size[1], size[0])
    assert np.array_equal(resized_HW, expected_HW)
    if kind == np.uint8:
        assert np.array_equal(resized_HW, np.asarray(Image.fromarray(ids_HW).resize(size, Image.Resampling.NEAREST)))


def test_halving_takes_the_later_of_two_pixels() -> None:
    assert resize_ids(np.array([[1, 2, 3, 4]] * 2, np.uint8), (2, 1)).tolist() == [[2, 4]]


def test_images_are_resized_bicubically() -> None:
    rgb_HW3 = np.asarray(picture("RGB"))
    expected = np.asarray(picture("RGB").resize((8, 6), Image.Resampling.BICUBIC))
    assert np.array_equal(resize_image(rgb_HW3, (8, 6)), expected) and resize_image(rgb_HW3, (16, 12)) is rgb_HW3


@pytest.mark.parametrize(
    ("codec", "quality", "form", "most"),
    [("png", 1, "PNG", 0.0), ("jpeg", 95, "JPEG", 2.0), ("webp", 95, "WEBP", 3.0)],
)
def test_images_come_back_in_rgb(codec: ImageCodec, quality: int, form: str, most: float) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    rgb_HW3 = np.dstack([np.tile(ramp, (32, 1)), np.full((32, 64), 40, np.uint8), np.full((32, 64), 200, np.uint8)])
    data = encode_image(rgb_HW3, codec, quality)
    assert Image.open(io.BytesIO(data)).format == form
    back_HW3 = decode_image(data)
    assert back_HW3.shape == rgb_HW3.shape and back_HW3.dtype == np.uint8
    assert np.abs(back_HW3.astype(float) - rgb_HW3).mean() <= most


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_quality_decides_the_size(codec: ImageCodec) -> None:
    rgb_HW3 = np.asarray(picture("RGB").resize((64, 48)))
    assert len(encode_image(rgb_HW3, codec, 30)) < 0.7 * len(encode_image(rgb_HW3, codec, 95))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_an_image_cut_short_is_refused(form: str, part: float) -> None:
    data = saved(picture("RGB"), form)
    with pytest.raises(ValueError, match="no image|truncated or damaged"):
        decode_image(data[: int(part * len(data))])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_exemplars_of_other_modes_become_rgb(mode: str) -> None:
    data = saved(picture(mode), "TIFF")
    assert np.array_equal(decode_image(data), np.asarray(picture(mode).convert("RGB")))


def test_flow_comes_back_within_half_a_step() -> None:
    flow_HW2 = np.random.default_rng(2).uniform(-510.9, 510.9, (24, 40, 2)).astype(np.float32)
    flow_HW2[0, :3] = np.array([[0, 0], [-0.25, 1 / 64], [510.9, -510.9]])
    back_HW2, valid_HW = decode_flow(encode_flow(flow_HW2))
    assert valid_HW.all() and back_HW2.dtype == np.float32
    assert np.abs(back_HW2 - flow_HW2).max() <= 1 / 128 + 2**-14  # steps of 1/64, and float32 around 2^15
    assert back_HW2[0, :2].tolist() == [[0, 0], [-0.25, 1 / 64]]


def test_flow_is_stored_as_kitti_says() -> None:
    """R: 64 x + 2^15, G: 64 y + 2^15, B: valid."""
    data = encode_flow(np.array([[[1.0, -2.0]]], np.float32))
    assert data[16:26] == struct.pack(">IIBB", 1, 1, 16, 2)  # 1 x 1, 16 bit, RGB
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    row = zlib.decompress(data[start + 4 : start + 4 + length])
    assert struct.unpack(">HHH", row[1:]) == (64 + 32768, -128 + 32768, 1)  # without a filter: one pixel has no left


@pytest.mark.parametrize("value", [511.0, -511.0, 2000.0, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("component", [0, 1])
def test_flow_out_of_range_is_invalid(value: float, component: int) -> None:
    flow_HW2 = np.ones((1, 2, 2), np.float32)
    flow_HW2[0, 0, component] = value
    back_HW2, valid_HW = decode_flow(encode_flow(flow_HW2))
    assert valid_HW.tolist() == [[False, True]]
    assert back_HW2[0].tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("data", [b"abc", saved(picture("RGB")), encode_ids(noise(2, 2, np.uint16))])
def test_what_is_no_flow_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no KITTI flow: a 16-bit PNG with three channels is needed"):
        decode_flow(data)
