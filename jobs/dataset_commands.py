"""Commands that take a dataset. What they need is imported by each: `flowreel --help` answers at once."""

import json
from typing import Annotated, Any

import typer

from flowreel.jobs.terminal.options import DatasetArg, Grace, Json, PlaceArg
from flowreel.schemas.spec import GRACE_H


def gc(
    dataset: PlaceArg,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="newest versions to keep; default: dataset.keep_versions")
    ] = None,
    grace: Grace = GRACE_H,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be deleted, delete nothing")] = False,
    compact: Annotated[bool, typer.Option("--compact", help="first rewrite data files that are mostly dead")] = False,
) -> None:
    """Drops versions past retention, and data files that no kept version and no live run uses.

    Safe beside runs and readers: who has opened a version that is dropped keeps its files for the grace period.
    """
    from flowreel.jobs import gc as collecting
    from flowreel.jobs.terminal.progress import Display
    from flowreel.pipeline.maintenance.gc import Policy
    from flowreel.pipeline.storage import open_store

    store, policy = open_store(dataset), Policy(keep, grace * 3600)
    store.check_readable()
    if compact:
        print(collecting.compact(store, Display(), dry=dry_run))
    garbage = collecting.collect(store, policy, Display(), dry=dry_run)
    print("\n".join(collecting.lines(garbage, policy.grace_s, dry=dry_run)))


def status(
    dataset: DatasetArg,
    clip: Annotated[str, typer.Option(metavar="ID", help="where this clip comes from: label files, generator")] = "",
    source: Annotated[str, typer.Option(metavar="FILE", help="which clips this label map or exemplar is in")] = "",
    as_json: Json = False,
) -> None:
    """Versions, sizes, and runs that are under way or interrupted; of one clip or source file, the lineage."""
    from flowreel.jobs import lineage
    from flowreel.jobs import status as state
    from flowreel.pipeline.dataset.versions import open_version, split_uri
    from flowreel.pipeline.storage import open_store

    uri, number = split_uri(dataset)
    store = open_store(uri)
    if clip:
        figures: Any = lineage.clip(open_version(store, number), clip)
        text = lineage.clip_lines(figures)
    elif source:
        figures = lineage.source(open_version(store, number), source)
        text = lineage.source_lines(figures, source)
    else:
        figures = state.status(store)
        text = iter(state.lines(figures))
    print(json.dumps(figures, indent=2) if as_json else "\n".join(text))


def verify(
    dataset: DatasetArg,
    rerender: Annotated[int, typer.Option(min=0, metavar="N", help="render N clips again and compare")] = 0,
    seed: Annotated[int, typer.Option(help="chooses the clips that are rendered again")] = 0,
) -> None:
    """Re-reads a version: hashes, pairing, counts, decodability. Exits 1 and lists every problem if there is one."""
    from flowreel.jobs import verify as verifying
    from flowreel.jobs.terminal.progress import Display
    from flowreel.pipeline.dataset.versions import open_version, split_uri
    from flowreel.pipeline.storage import open_store

    uri, number = split_uri(dataset)
    version, display = open_version(open_store(uri), number), Display()
    print(verifying.check(version, display))
    if rerender:
        print(verifying.again(version, rerender, seed, display))


def diff(
    dataset: PlaceArg,
    before: Annotated[int, typer.Argument(metavar="A", help="a version's number")],
    after: Annotated[int, typer.Argument(metavar="B", help="another one's")],
    as_json: Json = False,
) -> None:
    """Clips added, removed and changed from version A to B, and why: labels, label space, range, variant, ..."""
    from flowreel.jobs import diff as differences
    from flowreel.pipeline.dataset.versions import open_version
    from flowreel.pipeline.maintenance.diff import diff
    from flowreel.pipeline.storage import open_store

    store = open_store(dataset)
    found = diff(open_version(store, before), open_version(store, after))
    print(json.dumps(differences.figures(found), indent=2) if as_json else "\n".join(differences.lines(found)))
