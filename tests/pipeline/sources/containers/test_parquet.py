"""Parquet files with image columns, as Hugging Face's `datasets` writes them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flowreel.pipeline.sources.catalog import Catalog, scan
from flowreel.pipeline.sources.containers.members import MEMBERS
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.source import SourceSpec
from tests.support.containers import HF_IMAGE, parquet_of

IDS = [np.full((8, 16), t, np.uint8) for t in range(6)]


def png(ids_HW: "np.ndarray[Any, Any]") -> bytes:
    sink = io.BytesIO()
    Image.fromarray(ids_HW).save(sink, "PNG")
    return sink.getvalue()


def opened(root: Path, **columns: Any) -> tuple[Store, Catalog]:
    source = SourceSpec.model_validate({"uri": str(root), "columns": columns})
    store = with_members(open_store(source.uri), source, MEMBERS.empty_table)
    return store, scan(store, source, open_label_space("cityscapes", {}), INDEX.empty_table())


def names(catalog: Catalog) -> list[tuple[str, list[str]]]:
    return [(s.sequence_id, [f.name for f in s.frames]) for s in catalog.sequences]


def test_the_layout_of_the_hub(tmp_path: Path) -> None:
    """Columns image and annotation of feature Image, its description in the schema, files named by split."""
    features = {"image": {"_type": "Image"}, "annotation": {"_type": "Image"}, "scene": {"dtype": "string"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    cells = [{"bytes": png(ids), "path": f"{t:05d}.png"} for t, ids in enumerate(IDS)]
    columns = {
        "image": pa.array(cells, HF_IMAGE),
        "annotation": pa.array(cells, HF_IMAGE),
        "scene": pa.array(["b"] * 4 + ["a"] * 2),
        "index": pa.array([3, 2, 1, 0, 12, 11], pa.int16()),
    }
    for split in ("train", "validation"):
        path = tmp_path / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns).replace_schema_metadata(meta), path, row_group_size=2)
    given = {"sequence": "scene", "frame": "index", "label": "annotation"}
    with pytest.raises(SourceError, match="is there 2 times, in data/train.* and data/validation"):
        opened(tmp_path, **given)
    store, catalog = opened(tmp_path, **given, files="data/train-*.parquet")
    assert names(catalog) == [("a", ["000011", "000012"]), ("b", ["000000", "000001", "000002", "000003"])]
    assert [store.read(f.label.path) for f in catalog.sequences[1].frames] == [png(IDS[t]) for t in (3, 2, 1, 0)]
    assert not catalog.problems


def test_rows_are_frames_in_order_and_files_sequences(tmp_path: Path) -> None:
    for name in ("one", "two"):
        parquet_of(tmp_path / f"{name}.parquet", [{"label": png(ids)} for ids in IDS], 4)
    store, catalog = opened(tmp_path)
    assert names(catalog) == [(name, [f"{t:06d}" for t in range(6)]) for name in ("one", "two")]
    paths = [f.label.path for f in catalog.sequences[1].frames]
    assert store.read_all([paths[5], paths[0], paths[2]]) == [png(IDS[t]) for t in (5, 0, 2)]


def test_plain_binary_columns(tmp_path: Path) -> None:
    for kind in (pa.binary(), pa.large_binary()):
        pq.write_table(pa.table({"label": pa.array([png(ids) for ids in IDS], kind)}), tmp_path / "a.parquet")
        assert opened(tmp_path)[1].pixels == {t: 128 for t in range(6)}


def _cell(path: Path, value: Any) -> None:
    pq.write_table(pa.table({"label": pa.array([value], HF_IMAGE), "drive": ["a"], "no": [0]}), path)


@pytest.mark.parametrize(
    ("value", "columns", "says"),
    [
        (
            {"bytes": None, "path": "a/0.png"},
            {},
            "a.parquet: row 0 of row group 0, label: no bytes, only the path 'a/0",
        ),
        (None, {}, "row 0 of row group 0, label: empty; every frame needs its map"),
        (
            {"bytes": b"", "path": None},
            {"label": "mask"},
            "it has no column 'mask' .*; its columns are: label, drive, no",
        ),
        (
            {"bytes": b"", "path": None},
            {"label": "drive"},
            "column 'drive' .source.columns.label. is string, binary or",
        ),
        ({"bytes": b"", "path": None}, {"sequence": "label"}, "column 'label' .* text or integers are needed"),
        ({"bytes": b"", "path": None}, {"files": "b/*.parquet"}, "no file matches source.columns.files 'b/"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, value: Any, columns: dict[str, str], says: str) -> None:
    _cell(tmp_path / "a.parquet", value)
    with pytest.raises(SourceError, match=says):
        opened(tmp_path, **columns)


def test_names_stay_below_the_source(tmp_path: Path) -> None:
    for name in ("../x", "/etc", "", "a//b"):
        parquet_of(tmp_path / "a.parquet", [{"label": png(IDS[0]), "drive": name}])
        with pytest.raises(SourceError, match="column 'drive' is .* in row 0, which names nothing"):
            opened(tmp_path, sequence="drive")
    parquet_of(tmp_path / "a.parquet", [{"label": png(IDS[0]), "frame": "a/b"}])
    with pytest.raises(SourceError, match="a frame's name has no slash"):
        opened(tmp_path, frame="frame")


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, keep: float) -> None:
    path = parquet_of(tmp_path / "a.parquet", [{"label": png(ids)} for ids in IDS])
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(SourceError, match="a.parquet: no Parquet file, or a damaged or truncated one"):
        opened(tmp_path)
