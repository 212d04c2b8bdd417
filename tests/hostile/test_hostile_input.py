"""Names that climb out of their folder, YAML that grows, absurd sizes, files that change under a run, secrets."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
import torch

from flowreel.jobs.spec_file import spec_text
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.dataset.versions import MANIFEST_FILE, RECORD, SHARDS_FILE, load
from flowreel.pipeline.evaluation.real_video import open_data
from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.reader.dataset import open_dataset
from flowreel.pipeline.reader.row_groups import RowGroups
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import CheckpointError, FlowreelError, IntegrityError, StorageError, UsageError
from flowreel.schemas.outcome import Failed, Rendered
from flowreel.schemas.parse import parse_spec
from tests.support.local_run import LocalRun

MINIMAL = "dataset: {uri: /d}\nsource: {uri: /s}\n"
SECRET = "hunter2-Wq8xK"


def test_a_label_file_that_is_replaced_during_the_run_fails_its_clip_alone(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    shards = list(prepared.plan.shards)
    before = local_run.render(prepared, shards[:1])
    victim = shards[1].clips[0]
    replaced = local_run.source / victim.frames[-1].label.path
    replaced.write_bytes(encode_ids(np.full((32, 64), 7, np.uint8)))
    after = local_run.render(prepared, shards[1:])
    clips = {clip.clip_id: clip for outcome in before + after for clip in outcome.clips}
    failed = clips.pop(victim.clip_id)
    assert isinstance(failed, Failed) and failed.kind == "input"
    assert failed.reason == f"{replaced}: changed since it was checked; run the command again"
    assert clips and all(isinstance(clip, Rendered) for clip in clips.values())
    version = local_run.publish(prepared, before + after)
    assert victim.clip_id not in version.manifest()["clip_id"].to_pylist()
    assert not verify(version).problems


def test_keys_of_a_bucket_that_climb_out_are_refused(s3_env: dict[str, Any], local_run: LocalRun) -> None:
    bucket = s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"], skip_instance_cache=True, use_listings_cache=False)
    bucket.mkdir("climbing")
    label = encode_ids(np.full((32, 64), 7, np.uint8))
    for key in ("source/a/labels/0.png", "source/../../etc/labels/0.png", "source/b\\..\\c/labels/0.png"):
        bucket.call_s3("put_object", Bucket="climbing", Key=key, Body=label)
    source = {"uri": "s3://climbing/source", "instances": None}
    options = {"endpoint_url": s3_env["endpoint"]}
    with pytest.raises(FlowreelError, match=r"is no path below s3://climbing/source"):
        local_run.prepare(source=source, storage_options=options)


@pytest.fixture
def forged(published: Path, tmp_path: Path) -> Path:
    """A dataset whose manifest and list of data files name one outside of it."""
    dataset = tmp_path / "dataset"
    shutil.copytree(published, dataset)
    outside = next((dataset / "data").glob("*.parquet"))
    (tmp_path / "outside.parquet").write_bytes(outside.read_bytes())
    folder, record = dataset / "versions/000001", json.loads((dataset / "versions/000001" / RECORD).read_text())
    for name, column in ((MANIFEST_FILE, "shard"), (SHARDS_FILE, "path")):
        table = pq.read_table(folder / name)
        paths = pa.array(["../outside.parquet"] * len(table))
        pq.write_table(table.set_column(table.schema.get_field_index(column), column, paths), folder / name)
        record["files"][name]["size"] = (folder / name).stat().st_size
    (folder / RECORD).write_text(json.dumps(record))
    return dataset


def test_a_manifest_cannot_reach_outside_of_its_dataset(forged: Path) -> None:
    version = load(open_store(str(forged)), 1)
    with pytest.raises(IntegrityError, match=r"column path, row 0: '\.\./outside\.parquet', must be data/<32 hex"):
        RowGroups.of(version)
    with pytest.raises(IntegrityError, match=r"column shard, row 0: '\.\./outside\.parquet', must be data/<32 hex"):
        open_dataset(str(forged))
    assert verify(version).problems


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            BOMB,
            "it holds more than a trillion values, and 100,000 are allowed; mappings, lists, keys and single",
        ),
        ("a: [" + "1," * 100_001 + "]", "it holds 100,004 values, and 100,000 are allowed"),
        ("#" * 1_000_001, "spec: 1,000,001 bytes, and a YAML file may have 1,000,000"),
        (
            MINIMAL + "storage_options: {secret: !hunter2 x}\n",
            "line 3, column 27: a tag that is not known here; put quotes",
        ),
        (MINIMAL + "storage_options: {secret: *hunter2 }\n", "an alias that nothing defines; put quotes around a text"),
        (MINIMAL + "storage_options: {secret: @hunter2}\n", "found character '@' that cannot start any token"),
        (MINIMAL + "storage_options: {secret: [hunter2\n", "expected ',' or ']', but got '<stream end>'"),
        ("a: &a [*a]\n", "a value contains itself"),
        ("a: " + "[" * 2_000, "nested too deeply"),
        ("a: !!python/object/apply:os.system ['true']\n", "a tag that is not known here"),
        (MINIMAL + "clips: {frames: 1, frames: 2}\n", "key 'frames' is given twice"),
        (MINIMAL + f"clips: {{frames: {'9' * 5000}}}\n", "not valid YAML"),
        (MINIMAL + "? [a, b]\n: c\n", "not valid YAML"),
        (
            MINIMAL + "clips: {frames: 99999999999999999999}\n",
            "clips.frames: must be at most 2147483647, is 99999999999999999999",
        ),
        (
            MINIMAL + "clips: {seed: 99999999999999999999}\n",
            "clips.seed: must be below 9223372036854775808, is 99999999999999999999",
        ),
        (MINIMAL + "generator: {size: [100000, 100000]}\n", "generator.size[0]: must be at most 16384, is 100000"),
        (
            MINIMAL + "execution: {workers: [1000000, 1000000]}\n",
            "execution.workers[0]: must be at most 100000, is 1000000",
        ),
        (MINIMAL + "failure: {max_failed_fraction: .nan}\n", "failure.max_failed_fraction: must be at most 1, is nan"),
        (MINIMAL + "quality: {max_warp_error: .nan}\n", "quality.max_warp_error: must be a finite number, is nan"),
        (MINIMAL + "failure: {stall_s: .inf}\n", "failure.stall_s: must be a finite number, is inf"),
    ],
)
def test_yaml_tricks_and_absurd_values_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_spec(text)
    assert said in str(caught.value) and len(str(caught.value)) < 1000 and "hunter2" not in str(caught.value)


def test_a_pickle_in_place_of_weights_is_refused_and_not_run(tiny_checkpoint: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "run",)

    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    for data in (pickle.dumps(Payload()), _saved({"G0": Payload()}, tmp_path)):
        (folder / "model.safetensors").write_bytes(data)
        with pytest.raises(CheckpointError, match="not a safetensors file"):
            read_checkpoint(open_store(str(folder)))
    assert not (tmp_path / "run").exists()


def _saved(tree: Any, folder: Path) -> bytes:
    torch.save(tree, folder / "weights.pth")
    return (folder / "weights.pth").read_bytes()


@pytest.mark.parametrize("field", ["dataset.uri", "source.uri", "generator.checkpoint", "source.label_space"])
def test_credentials_in_a_uri_are_refused_and_not_shown(local_run: LocalRun, field: str) -> None:
    group, name = field.split(".")
    with pytest.raises(FlowreelError, match="storage_options") as caught:
        local_run.prepare(**{group: {name: f"s3://user:{SECRET}@bucket/place"}})
    assert SECRET not in str(caught.value)


def test_storage_options_are_in_nothing_that_is_published(
    s3_env: dict[str, Any], local_run: LocalRun, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    bucket = s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"], skip_instance_cache=True, use_listings_cache=False)
    bucket.mkdir("secrets")
    options = {"endpoint_url": s3_env["endpoint"], "key": SECRET, "secret": SECRET}
    caplog.set_level("DEBUG", "flowreel")
    prepared = local_run.prepare(dataset={"uri": "s3://secrets/dataset"}, storage_options=options)
    local_run.publish(prepared)
    objects = bucket.find("secrets")
    assert any(path.endswith("version.json") for path in objects)
    for path in objects:
        data = bucket.cat_file(path)
        text = repr(pq.read_table(pa.BufferReader(data)).to_pylist()) if path.endswith(".parquet") else ""
        assert SECRET.encode() not in data and SECRET not in text, path
    assert SECRET not in "".join(capfd.readouterr()) + caplog.text + repr(prepared)
    with pytest.raises(StorageError) as caught:
        prepare(local_run.spec(dataset={"uri": "s3://not-there/dataset"}, storage_options=options))
    assert SECRET not in str(caught.value)


def test_a_file_that_is_no_yaml_is_refused_unread(tmp_path: Path) -> None:
    large, binary = tmp_path / "large.yaml", tmp_path / "binary.yaml"
    large.write_bytes(b"")
    os.truncate(large, 2**40)  # a hole: reading it would take a terabyte
    binary.write_bytes(b"\x93NUMPY\xff")
    for place, said in ((large, "1,099,511,627,776 bytes, and a YAML file may have"), (binary, "not a text file")):
        for opened in (spec_text, lambda uri: open_label_space(uri, {}), open_data):
            with pytest.raises(UsageError, match=said):
                opened(str(place))
