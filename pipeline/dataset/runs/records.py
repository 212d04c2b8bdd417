"""Records of an unfinished run, ``runs/<plan_id>/``: what an interrupted render needs to resume."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from flowreel.pipeline.concurrency import prefetch
from flowreel.pipeline.dataset import layout
from flowreel.pipeline.dataset.checked_record import read_record
from flowreel.pipeline.dataset.data_file import path_of
from flowreel.pipeline.dataset.own_files import is_own
from flowreel.pipeline.identity import IdSearch, id_array
from flowreel.pipeline.storage import FileInfo, NotFound, Store
from flowreel.schemas.outcome import ClipOutcome, Failed, Rejected, Rendered, ShardOutcome
from flowreel.schemas.plan import Plan
from flowreel.schemas.run import RunFacts

READERS = 16
AHEAD = 1024  # records that are read before they are wanted
_OF_CLIPS: dict[str, TypeAdapter[ClipOutcome]] = {
    way.__name__.lower(): TypeAdapter(way) for way in (Rendered, Rejected, Failed)
}
_OF_SHARD = TypeAdapter(ShardOutcome)


def folder(plan_id: str) -> str:
    """Gives the folder of a run's records."""
    return layout.RUN.format(plan=plan_id)


def plan_path(plan_id: str) -> str:
    """Gives the path of a run's plan (columns `flowreel.schemas.plan.PLAN`)."""
    return layout.RUN_PLAN.format(plan=plan_id)


def save_run(dataset: Store, plan: Plan, facts: dict[str, Any]) -> None:
    """Records that a run of this plan has begun, for `flowreel status`. ``facts``: JSON fields to record besides."""
    size = {"clips": plan.clip_count, "frames": plan.frame_count, "shards": len(plan.shards)}
    dataset.write(layout.RUN_RECORD.format(plan=plan.plan_id), json.dumps({**facts, **size}, indent=2).encode())


def save_outcome(dataset: Store, plan_id: str, outcome: ShardOutcome) -> None:
    """Records a shard's outcome; it counts once the data file that it names exists too."""
    tree = asdict(outcome) | {"clips": [{"outcome": type(c).__name__.lower(), **asdict(c)} for c in outcome.clips]}
    dataset.write(layout.OUTCOME.format(plan=plan_id, shard=outcome.shard_id), json.dumps(tree).encode())


def load_outcomes(dataset: Store, plan_id: str) -> Iterator[ShardOutcome]:
    """Yields the outcomes of all shards that are done: recorded, and their data file exists in full length.

    A damaged record counts for nothing: its shard is rendered again.
    """
    sizes: _Sizes | None = None
    found = chain.from_iterable(dataset.pages(layout.OUTCOMES.format(plan=plan_id)))
    for outcome in prefetch(partial(_read, dataset), found, AHEAD, READERS):
        if outcome is not None:
            sizes = sizes or _Sizes(dataset)
            if outcome.file is None or sizes.of(outcome.file.path) == outcome.file.size:
                yield outcome


class _Sizes:
    """The sizes of all data files of a dataset, which may be millions."""

    def __init__(self, dataset: Store) -> None:
        names, sizes = [b""], [np.empty(0, np.int64)]
        for page in dataset.pages(path_of("").rpartition("/")[0]):
            ours = [(name, info.size) for info in page if (name := _shard_of(info.path))]
            names.append(bytes.fromhex("".join(name for name, _ in ours)))
            sizes.append(np.array([size for _, size in ours], np.int64))
        self._places, self._sizes = IdSearch(id_array(b"".join(names))), np.concatenate(sizes)

    def of(self, path: str) -> int | None:
        """Gives a data file's size in bytes; None if there is no such file."""
        place = self._places.find(_shard_of(path))
        return None if place is None else int(self._sizes[place])


def _shard_of(path: str) -> str:
    """Gives the id that names a data file; empty for other files."""
    return layout.field_of(layout.DATA, path)


def forget_failures(dataset: Store, plan_id: str) -> None:
    """Deletes the records of shards with failed clips, so that those clips are rendered again."""
    for outcome in load_outcomes(dataset, plan_id):
        if any(isinstance(clip, Failed) for clip in outcome.clips):
            dataset.delete(layout.OUTCOME.format(plan=plan_id, shard=outcome.shard_id))


def exists(dataset: Store, plan_id: str) -> bool:
    """Tells whether there are records of a run."""
    return bool(plan_id) and any(dataset.pages(folder(plan_id)))


def end_run(dataset: Store, plan_id: str) -> None:
    """Deletes a run's records, once its version is published."""
    for page in dataset.pages(folder(plan_id)):
        dataset.delete(*(info.path for info in page if is_own(info.path)))


def unfinished_runs(dataset: Store) -> list[dict[str, Any]]:
    """Gives what `save_run` recorded of every run that has not ended, with the number of its recorded shards."""
    runs = []
    for info in dataset.list("runs", layout.RUN_RECORD.format(plan="*")):
        try:
            data = dataset.read(info.path)
        except NotFound:  # it has just ended
            continue
        facts = read_record(data, dataset.url(info.path), RunFacts, "delete it: the run itself does not need it")
        plan_id = info.path.split("/")[1]
        done = sum(map(len, dataset.pages(layout.OUTCOMES.format(plan=plan_id))))
        runs.append({"plan_id": plan_id, **facts.model_dump(exclude_unset=True), "shards_done": done})
    return runs


def _read(dataset: Store, info: FileInfo) -> ShardOutcome | None:
    """Reads a record; None if it is damaged, or has gone since it was listed, as its run has ended."""
    try:
        return _parse(dataset.read(info.path, size=info.size))
    except NotFound:
        return None


def _parse(data: bytes) -> ShardOutcome | None:
    """Parses a record; None if it is damaged."""
    try:
        tree = json.loads(data)
        tree["clips"] = tuple(_clip_outcome(clip) for clip in tree["clips"])
        return _OF_SHARD.validate_python(tree)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _clip_outcome(tree: dict[str, Any]) -> ClipOutcome:
    """Reads one clip of a record. Earlier releases call its ``outcome`` its ``kind``, and record no kind of a loss."""
    outcome = tree.pop("outcome" if "outcome" in tree else "kind")
    return _OF_CLIPS[outcome].validate_python(tree)
