"""Datasets to report on, rendered in this process."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from flowreel.jobs.render import render_by
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.render.shard import ShardRenderer
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.spec import Spec

NAME = "</script> & <b>city</b>"


def render_here(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
    """In place of Ray's actors: the same renderer, under the names of two workers."""
    engine = engine_for(load_generator(prepared.job.checkpoint, "cpu"))
    for k, shard in enumerate(done.left()):
        yield ShardRenderer(prepared.job, prepared.plan.plan_id, engine).render(shard, f"worker-{k % 2}")


def rendered(spec: Spec, display: Display | None = None) -> Version:
    version = render_by(render_here, spec, display or Display()).version
    assert version is not None
    return version


def spec_of(root: Path, checkpoint: Path, **groups: Any) -> Spec:
    """Of ``root/source``, into ``root/dataset``."""
    tree: dict[str, Any] = {
        "dataset": {"uri": str(root / "dataset"), "name": NAME, "report": False},
        "source": {"uri": str(root / "source"), "instances": "{sequence}/instances/*.png"},
        "generator": {"checkpoint": str(checkpoint), "precision": "float32"},
        "clips": {"frames": 4},
        "execution": {"num_gpus": 0},
    }
    for name, group in groups.items():
        tree[name] = tree.get(name, {}) | group if isinstance(group, dict) else group
    return Spec.model_validate(tree)
