"""An index of source files, kept beside the dataset: an unchanged file is only listed again, never read.

The index is a table, one row per file: sources have millions of them.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_image
from flowreel.pipeline.image_files import decoding
from flowreel.pipeline.parquet import read_parquet
from flowreel.pipeline.pointers import check_no_pointer
from flowreel.pipeline.sources.containers.members import MEMBERS_PATH
from flowreel.pipeline.sources.encodings import PLAIN, MapDecoder
from flowreel.pipeline.sources.instance_ids import special_ids
from flowreel.pipeline.sources.keypoints.frames import densepose_in, people_in
from flowreel.pipeline.sources.keypoints.landmarks import parse_landmarks
from flowreel.pipeline.storage import FileInfo, Store, sha256_of
from flowreel.schemas.errors import StorageError
from flowreel.schemas.sequence import DIGEST_BYTES

Role = Literal["label", "instance", "image", "densepose", "openpose", "skeleton", "landmarks", "other"]
INDEX_PATH = "cache/sources.parquet"
_IDS, _COUNTED = 65_536, 2**20  # ids that there can be; pixels that are counted at a time
FORMAT = b"4"  # increase when `inspect` learns to find something new, or the columns change
DIGEST = pa.binary(DIGEST_BYTES)
INDEX = pa.schema(  # "element": as Parquet names what lists hold
    [
        ("key", pa.large_string()),  # `key_of`
        ("digest", DIGEST),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("ids", pa.list_(pa.field("element", pa.int32()))),
        ("counts", pa.list_(pa.field("element", pa.int64()))),
        ("reading", pa.string()),
        ("error", pa.string()),
    ],
    metadata={b"flowreel.index": FORMAT},
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The facts of one file, from its bytes. ``error`` is empty for a good file; counts are of label maps only, and ids
    of instance maps those of `special_ids`.

    ``reading``: how its ids were read, and the rule by which (`MapDecoder.accepts`); "" if its bytes alone decide that.
    """

    digest: str  # SHA-256 of the bytes
    width: int = 0
    height: int = 0
    ids: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()  # pixels per id
    reading: str = ""
    error: str = ""


def inspect(data: bytes, role: Role, decoder: MapDecoder = PLAIN, path: str = "") -> FileFacts:
    """Fingerprints a file and decodes it in full: header, mode, size, completeness, and the ids that a label map
    holds. ``decoder``: of label and instance maps; ``path``: below the source."""
    digest = hashlib.sha256(data).hexdigest()
    if role == "other":
        return FileFacts(digest)
    with decoding(data):
        return _decoded(data, role, digest, decoder, path)


def _decoded(data: bytes, role: Role, digest: str, decoder: MapDecoder, path: str) -> FileFacts:
    """Gives the facts of a file that is more than bytes; see `inspect`."""
    try:
        check_no_pointer(data)
        if role in ("image", "densepose"):
            height, width, _ = (decode_image if role == "image" else densepose_in)(data).shape
            return FileFacts(digest, width, height)
        if role == "landmarks":
            parse_landmarks(data, "landmarks")
            return FileFacts(digest)
        if role in ("openpose", "skeleton"):
            people_in(data, basic=role == "skeleton")
            return FileFacts(digest)
        found = decoder.read(data, path, role)
    except ValueError as error:
        reading = f"|{decoder.accepts(role)[0]}" if role in ("label", "instance") else ""
        return FileFacts(digest, reading=reading, error=str(error))
    height, width = found.ids_HW.shape
    if role == "instance":
        return FileFacts(digest, width, height, ids=special_ids(found.ids_HW), reading=found.reading)
    counts = np.zeros(_IDS, np.int64)
    for part in _parts(found.ids_HW):
        counts += np.bincount(part, minlength=_IDS)
    present = np.flatnonzero(counts)
    return FileFacts(digest, width, height, tuple(present.tolist()), tuple(counts[present].tolist()), found.reading)


def _parts(ids_HW: NDArray[np.integer]) -> Iterator[NDArray[np.integer]]:
    """Yields the ids of a map piece by piece: NumPy counts them as 8 bytes each."""
    flat = ids_HW.reshape(-1)
    for first in range(0, max(1, flat.size), _COUNTED):
        yield flat[first : first + _COUNTED]


def key_of(url: str, info: FileInfo, role: Role) -> str:
    """Names a state of a file by its place, size and etag or time of change: while the key is the same, so is the
    file."""
    return f"{role}|{url}|{info.size}|{info.tag}"


def fingerprint_of(store: Store, file: FileInfo, known: dict[str, FileFacts]) -> str:
    """Gives a file's SHA-256: from ``known``, else by reading it, which adds it to ``known``."""
    key = key_of(store.url(file.path), file, "other")
    if key not in known:
        known[key] = FileFacts(sha256_of(store, file))
    return known[key].digest


def keys_of(root: str, files: pa.Table, role: Role) -> pa.Array:
    """Gives `key_of` of many files: ``files`` has their path below the URL ``root``, size and tag."""
    place = root + ("" if root.endswith("/") else "/")
    text = pa.large_string()
    parts = [files[name].cast(text) for name in ("path", "size", "tag")]
    url = pc.binary_join_element_wise(pa.scalar(f"{role}|{place}", text), parts[0], pa.scalar("", text))
    keys = pc.binary_join_element_wise(url, *parts[1:], pa.scalar("|", text))
    return keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys


def known_rows(
    known: pa.Table, keys: pa.Array, wanted: Sequence[tuple[int, Role]], decoder: MapDecoder
) -> NDArray[np.int64]:
    """Gives the row of each key in an index, -1 where it is not there or was read by another rule than ``decoder``'s.

    ``wanted``: how many keys of each role there are, one role after the other.
    """
    row_N = pc.fill_null(pc.index_in(keys, value_set=known["key"].combine_chunks()), -1).to_numpy().astype(np.int64)
    first = 0
    for count, role in wanted:
        part_N, first = row_N[first : first + count], first + count
        if role not in ("label", "instance") or not (part_N >= 0).any():
            continue
        rule, plain = decoder.accepts(role)
        reading = known["reading"].take(pa.array(part_N[part_N >= 0]))
        fits = pc.ends_with(reading, f"|{rule}")
        fits = pc.or_(fits, pc.equal(reading, "")) if plain else fits
        part_N[part_N >= 0] = np.where(fits.to_numpy(), part_N[part_N >= 0], -1)
    return row_N


def index_of(facts: Iterable[tuple[str, FileFacts]]) -> pa.Table:
    """Builds an index of facts by key."""
    items = list(facts)
    columns = {
        "key": [key for key, _ in items],
        "digest": [bytes.fromhex(f.digest) for _, f in items],
        "width": [f.width for _, f in items],
        "height": [f.height for _, f in items],
        "ids": [f.ids for _, f in items],
        "counts": [f.counts for _, f in items],
        "reading": [f.reading for _, f in items],
        "error": [f.error for _, f in items],
    }
    return pa.table(columns, schema=INDEX)


def facts_in(index: pa.Table) -> dict[str, FileFacts]:
    """Reads an index as facts by key."""
    return {
        row["key"]: FileFacts(
            row["digest"].hex(),
            row["width"],
            row["height"],
            tuple(row["ids"]),
            tuple(row["counts"]),
            row["reading"],
            row["error"],
        )
        for row in index.to_pylist()
    }


def load_index(store: Store) -> pa.Table:
    """Loads the index kept beside a dataset; empty where there is none or it has another format, as it can be
    rebuilt."""
    nothing = INDEX.empty_table()
    try:
        table = read_parquet(store.read(INDEX_PATH))
    except (StorageError, pa.ArrowException, OSError):  # pyarrow reports flipped bits as OSError
        return nothing
    good = table.schema.equals(INDEX, check_metadata=True) and not any(column.null_count for column in table.columns)
    return table if good and _paired(table) else nothing


def _paired(index: pa.Table) -> bool:
    """Tells whether each id of a label map has a count, and texts are texts; those of instance maps have none."""
    try:
        index.validate(full=True)
    except pa.ArrowException:
        return False
    ids, counts = (pc.list_value_length(index[name]) for name in ("ids", "counts"))
    counted = pc.min_max(pc.list_flatten(index.filter(pc.greater(counts, 0))["ids"])).as_py()
    every = pc.min_max(pc.abs(pc.list_flatten(index["ids"]))).as_py()  # of instances: see `instance_ids.special_ids`
    uncounted = pc.and_(pc.starts_with(index["key"], "instance|"), pc.equal(counts, 0))
    paired = pc.all(pc.or_(pc.equal(ids, counts), uncounted)).as_py() is not False  # None: no rows
    return bool(paired and (counted["min"] or 0) >= 0 and (every["max"] or 0) < _IDS)


def forget_index(store: Store) -> None:
    """Deletes the index, so that all files are read again: one of them differs although its size and time do not."""
    store.delete(INDEX_PATH, MEMBERS_PATH)


def save_index(store: Store, index: pa.Table) -> None:
    """Replaces the stored index. The caller leaves out files that are gone, so that it does not grow for ever."""
    sink = io.BytesIO()
    pq.write_table(index, sink, compression="zstd")
    store.write(INDEX_PATH, sink.getvalue())
