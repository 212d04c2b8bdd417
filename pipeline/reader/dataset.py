"""Opens versions and reads clips with decoded frames. Plain pyarrow works as well; this saves writing it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_flow, decode_ids, decode_image
from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.checked_table import STEP, raise_at
from flowreel.pipeline.dataset.versions import MANIFEST_FILE, SHARDS_FILE, Version, open_version, split_uri
from flowreel.pipeline.reader.manifest_filter import Filter, Where
from flowreel.pipeline.reader.row_groups import RowGroups
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import DamagedMedia, IntegrityError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import ALL_COLUMNS, MANIFEST

CLIPS_AHEAD = 2


@dataclass(frozen=True)
class ClipData:
    """One published clip, decoded."""

    clip_id: str
    sequence_id: str
    variant: int
    image_THW3: NDArray[np.uint8]  # RGB
    label_THW: NDArray[np.integer]  # ids of the label space
    instance_THW: NDArray[np.integer] | None
    flow_THW2: NDArray[np.float32] | None  # backward flow t -> t-1 in pixels (x, y); frame 0 is zero
    timestamp_T: NDArray[np.float64]  # seconds in the sequence
    depth_THW: NDArray[np.uint16] | None = None  # centimetres, 0: none; of procedural scenes
    keypoints: list[list[dict[str, Any]]] | None = None  # per frame and person: track, points, confidence


@dataclass(frozen=True)
class Index:
    """The places of a dataset's frames, in manifest order; the frames of a clip follow each other."""

    shard_C: NDArray[np.int32]  # number in `shards`
    shards: tuple[str, ...]  # data files
    group_C: NDArray[np.int32]
    edge_C: NDArray[np.int64]  # where each clip begins in row_F, and the end
    row_F: NDArray[np.int64]  # a frame's row in its row group

    @classmethod
    def of(cls, places: pa.Table) -> "Index":
        """Builds the index. ``places``: columns shard, row_group and row."""
        shard = places["shard"].combine_chunks().dictionary_encode()
        code_F, group_F = shard.indices.to_numpy(), places["row_group"].to_numpy()
        turn = (np.diff(code_F, prepend=-1) != 0) | (np.diff(group_F, prepend=-1) != 0)
        first = np.flatnonzero(turn)
        edges = np.append(first, len(places)).astype(np.int64)
        row_F = places["row"].to_numpy().astype(np.int64)
        back = np.flatnonzero((np.diff(row_F) <= 0) & ~turn[1:])
        if len(back):  # a clip twice, or its frames out of order
            raise IntegrityError(
                f"{MANIFEST_FILE}: column row: {row_F[back[0] + 1]} follows {row_F[back[0]]} in one clip; {STEP}"
            )
        return cls(code_F[first], tuple(shard.dictionary.to_pylist()), group_F[first], edges, row_F)


@dataclass(frozen=True)
class Dataset:
    """The frames of a version that pass a filter, and the clips that they form. Made by `open_dataset`.

    A clip of a filtered dataset has only the frames that passed; clips without any are left out.
    """

    version: Version
    filter: Filter
    index: Index
    row_groups: RowGroups = field(repr=False)

    def __len__(self) -> int:
        """Counts the clips."""
        return len(self.index.group_C)

    @property
    def frames(self) -> int:
        """Counts the frames."""
        return len(self.index.row_F)

    @property
    def label_space(self) -> LabelSpace:
        """Gives the label space of its labels."""
        return LabelSpace.model_validate(self.version.record.label_space)

    def manifest(self, columns: list[str]) -> pa.Table:
        """Reads manifest columns of the frames that passed, in the order of the index."""
        return self.filter.read(self.version, columns)

    def heads(self, columns: list[str]) -> pa.Table:
        """Reads manifest columns of the first frame of each clip, in the order of the index."""
        if self.filter.expression is not None or self.filter.least_pixels:
            return self.manifest(columns).take(pa.array(self.index.edge_C[:-1]))
        wanted = [*columns, *({"row"} - {*columns})]
        parts = [MANIFEST.empty_table().select(columns)]
        for part in self.version.manifest_parts(wanted):
            parts.append(part.filter(pc.equal(part["row"], 0)).select(columns))
        return pa.concat_tables(parts)

    def rows(self, clip: int, columns: Sequence[str] = ALL_COLUMNS) -> pa.Table:
        """Reads a clip's rows of its data file, media as they are stored: one ranged read of one row group."""
        index = self.index
        wanted = index.row_F[index.edge_C[clip] : index.edge_C[clip + 1]]
        path = index.shards[index.shard_C[clip]]
        group = int(index.group_C[clip])
        table = self.row_groups.read(path, group, list(columns))
        if wanted[-1] >= len(table):
            url = self.version.dataset.url(path)
            raise IntegrityError(
                f"{url}, row group {group}: {len(table)} rows, but the manifest names row {wanted[-1]}; {STEP}"
            )
        return table if len(wanted) == len(table) else table.take(pa.array(wanted))

    def verified(self) -> "Dataset":
        """Gives the same dataset, of which nothing is handed on before its hash is checked: of the manifest now, of
        each data file once, when it is first read. Raises IntegrityError."""
        if self.row_groups.verify:
            return self
        for name in (MANIFEST_FILE, SHARDS_FILE):
            self.version.check_hash(name)
        return replace(self, row_groups=RowGroups.of(self.version, self.row_groups.cache, verify=True))

    def clip(self, clip: int) -> ClipData:
        """Reads and decodes one clip. Raises IndexError beyond the last clip, IntegrityError for what is damaged
        (DamagedMedia, a ValueError too, for media)."""
        return decode_clip(self.rows(clip))

    def clips(self) -> Iterator[ClipData]:
        """Yields all clips in manifest order; the next ones are read and decoded meanwhile."""
        return prefetch(self.clip, range(len(self)), CLIPS_AHEAD)


def open_dataset(
    uri: str,
    version: int | None = None,
    where: Where = None,
    storage_options: Mapping[str, Any] | None = None,
    cache: str | None = None,
    verify: bool = False,
) -> Dataset:
    """Opens a dataset at a path or URL: its newest version, or the one that ``version`` or `URI@N` names.

    ``where`` chooses frames by their manifest columns: a pyarrow expression, or a dict of column -> value or list of
    values and ``classes`` -> {class: least pixels}. ``storage_options`` go to fsspec's driver. ``cache``: a folder that
    keeps what is read from a bucket. ``verify``: compare each file with its published SHA-256 before anything of it is
    handed on: the manifest now, data files when they are first read, once in each process.

    Raises UsageError for a version, column or class that does not exist, StorageError if the store cannot be read,
    IntegrityError for damaged files.
    """
    place, number = split_uri(uri)
    if None not in (number, version) and number != version:
        raise UsageError(f"{uri} names version {number}, and version={version} was given: leave one out")
    found = open_version(open_store(place, storage_options), number if version is None else version)
    return read_version(found, where, cache, verify)


def read_version(version: Version, where: Where = None, cache: str | None = None, verify: bool = False) -> Dataset:
    """Does what `open_dataset` does for a version that is already open."""
    if verify:
        for name in (MANIFEST_FILE, SHARDS_FILE):
            version.check_hash(name)
    chosen = Filter.of(where, LabelSpace.model_validate(version.record.label_space))
    index = Index.of(chosen.read(version, ["shard", "row_group", "row"]))
    row_groups = RowGroups.of(version, open_store(cache) if cache else None, verify)
    if unknown := sorted(set(index.shards) - row_groups.files.keys()):
        clip = int(np.flatnonzero(index.shard_C == index.shards.index(unknown[0]))[0])
        bound = f"a data file that {SHARDS_FILE} names"
        raise_at(f"{version.url(MANIFEST_FILE)}: column shard", int(index.edge_C[clip]), unknown[0], bound)
    return Dataset(version, chosen, index, row_groups)


def decode_clip(rows: pa.Table) -> ClipData:
    """Decodes one row group of a data file.

    Raises DamagedMedia, naming the clip, for media that do not decode or differ in size.
    """
    try:
        return _decoded(rows)
    except ValueError as error:
        raise DamagedMedia(f"clip {rows['clip_id'][0].as_py()}: {error}; `flowreel verify` lists all damage") from None


def _decoded(rows: pa.Table) -> ClipData:
    """Decodes one row group. Raises ValueError for media that do not decode or differ in size."""

    def media(column: str) -> list[bytes | None]:
        cells = rows[column].to_pylist() if column in rows.column_names else []
        return [cell["bytes"] if cell else None for cell in cells]

    def maps(column: str) -> NDArray[np.integer] | None:
        found = media(column)
        return _stacked(column, decode_ids, found) if any(data is not None for data in found) else None

    label_THW = _stacked("label", decode_ids, media("label"))
    flows, depth_THW = media("flow"), maps("depth")
    flow_THW2 = None
    if any(flows):
        still = np.zeros((*label_THW.shape[1:], 2), np.float32)
        flow_THW2 = np.stack([decode_flow(data)[0] if data else still for data in flows])
    clip = ClipData(
        clip_id=rows["clip_id"][0].as_py(),
        sequence_id=rows["sequence_id"][0].as_py(),
        variant=rows["variant"][0].as_py(),
        image_THW3=_stacked("image", decode_image, media("image")),
        label_THW=label_THW,
        instance_THW=maps("instance"),
        flow_THW2=flow_THW2,
        timestamp_T=rows["timestamp_s"].to_numpy(),
        depth_THW=None if depth_THW is None else depth_THW.astype(np.uint16),
        keypoints=rows["keypoints"].to_pylist() if "keypoints" in rows.column_names else None,
    )
    for name in ("image_THW3", "instance_THW", "depth_THW"):
        found = getattr(clip, name)
        if found is not None and found.shape[:3] != label_THW.shape:
            raise ValueError(f"{name.partition('_')[0]} is {found.shape[:3]}, label {label_THW.shape}; must be equal")
    return clip


def _stacked(column: str, decode: Callable[[bytes], NDArray[Any]], media: Sequence[bytes | None]) -> NDArray[Any]:
    """Decodes a medium of all frames. Raises ValueError, naming the frame, where one is missing, does not decode or has
    another size."""
    found: list[NDArray[Any]] = []
    for t, data in enumerate(media):
        try:
            found.append(decode(data or b""))
        except ValueError as error:
            raise ValueError(f"{column} of frame {t}: {'missing' if data is None else error}") from None
        if found[t].shape != found[0].shape:
            raise ValueError(f"{column} of frame {t}: {found[t].shape}, unlike {found[0].shape} before")
    return np.stack(found)
