"""`flowreel status`: the versions of a dataset, and its runs that are under way or were interrupted."""

from collections.abc import Mapping
from typing import Any

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.runs import records
from flowreel.pipeline.storage import Store
from flowreel.schemas.errors import UsageError
from flowreel.schemas.wording import byte_size, counted


def status(dataset: Store, number: int | None = None) -> dict[str, Any]:
    """Gives the figures of a dataset, or of one of its versions, ready for JSON.

    Raises StorageError if it cannot be listed, UsageError if it is no dataset or has no version ``number``.
    """
    dataset.check_readable()
    published = []
    for each in versions.numbers(dataset) if number is None else [number]:
        try:
            record = versions.load(dataset, each).record
        except UsageError:
            if number is not None:
                raise
            continue  # retention has just dropped it
        published.append({"version": each, "created": record.created, **record.counts.model_dump()})
    runs = records.unfinished_runs(dataset)
    if not published and not runs:
        raise UsageError(
            f"{dataset.uri} is no dataset: it holds neither a published version nor a run; `flowreel render SPEC`"
            " publishes one"
        )
    ended = versions.published_plans(dataset) if runs else frozenset()
    runs = [run for run in runs if run["plan_id"] not in ended]  # killed after its commit: `gc` deletes its records
    return {"dataset": dataset.uri, "versions": published, "unfinished_runs": runs}


def lines(figures: dict[str, Any]) -> list[str]:
    """Words the figures of a dataset for people, line by line."""
    text = [figures["dataset"]]
    for v in figures["versions"]:
        outcomes = [
            f"{v[name]:,} {name}" for name in ("rendered", "reused", "dropped", "failed", "rejected") if v[name]
        ]
        text.append(
            f"  version {v['version']}  {v['created']}  {counted(v['clips'], 'clip')}, {counted(v['frames'], 'frame')},"
            f" {byte_size(v['bytes'])} in {counted(v['shards'], 'file')} ({', '.join(outcomes) or 'no clips'})"
        )
        if v["splits"]:
            text.append(f"    splits   {split_line(v['splits'])}")
    if not figures["versions"]:
        text.append("  no version published yet")
    for r in figures["unfinished_runs"]:
        text.append(
            f"  unfinished run {r['plan_id']}, started {r.get('started', '?')} on {r.get('host', '?')}:"
            f" {r['shards_done']:,} of {counted(r.get('shards', 0), 'shard')} done; if it was interrupted, run the same"
            " command to resume"
        )
    return text


def split_line(splits: Mapping[str, Mapping[str, int]]) -> str:
    """Words what each split holds; ``splits``: by name, with ``sequences``, ``clips`` and ``frames``."""
    return "; ".join(
        f"{name}: {counted(n['sequences'], 'sequence')}, {counted(n['clips'], 'clip')}, {counted(n['frames'], 'frame')}"
        if n["sequences"]
        else f"{name}: empty"
        for name, n in splits.items()
    )
