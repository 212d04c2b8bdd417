"""A small run in this process: source, spec, plan, renders and versions."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowreel.pipeline.dataset.versions import Version
    from flowreel.pipeline.planning.prepare import Prepared
    from flowreel.schemas.clip import Shard
    from flowreel.schemas.outcome import ShardOutcome
    from flowreel.schemas.spec import Spec


@dataclass(frozen=True)
class LocalRun:
    """A source and a dataset on disk, and all that `render` does with them, in this process instead of in workers.

    The source has 2 sequences of 5 frames; clips of 3 frames make 2 shards: of 2 clips of 2 frames and 2 of 3.
    """

    root: Path
    checkpoint: Path

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    def into(self, name: str) -> "LocalRun":
        """The same source, another dataset."""
        other = self.root / name
        other.mkdir()
        (other / "source").symlink_to(self.source)
        return replace(self, root=other)

    def spec(self, **groups: Any) -> "Spec":
        from flowreel.schemas.spec import Spec

        tree: dict[str, Any] = {
            "dataset": {"uri": str(self.dataset)},
            "source": {"uri": str(self.source), "instances": "{sequence}/instances/*.png"},
            "generator": {"checkpoint": str(self.checkpoint), "batch": 2},
            "clips": {"frames": 3},
            "execution": {"num_gpus": 0},
        } | ({} if "split" in groups else {"split": {"train": 1.0}})
        for name, group in groups.items():
            tree[name] = tree.get(name, {}) | group if isinstance(group, dict) else group
        return Spec.model_validate(tree)

    def prepare(self, **groups: Any) -> "Prepared":
        from flowreel.pipeline.planning.prepare import prepare

        prepared = prepare(self.spec(**groups))
        prepared.catalog.check()
        return prepared

    def render(self, prepared: "Prepared", shards: "Iterable[Shard] | None" = None) -> "list[ShardOutcome]":
        """Renders, stores and records shards: the plan's, if none are given."""
        from flowreel.pipeline.generator.engine import load_engine
        from flowreel.pipeline.render.shard import ShardRenderer

        job = prepared.job
        renderer = ShardRenderer(job, prepared.plan.plan_id, load_engine(job.checkpoint, job.settings))
        return [renderer.render(shard) for shard in (prepared.plan.shards if shards is None else shards)]

    def publish(self, prepared: "Prepared", outcomes: "Iterable[ShardOutcome] | None" = None) -> "Version":
        """Commits a version; renders the plan before if no outcomes are given."""
        from flowreel.pipeline.dataset.runs import records
        from flowreel.pipeline.dataset.runs.ledger import Ledger
        from flowreel.pipeline.publish import commit
        from flowreel.pipeline.publish.draft import draft_version

        done = Ledger(prepared.plan.shards, self.render(prepared) if outcomes is None else outcomes)
        draft = draft_version(prepared.job, prepared.plan, done, prepared.base)
        version = commit.commit(prepared.job, prepared.plan, draft)
        records.end_run(prepared.job.dataset, prepared.plan.plan_id)
        return version
