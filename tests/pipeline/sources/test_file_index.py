"""What is remembered of source files."""

import hashlib
import io
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.sources.file_index import (
    INDEX,
    INDEX_PATH,
    FileFacts,
    Role,
    facts_in,
    index_of,
    inspect,
    key_of,
    keys_of,
    load_index,
    save_index,
)
from flowreel.pipeline.storage import FileInfo, Store, open_store

LABEL = encode_ids(np.array([[7, 7, 26], [0, 7, 26]], np.uint8))
INSTANCE = encode_ids(np.array([[26001, 0]], np.uint16))
FACTS = {
    "label|a|1|t": inspect(LABEL, "label"),
    "instance|b|2|t": inspect(INSTANCE, "instance"),
    "label|c|3|t": inspect(b"junk", "label"),
    "other|d|4|é": inspect(b"weights", "other"),
}


@pytest.fixture
def store() -> Store:
    return open_store(f"memory://{uuid4().hex}")


def test_a_label_map_is_known_by_size_ids_and_counts() -> None:
    facts = inspect(LABEL, "label")
    assert facts == FileFacts(hashlib.sha256(LABEL).hexdigest(), 3, 2, (0, 7, 26), (1, 3, 2))
    assert all(type(v) is int for v in (*facts.ids, *facts.counts, facts.width, facts.height))


def test_other_files_are_known_by_less() -> None:
    assert inspect(INSTANCE, "instance") == FileFacts(hashlib.sha256(INSTANCE).hexdigest(), 2, 1)
    assert inspect(b"anything", "other") == FileFacts(hashlib.sha256(b"anything").hexdigest())


@pytest.mark.parametrize("role", ["label", "instance"])
def test_a_broken_map_is_known_by_its_error(role: Role) -> None:
    sink = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(sink, "PNG")
    for data, words in (
        (LABEL[:-30], "truncated or damaged"),
        (b"x", "no image: 1 bytes"),
        (sink.getvalue(), "RGB image"),
    ):
        facts = inspect(data, role)
        digest, reading = hashlib.sha256(data).hexdigest(), facts.reading
        assert words in facts.error and facts == FileFacts(digest, reading=reading, error=facts.error)


def test_the_key_changes_with_role_place_size_and_tag() -> None:
    info = FileInfo("p", 5, "tag", 1.0)
    others = [key_of("u", replace(info, size=6), "label"), key_of("u", replace(info, tag="new"), "label")]
    others += [key_of("v", info, "label"), key_of("u", info, "instance")]
    assert len({key_of("u", info, "label"), *others}) == 5
    assert key_of("u", replace(info, modified_s=2.0), "label") == key_of("u", info, "label")


def test_keys_of_many_files_are_those_of_each(store: Store) -> None:
    infos = [FileInfo("a/0.png", 5, "tag", 1.0), FileInfo("é/b.png", 2**40, "", 0.0)]
    columns = {name: [getattr(info, name) for info in infos] for name in ("path", "size", "tag")}
    for root, place in ((store.uri, store), ("/", open_store("/"))):
        found = keys_of(root, pa.table(columns), "instance").to_pylist()
        assert found == [key_of(place.url(info.path), info, "instance") for info in infos]


def test_the_index_comes_back_as_it_was(store: Store) -> None:
    save_index(store, index_of(FACTS.items()))
    assert facts_in(load_index(store)) == FACTS
    save_index(store, INDEX.empty_table())
    assert facts_in(load_index(store)) == {}


def test_there_may_be_no_index(store: Store) -> None:
    assert facts_in(load_index(store)) == {}


def test_an_index_of_another_format_is_not_used(store: Store) -> None:
    save_index(store, index_of(FACTS.items()))
    table = pq.read_table(io.BytesIO(store.read(INDEX_PATH)))
    for metadata in ({b"flowreel.index": b"0"}, None):
        sink = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(metadata), sink)
        store.write(INDEX_PATH, sink.getvalue())
        assert facts_in(load_index(store)) == {}


def test_an_index_cut_short_is_not_used(store: Store) -> None:
    save_index(store, index_of(FACTS.items()))
    data = store.read(INDEX_PATH)
    for cut in range(0, len(data), 50):
        store.write(INDEX_PATH, data[:cut])
        assert facts_in(load_index(store)) == {}


def test_a_damaged_index_is_not_used(store: Store) -> None:
    save_index(store, index_of(FACTS.items()))
    data = bytearray(store.read(INDEX_PATH))
    (length,) = np.frombuffer(data[-8:-4], "<u4")
    data[-8 - int(length) : -8] = bytes(int(length))
    store.write(INDEX_PATH, bytes(data))
    assert facts_in(load_index(store)) == {}
