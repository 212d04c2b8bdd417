"""An unfinished run's records, ``runs/<plan_id>/``: what an interrupted render needs to go on."""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from pipeline.identity import shard_id
from pipeline.storage import NotFound, Store
from schemas.outcome import ClipOutcome, DataFile, Failed, Rejected, Rendered, ShardOutcome
from schemas.plan import Plan, Shard

READERS = 16
_KINDS: dict[str, type[Rendered] | type[Rejected] | type[Failed]] = {
    "rendered": Rendered, "rejected": Rejected, "failed": Failed,
}  # fmt: skip


def folder(plan_id: str) -> str:
    return f"runs/{plan_id}"


def save_run(dataset: Store, plan: Plan, about: dict[str, Any]) -> None:
    """Notes that a run of this plan has begun, for `flowreel status`."""
    size = {"clips": plan.clip_count, "frames": plan.frame_count, "shards": len(plan.shards)}
    dataset.write(f"{folder(plan.plan_id)}/run.json", json.dumps({**about, **size}, indent=2).encode())


def save_outcome(dataset: Store, plan_id: str, outcome: ShardOutcome) -> None:
    """Records a shard's outcome; it counts once the data file that it names exists too."""
    tree = asdict(outcome) | {"clips": [{"kind": type(c).__name__.lower(), **asdict(c)} for c in outcome.clips]}
    dataset.write(f"{folder(plan_id)}/outcomes/{outcome.shard_id}.json", json.dumps(tree).encode())


def load_outcomes(dataset: Store, plan_id: str) -> dict[str, ShardOutcome]:
    """Outcomes of all shards that are done: recorded, and their data file is there in full length."""
    sizes = {info.path: info.size for info in dataset.list("data")}
    infos = dataset.list(f"{folder(plan_id)}/outcomes")
    with ThreadPoolExecutor(READERS) as pool:
        outcomes = list(pool.map(lambda info: _parse(dataset.read(info.path, size=info.size)), infos))
    return {o.shard_id: o for o in outcomes if o.file is None or sizes.get(o.file.path) == o.file.size}


def remaining(plan: Plan, done: Mapping[str, ShardOutcome]) -> Iterator[Shard]:
    """What is left of a plan. Of a shard that was split to find a culprit, the clips that are left, one by one."""
    covered = {clip.clip_id for outcome in done.values() for clip in outcome.clips}
    for shard in plan.shards:
        left = [clip for clip in shard.clips if clip.clip_id not in covered]
        if len(left) == len(shard.clips):
            yield shard
        else:
            yield from (Shard(shard_id([clip.clip_id]), (clip,)) for clip in left)


def one_per_clip(plan: Plan, outcomes: Iterable[ShardOutcome]) -> list[ShardOutcome]:
    """Outcomes such that each clip stands in one: those of whole shards before those of shards that were split."""
    whole, seen, chosen = {shard.shard_id for shard in plan.shards}, set[str](), []
    for outcome in sorted(outcomes, key=lambda o: (o.shard_id not in whole, o.shard_id)):
        clip_ids = {clip.clip_id for clip in outcome.clips}
        if not clip_ids & seen:
            chosen.append(outcome)
            seen |= clip_ids
    return chosen


def forget_losses(dataset: Store, plan_id: str, outcomes: list[ShardOutcome]) -> None:
    """Drops the records of shards that lost clips, so that the next run tries those clips again."""
    dataset.delete(*(f"{folder(plan_id)}/outcomes/{o.shard_id}.json" for o in outcomes if o.lost))


def end_run(dataset: Store, plan_id: str) -> None:
    """Removes a run's records, once its version is published."""
    dataset.delete(*(info.path for info in dataset.list(folder(plan_id))))


def unfinished_runs(dataset: Store) -> list[dict[str, Any]]:
    """What `save_run` noted of every run that has not ended, with the number of its recorded shards."""
    runs = []
    for info in dataset.list("runs", "runs/*/run.json"):
        try:
            about = json.loads(dataset.read(info.path))
        except NotFound:  # it has just ended
            continue
        plan_id = info.path.split("/")[1]
        runs.append({"plan_id": plan_id, **about, "shards_done": len(dataset.list(f"{folder(plan_id)}/outcomes"))})
    return runs


def _parse(data: bytes) -> ShardOutcome:
    tree = json.loads(data)
    clips: list[ClipOutcome] = [_KINDS[c.pop("kind")](**c) for c in tree.pop("clips")]
    file = tree.pop("file")
    return ShardOutcome(file=DataFile(**file) if file else None, clips=tuple(clips), **tree)
