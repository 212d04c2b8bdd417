"""A dataset of two versions, the second without what a gate turned down."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from flowreel.pipeline.dataset.versions import Version

from .city import rendered, spec_of

VARIANTS = [{"style": "generate"}, {"style": "generate", "edits": [{"replace": "car", "with": "road"}]}]


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, make_source: Callable[..., Path]) -> Version:
    root, threads = tmp_path_factory.mktemp("city"), torch.get_num_threads()
    make_source(root / "source", sequences=6, frames=8)
    torch.set_num_threads(1)
    first = rendered(spec_of(root, tiny_checkpoint, variants=VARIANTS))
    contrasts = sorted(first.manifest(["contrast"])["contrast"].to_pylist())
    bound = float(contrasts[len(contrasts) // 20])
    second = rendered(spec_of(root, tiny_checkpoint, variants=VARIANTS, quality={"min_contrast": bound}))
    torch.set_num_threads(threads)
    return second
