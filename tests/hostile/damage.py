"""Malformed inputs, made from valid ones the way disks, networks and malice do."""

import re
import struct
import zlib
from collections.abc import Callable

from hypothesis import strategies as st

Damage = Callable[[bytes], bytes]
WEIRD = (
    b"\0",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b"../",
    b"\xed\xa0\x80",
)


def damages() -> st.SearchStrategy[Damage]:
    """Cut short, bytes flipped, pieces put in, taken out, doubled, numbers replaced; one to three of them in a row."""
    place, byte = st.floats(0, 1), st.integers(1, 255)
    one = st.one_of(
        st.builds(_cut, place),
        st.builds(_flip, st.lists(st.tuples(place, byte), min_size=1, max_size=4)),
        st.builds(_insert, place, st.sampled_from(WEIRD)),
        st.builds(_remove, place, st.integers(1, 64)),
        st.builds(_double, place, st.integers(1, 64)),
        st.builds(
            _renumber, st.integers(0, 50), st.sampled_from([b"-1", b"0", b"1e9", b"99999999999999999999", b"NaN"])
        ),
        st.builds(_retype, st.integers(0, 50), st.sampled_from([b"null", b"[]", b"{}", b'"x"', b"true", b"7"])),
    )
    return st.lists(one, min_size=1, max_size=3).map(_chained)


def with_right_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have the checksums of their content, whatever that is: damage that no checksum shows."""
    out, at = png[:8], 8
    while at + 12 <= len(png):
        length = struct.unpack(">I", png[at : at + 4])[0]
        chunk = png[at + 4 : at + 8 + length]
        out += struct.pack(">I", max(0, len(chunk) - 4)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + length
    return out


def _at(data: bytes, place: float) -> int:
    return min(len(data), int(place * len(data)))


def _chained(steps: list[Damage]) -> Damage:
    def all_of_them(data: bytes) -> bytes:
        for step in steps:
            data = step(data)
        return data

    return all_of_them


def _cut(place: float) -> Damage:
    return lambda data: data[: _at(data, place)]


def _flip(flips: list[tuple[float, int]]) -> Damage:
    def flipped(data: bytes) -> bytes:
        out = bytearray(data)
        for place, bits in flips:
            if out:
                out[min(len(out) - 1, _at(data, place))] ^= bits
        return bytes(out)

    return flipped


def _insert(place: float, what: bytes) -> Damage:
    return lambda data: data[: _at(data, place)] + what + data[_at(data, place) :]


def _remove(place: float, count: int) -> Damage:
    return lambda data: data[: _at(data, place)] + data[_at(data, place) + count :]


def _double(place: float, count: int) -> Damage:
    return lambda data: data[: _at(data, place) + count] + data[_at(data, place) :]


def _renumber(which: int, new: bytes) -> Damage:
    return lambda data: _replaced(data, rb"-?\d+(\.\d+)?", which, new)


def _retype(which: int, new: bytes) -> Damage:
    return lambda data: _replaced(data, rb'"[^"]*"|\d+|true|false|null', which, new)


def _replaced(data: bytes, pattern: bytes, which: int, new: bytes) -> bytes:
    found = list(re.finditer(pattern, data[:100_000]))
    if not found:
        return data
    hit = found[which % len(found)]
    return data[: hit.start()] + new + data[hit.end() :]
