"""`flowreel status`: versions, sizes, and runs that are under way or interrupted."""

from typing import Any

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.runs import records
from flowreel.pipeline.storage import Store


def status(dataset: Store) -> dict[str, Any]:
    """Figures of a dataset, ready for JSON. Raises StorageError if it cannot be listed."""
    dataset.check_readable()
    published = []
    for number in versions.numbers(dataset):
        record = versions.load(dataset, number).record
        published.append({"version": number, "created": record.created, **record.counts.model_dump()})
    return {"dataset": dataset.uri, "versions": published, "unfinished_runs": records.unfinished_runs(dataset)}


def lines(figures: dict[str, Any]) -> list[str]:
    """For people."""
    text = [figures["dataset"]]
    for v in figures["versions"]:
        text.append(
            f"  version {v['version']}  {v['created']}  {v['clips']:,} clips, {v['frames']:,} frames,"
            f" {v['bytes'] / 1e6:,.1f} MB in {v['shards']:,} files; rendered {v['rendered']:,}, reused {v['reused']:,},"
            f" dropped {v['dropped']:,}, failed {v['failed']:,}, rejected {v['rejected']:,}"
        )
    if not figures["versions"]:
        text.append("  no published version")
    for r in figures["unfinished_runs"]:
        text.append(
            f"  unfinished run {r['plan_id']}  started {r.get('started', '?')} on {r.get('host', '?')}:"
            f" {r['shards_done']:,} of {r.get('shards', 0):,} shards done; run `flowreel render` again to go on"
        )
    return text
