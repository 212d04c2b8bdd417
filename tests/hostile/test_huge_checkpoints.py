"""Configurations that promise networks of any size: refused by a bound, before anything is built or allocated."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.quality.segmenter_network import Segmenter, SegmenterFacts, load_segmenter, save_segmenter
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import CheckpointError

FIELDS = [name for name, field in GeneratorConfig.model_fields.items() if isinstance(field.default, (int, tuple))]
SINGLE = {"input_nc": 35, "ngf": 4, "n_downsample": 2, "n_blocks": 1, "n_blocks_local": 1, "n_local_enhancers": 1}
ENCODER = {"ngf": 4, "n_downsample": 1, "output_nc": 3}


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def load(folder: Path, config: dict[str, Any]) -> None:
    tree = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(tree))
    load_generator(read_checkpoint(open_store(str(folder))), "cpu")


@pytest.mark.parametrize("value", [10**9, 10**30, -1, 0.5, 1e300])
@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("use_instance", "flow")])
def test_a_number_beyond_its_bound_is_refused(folder: Path, name: str, value: float) -> None:
    other = [value, value] if name in ("fg_labels", "size") else value
    said = rf"config\.json is not a generator config:\n  (file: Value error, )?{name}"
    with pytest.raises(CheckpointError, match=f"{said}|weights do not match"):
        load(folder, {name: other})


@pytest.mark.parametrize("name", [*SINGLE, "feat_num", "feature_rows", *(f"encoder.{name}" for name in ENCODER)])
def test_so_is_one_of_the_single_image_generator(folder: Path, name: str) -> None:
    tree: dict[str, Any] = SINGLE | {"feat_num": 3, "encoder": dict(ENCODER)}
    group, _, field = name.rpartition(".")
    (tree[group] if group else tree)[field] = [10**12] if name == "feature_rows" else 10**9
    with pytest.raises(CheckpointError, match=r"config\.json is not a generator config:\n  single"):
        load(folder, {"single": tree})


def test_the_largest_that_is_allowed_is_compared_without_memory(folder: Path) -> None:
    largest = {"ngf": 8192, "n_downsample": 10, "n_blocks": 2, "n_scales": 1}
    with pytest.raises(CheckpointError, match="weights do not match"):
        load(folder, largest)


@pytest.mark.parametrize("change", [{"width": 10**9}, {"width": 1024}, {"classes": [10**12]}, {"size": [10**9, 1]}])
def test_a_segmenter_that_promises_too_much(change: dict[str, Any]) -> None:
    good = save_segmenter(Segmenter(SegmenterFacts(label_space="x", classes=(0, 1), size=(64, 32), width=4)))
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    header["__metadata__"] |= {name: json.dumps(value) for name, value in change.items()}
    text = json.dumps(header).encode()
    with pytest.raises(CheckpointError, match="metadata is not that of a segmenter|weights do not match its metadata"):
        load_segmenter(len(text).to_bytes(8, "little") + text + good[8 + length :])
    assert isinstance(load_segmenter(good).head, torch.nn.Conv2d)
