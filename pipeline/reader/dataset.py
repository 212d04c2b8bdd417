"""Opens versions and reads clips with decoded frames. Plain pyarrow works as well; this saves writing it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_flow, decode_ids, decode_image
from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset.versions import Version, open_version, split_uri
from flowreel.pipeline.reader.manifest_filter import Filter, Where
from flowreel.pipeline.reader.row_groups import RowGroups
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import ALL_COLUMNS

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

    def rows(self, clip: int, columns: Sequence[str] = ALL_COLUMNS) -> pa.Table:
        """Reads a clip's rows of its data file, media as they are stored: one ranged read of one row group."""
        index = self.index
        wanted = index.row_F[index.edge_C[clip] : index.edge_C[clip + 1]]
        path = index.shards[index.shard_C[clip]]
        table = self.row_groups.read(path, int(index.group_C[clip]), list(columns))
        return table if len(wanted) == len(table) else table.take(pa.array(wanted))

    def clip(self, clip: int) -> ClipData:
        """Reads and decodes one clip. Raises IndexError beyond the last clip, IntegrityError or ValueError for
        damaged media."""
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
) -> Dataset:
    """Opens a dataset at a path or URL: its newest version, or the one that ``version`` or `URI@N` names.

    ``where`` chooses frames by their manifest columns: a pyarrow expression, or a dict of column -> value or list of
    values and ``classes`` -> {class: least pixels}. ``storage_options`` go to fsspec's driver. ``cache``: a folder that
    keeps what is read from a bucket. Raises UsageError for a version, column or class that does not exist, StorageError
    if the store cannot be read, IntegrityError for damaged files.
    """
    place, number = split_uri(uri)
    if None not in (number, version) and number != version:
        raise UsageError(f"{uri} names version {number}, and version={version} was given: leave one out")
    found = open_version(open_store(place, storage_options), number if version is None else version)
    return read_version(found, where, cache)


def read_version(version: Version, where: Where = None, cache: str | None = None) -> Dataset:
    """Does what `open_dataset` does for a version that is already open."""
    chosen = Filter.of(where, LabelSpace.model_validate(version.record.label_space))
    index = Index.of(chosen.read(version, ["shard", "row_group", "row"]))
    return Dataset(version, chosen, index, RowGroups.of(version, open_store(cache) if cache else None))


def decode_clip(rows: pa.Table) -> ClipData:
    """Decodes one row group of a data file. Raises ValueError for media that do not decode."""

    def media(column: str) -> list[bytes | None]:
        cells = rows[column].to_pylist() if column in rows.column_names else []
        return [cell["bytes"] if cell else None for cell in cells]

    instances, flows, depths = media("instance"), media("flow"), media("depth")
    labels: NDArray[np.integer] = np.stack([decode_ids(data) for data in media("label") if data is not None])
    flow = None
    if any(flows):
        still = np.zeros((*labels.shape[1:], 2), np.float32)
        flow = np.stack([decode_flow(data)[0] if data else still for data in flows])
    return ClipData(
        clip_id=rows["clip_id"][0].as_py(),
        sequence_id=rows["sequence_id"][0].as_py(),
        variant=rows["variant"][0].as_py(),
        image_THW3=np.stack([decode_image(data) for data in media("image") if data is not None]),
        label_THW=labels,
        instance_THW=np.stack([decode_ids(data) for data in instances if data]) if any(instances) else None,
        flow_THW2=flow,
        timestamp_T=rows["timestamp_s"].to_numpy(),
        depth_THW=np.stack([decode_ids(data).astype(np.uint16) for data in depths if data]) if any(depths) else None,
        keypoints=rows["keypoints"].to_pylist() if "keypoints" in rows.column_names else None,
    )
