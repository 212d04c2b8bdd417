"""Tells which videos hold exactly the pixels that were put into them."""

import struct
import zlib

import av

from flowreel.schemas.errors import SourceError

LOSSLESS = (
    "ffv1",
    "png",
    "apng",
    "huffyuv",
    "ffvhuff",
    "utvideo",
    "magicyuv",
    "qtrle",
    "rawvideo",
    "bmp",
    "targa",
    "qoi",
)
PIXELS = {  # of frames that are decoded: their channels
    **{"gray": 1, "gray16le": 1, "gray16be": 1, "pal8": 1, "ya8": 2},
    **{"rgb24": 3, "bgr24": 3, "gbrp": 3, "bgr0": 3, "rgb0": 3, "0rgb": 3, "0bgr": 3},
    **{"rgba": 4, "bgra": 4, "argb": 4, "abgr": 4, "gbrap": 4},
}
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
HOW = (
    "A lossy video cannot be repaired: make one from the label maps themselves, ffmpeg -framerate FPS -i %06d.png"
    " -c:v ffv1 -level 3 -pix_fmt gray OUT.mkv (gray16le for ids above 255, bgr0 for colours), or keep them as single"
    " PNGs"
)


def check_lossless(stream: "av.video.stream.VideoStream", url: str) -> None:
    """Raises SourceError, naming codec and pixel format, for a video whose pixels are not exactly what went in."""
    context = stream.codec_context
    codec, pixels = context.codec.canonical_name, str(context.pix_fmt)
    if codec == "h264" and pixels == "gbrp":
        if not transform_bypass(context.extradata or b""):
            raise SourceError(f"{url}: H.264 in {pixels} with lossy compression, which changes ids. {HOW}")
    elif codec not in LOSSLESS:
        raise SourceError(f"{url}: {codec} in {pixels} is lossy, or not known to be lossless, and changes ids. {HOW}")
    if pixels not in PIXELS:
        raise SourceError(
            f"{url}: {codec} in {pixels}, a pixel format that ids pass through changed (YUV) or that is not read. {HOW}"
        )


def transform_bypass(extradata: bytes) -> bool:
    """Tells whether H.264's parameter sets, as MP4 or Annex B has them, all allow lossless macroblocks."""
    sets = list(_parameter_sets(extradata))
    return bool(sets) and all(_bypass_flag(each) for each in sets)


def lossless_blocks(enc_params: bytes) -> bool:
    """Tells whether all macroblocks of a frame have quantiser 0, from what FFmpeg exports (AVVideoEncParams)."""
    count, offset, size, _, base = struct.unpack_from("=IxxxxQQii", enc_params)
    deltas = {struct.unpack_from("=i", enc_params, offset + i * size + 16)[0] for i in range(count)}
    return count > 0 and {base + delta for delta in deltas} == {0}


def whole_slices(packet: bytes) -> bool:
    """Tells whether the slices of an FFV1 packet (version 3) have their checksums, if they carry any: FFmpeg notices
    wrong ones, and fills in from the frame before."""
    for trailer, checked in ((8, True), (3, False)):  # behind each slice: its size, and status and CRC
        end, slices = len(packet), []
        while end >= trailer:
            size = int.from_bytes(packet[end - trailer : end - trailer + 3], "big") + trailer
            if size > end:
                break
            slices.append(packet[end - size : end])
            end -= size
        if end == 0:
            return not checked or all(_crc(each) == 0 for each in slices)
    return False


def _crc(data: bytes) -> int:
    """Computes the CRC-32 that begins with 0 and takes the highest bit first, bits reversed."""
    return zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF


def _parameter_sets(data: bytes) -> list[bytes]:
    if data[:1] == b"\1":  # avcC: a count, then each with its length
        found, place = [], 6
        for _ in range(data[5] & 31 if len(data) > 5 else 0):
            length = int.from_bytes(data[place : place + 2], "big")
            found.append(data[place + 2 : place + 2 + length])
            place += 2 + length
        return found
    units = [unit.lstrip(b"\0") for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")]
    return [unit for unit in units if unit and unit[0] & 31 == 7]


def _bypass_flag(parameter_set: bytes) -> bool:
    """Reads qpprime_y_zero_transform_bypass_flag, which only profiles of 4:4:4 have."""
    data = parameter_set.replace(b"\0\0\3", b"\0\0")
    if len(data) < 6 or data[1] not in (244, 44):
        return False
    bits = f"{int.from_bytes(data[4:16], 'big'):0{8 * len(data[4:16])}b}"

    def number() -> int:  # Exp-Golomb
        nonlocal bits
        zeros = len(bits) - len(bits.lstrip("0"))
        value, bits = int(bits[zeros : 2 * zeros + 1], 2) - 1, bits[2 * zeros + 1 :]
        return value

    try:
        number()
        if number() == 3:  # chroma_format_idc
            bits = bits[1:]
        number(), number()  # bit depths
        return bits[:1] == "1"
    except ValueError:
        return False
