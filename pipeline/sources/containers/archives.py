"""What tar and zip archives hold, and the bytes of their members."""

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from flowreel.pipeline.sources.containers.members import DEFLATED, ENCRYPTED, LINK, STORED, Member
from flowreel.pipeline.sources.containers.windows import WindowedFile
from flowreel.schemas.errors import SourceError

MOST_BYTES = 2**30  # of one member
_BLOCK = 512
_PADDING = 2**20  # zeros that may follow a tar archive's end mark
_METHODS = {STORED: "stored", DEFLATED: "deflated"}
_LOCAL = struct.Struct("<4s5H3I2H")  # a zip member's own header


def tar_members(file: WindowedFile, url: str) -> Iterator[Member]:
    """Yields the members of an uncompressed tar archive, which is read once from end to end.

    Raises SourceError for one that is damaged, cut short or followed by another.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # tarfile keeps all of them
                if info.isdir():
                    continue
                start, name = info.offset_data, _plain(info.name, url)
                if info.sparse is not None:
                    raise SourceError(f"{url}: member '{name}' is a sparse file; pack it without --sparse")
                plain = info.isreg()
                yield name, start, start + info.size, info.size, info.size, -1, STORED if plain else LINK
            _check_end(file, archive.offset, url)
    except tarfile.TarError as error:
        raise SourceError(f"{url}: damaged or truncated tar archive: {error}; pack or download it again") from None


def _check_end(file: WindowedFile, end: int, url: str) -> None:
    """Raises SourceError unless the end mark stands at ``end``: a damaged header, and a cut between two members, look
    like the end of the archive to `tarfile`."""
    file.seek(end)
    mark = file.read(_BLOCK)
    if len(mark) < _BLOCK:
        raise SourceError(f"{url}: truncated tar archive: its end mark is missing; pack or download it again")
    if any(mark):
        raise SourceError(f"{url}: damaged tar archive: no header of a member at byte {end}; pack or download it again")
    if any(file.read(_PADDING)) or file.tell() < file.size:
        raise SourceError(
            f"{url}: something follows the archive's end mark at byte {end}: were archives joined? Pack all files into"
            " one, or keep them apart"
        )


def zip_members(file: WindowedFile, url: str) -> Iterator[Member]:
    """Yields the members of a zip archive: only its directory is read. Raises SourceError for a damaged one."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos, end = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise SourceError(f"{url}: damaged or truncated zip archive: {error}; pack or download it again") from None
    starts = sorted(info.header_offset for info in infos)
    behind: Mapping[int, int] = dict(zip(starts, [*starts[1:], end], strict=True))
    for info in infos:
        name, start = _plain(info.filename, url), info.header_offset
        if info.is_dir():
            continue
        stop = behind[start]
        if len(behind) != len(infos) or not 0 <= start <= start + _LOCAL.size + info.compress_size <= stop:
            raise SourceError(f"{url}: member '{name}' overlaps another one: a damaged or hostile zip archive")
        method = ENCRYPTED if info.flag_bits & 1 else info.compress_type
        if stat.S_ISLNK(info.external_attr >> 16):
            method = LINK
        yield name, start, stop, info.file_size, info.compress_size, info.CRC, method


def check_readable(member: Mapping[str, Any], url: str) -> None:
    """Raises SourceError, naming the member by its ``url``, for one that is not a plain file of a sensible size."""
    method, size = member["method"], member["size"]
    if method == LINK:
        raise SourceError(f"{url}: a link or device, not a file; pack what it leads to (tar --dereference)")
    if method == ENCRYPTED:
        raise SourceError(f"{url}: encrypted; pack it without a password")
    if method not in _METHODS:
        raise SourceError(f"{url}: compressed by method {method} of zip; deflate or store it (zip -0)")
    if size > MOST_BYTES:
        raise SourceError(f"{url}: {size:,} bytes, at most {MOST_BYTES:,} are read of one member")


def member_bytes(member: Mapping[str, Any], stored: bytes, *, zipped: bool, url: str) -> bytes:
    """Gives a member's bytes from those between its ``start`` and ``stop``. Raises SourceError for damaged ones."""
    if not zipped:
        return stored
    if stored[:4] != b"PK\3\4" or len(stored) < _LOCAL.size:
        raise SourceError(f"{url}: damaged: no zip member starts at byte {member['start']}")
    *_, name, extra = _LOCAL.unpack_from(stored)
    first = _LOCAL.size + name + extra
    data = stored[first : first + member["packed"]]
    if member["method"] == DEFLATED:
        unpacker = zlib.decompressobj(-15)
        try:
            data = unpacker.decompress(data, member["size"] + 1)
        except zlib.error as error:
            raise SourceError(f"{url}: damaged: {error}") from None
    if len(data) != member["size"] or zlib.crc32(data) != member["check"]:
        raise SourceError(f"{url}: damaged: its bytes are not those that the zip archive was made of (CRC-32)")
    return data


def _plain(name: str, url: str) -> str:
    """Gives a member's name without a leading ``./``. Raises SourceError for one that could lead elsewhere."""
    plain = name.removeprefix("./").rstrip("/")
    parts = plain.split("/")
    if plain and (any(part in ("", ".", "..") for part in parts) or any(c in name for c in "\\\0\n\r")):
        raise SourceError(
            f"{url}: member {name!r} is no path below the archive: absolute, or with '..', empty parts or backslashes;"
            " pack it with relative names"
        )
    return plain
