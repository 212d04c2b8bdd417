"""Another Flowreel dataset as a source: the labels of its clips are rendered again."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.dataset.versions import MANIFEST_FILE, SHARDS_FILE, Version, open_version, split_uri
from flowreel.pipeline.sources.containers.members import CELL, OPENED
from flowreel.pipeline.sources.containers.store import ContainerStore
from flowreel.pipeline.storage import Store, absolute_uri, open_store
from flowreel.schemas.errors import IntegrityError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.source import LABELS, SourceSpec
from flowreel.schemas.spec import Spec

INSTANCES = "{sequence}/instances/*.png"
_COLUMNS = ["clip_id", "sequence_id", "variant", "frame_index", "split", "shard", "row_group", "row"]


@dataclass(frozen=True)
class Origin:
    """A published version as a source: one sequence per clip, named SEQUENCE/vVARIANT/CLIP."""

    spec: Spec  # with the version's number, frame rate, instance maps and shares of splits
    store: Store | None  # never None: as `open_source` has it
    space: LabelSpace
    splits: dict[str, str]  # of its sequences


def open_origin(spec: Spec, options: dict[str, Any]) -> Origin:
    """Opens the version that ``spec.source.dataset`` names, the newest by default. Raises UsageError if there is none,
    IntegrityError for a damaged one."""
    assert spec.source.dataset is not None
    uri, number = split_uri(spec.source.dataset)
    if absolute_uri(uri).rstrip("/") == absolute_uri(spec.dataset.uri).rstrip("/"):
        raise UsageError(f"source.dataset and dataset.uri are both {uri}; publish into another place")
    version = open_version(open_store(uri, options), number)
    record = version.record
    published = record.spec
    maps: dict[str, str | None] = {"labels": LABELS, "instances": None}
    if published.output.instances and published.source.has_instances:
        maps["instances"] = INSTANCES
    source: SourceSpec = spec.source.model_copy(
        update={"dataset": f"{uri}@{version.number}", "fps": published.source.fps, **maps}
    )
    rows = version.manifest(_COLUMNS)
    clip = pc.utf8_slice_codeunits(rows["clip_id"].cast(pa.string()), 0, 12)
    variant = rows["variant"].cast(pa.string())
    of_variant = pc.binary_join_element_wise("v", variant, "")
    name = pc.binary_join_element_wise(rows["sequence_id"].cast(pa.string()), of_variant, clip, "/")
    members = _cells(version, rows, name, maps)
    splits = dict(zip(name.to_pylist(), rows["split"].cast(pa.string()).to_pylist(), strict=True))
    store = ContainerStore(version.dataset.uri, version.dataset._options, members)
    space = LabelSpace.model_validate(record.label_space)
    return Origin(spec.model_copy(update={"source": source, "split": published.split}), store, space, splits)


def _cells(version: Version, rows: pa.Table, name: pa.ChunkedArray, maps: dict[str, str | None]) -> pa.Table:
    """Builds the members (columns OPENED) of label and instance maps."""
    shards = version.table(SHARDS_FILE, ["path", "size", "sha256"])
    place = pc.index_in(rows["shard"].cast(pa.string()), value_set=shards["path"].cast(pa.string()))
    if place.null_count:
        lost = rows["shard"].cast(pa.string()).filter(pc.is_null(place))[0].as_py()
        raise IntegrityError(
            f"{version.dataset.url(version.path(MANIFEST_FILE))}: damaged: {lost} is not in {SHARDS_FILE}"
        )
    state = pc.binary_join_element_wise(shards["size"].cast(pa.string()), shards["sha256"].cast(pa.string()), "|")
    frame = pc.utf8_lpad(rows["frame_index"].cast(pa.string()), 6, "0")
    nothing = np.zeros(len(rows), np.int64)
    parts = [OPENED.empty_table()]
    for role, column in (("labels", "label"), ("instances", "instance")):
        if maps[role] is None:
            continue
        path = pc.binary_join_element_wise(name, role, pc.binary_join_element_wise(frame, ".png", ""), "/")
        columns = [
            path.cast(pa.large_string()), pa.array([column] * len(rows), pa.string()),
            rows["shard"].cast(pa.string()).dictionary_encode(), state.take(place).dictionary_encode(),
            path.cast(pa.large_string()), rows["row_group"].cast(pa.int64()), rows["row"].cast(pa.int64()),
            nothing, nothing, nothing - 1, np.full(len(rows), CELL, np.int32),
        ]  # fmt: skip
        parts.append(pa.table(columns, schema=OPENED))
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()
