"""Files and places that are not what they seem: pointers, links to nowhere, archives."""

import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import s3fs

from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.planning.exemplars import exemplar
from flowreel.pipeline.planning.prepare import prepare
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import CheckpointError, SourceError, StorageError, UsageError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.parse import parse_spec
from flowreel.schemas.spec import Spec
from tests.pipeline.sources.test_folders import put, scanned

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"
MAP = np.full((16, 32), 7, np.uint8)
SAID = "a pointer file of Git LFS"


def test_pointers_are_named_wherever_a_file_is_read(tmp_path: Path) -> None:
    for name in ("dusk.png", "space.yaml", "config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(LFS)
    spec = parse_spec("dataset: {uri: o}\nsource: {uri: i}\n")
    with pytest.raises(SourceError, match=SAID):
        exemplar(str(tmp_path / "dusk.png"), spec, BUILT_IN["cityscapes"], (64, 32))
    with pytest.raises(UsageError, match=SAID):
        open_label_space(str(tmp_path / "space.yaml"), {})
    with pytest.raises(CheckpointError, match=f"config.json: {SAID}"):
        read_checkpoint(open_store(str(tmp_path)))


def test_pointers_of_git_annex_are_named(tmp_path: Path) -> None:
    put(tmp_path, "a/0.png")
    (tmp_path / "a/0.png").write_bytes(b"/annex/objects/SHA256E-s12--4d7a.png\n")
    (problem,) = scanned(tmp_path, "{sequence}/*.png").problems
    assert "a pointer file of git-annex, not the file itself; run `git annex get .`" in problem


def test_links_to_nowhere_are_problems_of_their_frames_until_they_lead_somewhere(tmp_path: Path) -> None:
    put(tmp_path, "s/a/0.png", "s/a/1.png")
    for t in (2, 3):
        (tmp_path / f"s/a/{t}.png").symlink_to(tmp_path / f"mount/{t}.png")
    first = scanned(tmp_path / "s", "{sequence}/*.png")
    assert [problem.partition("link to")[2] for problem in first.problems] == [
        f" {tmp_path}/mount/{t}.png, which does not exist. Mount or copy that, or remove the link." for t in (2, 3)
    ]
    put(tmp_path, "mount/2.png", "mount/3.png")
    scanned(tmp_path / "s", "{sequence}/*.png").check()


def test_a_root_that_is_a_link_to_nowhere_or_an_archive_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "gone")
    (tmp_path / "labels.zip").write_bytes(b"PK")
    for name, told in (("data", "it is a link to .*gone, which does not exist"), ("labels.zip", "archive; unpack it")):
        with pytest.raises(StorageError, match=told):
            open_store(str(tmp_path / name)).check_readable()
    with pytest.raises(StorageError, match="a link to"):
        open_store(str(tmp_path / "data")).check_writable()


NOWHERE = {"endpoint_url": "http://127.0.0.1:9"}


def test_two_places_have_two_sets_of_options(tmp_path: Path, s3_env: dict[str, Any]) -> None:
    """The options of the spec lead nowhere; source and dataset each have their own: one is anonymous, one is not."""
    bucket, there = uuid4().hex, {"endpoint_url": s3_env["endpoint"]}
    s3fs.S3FileSystem(**there).mkdir(bucket)
    source = open_store(f"s3://{bucket}/source", there | {"s3_additional_kwargs": {"ACL": "public-read"}})
    for t in range(2):
        source.write(f"a/{t}.png", encode_ids(MAP))
    tree = {
        "dataset": {"uri": f"s3://{bucket}/out", "storage_options": there},
        "source": {"uri": source.uri, "labels": "{sequence}/*.png", "storage_options": there | {"anon": True}},
        "generator": {"checkpoint": "bundled", "size": [32, 16]},
        "execution": {"num_gpus": 0},
        "storage_options": NOWHERE,
    }
    prepared = prepare(Spec.model_validate(tree))
    prepared.catalog.check()
    assert prepared.plan.clip_count == 1
    # The keys that a worker gets are those of each place.
    job = pickle.loads(pickle.dumps(prepared.job))
    assert job.source.read("a/0.png") == encode_ids(MAP) and job.dataset.list() == job.dataset.list("cache")
    with pytest.raises(StorageError, match="doesn't answer"):
        open_store(source.uri, NOWHERE).check_readable()
