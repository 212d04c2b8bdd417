"""Commands that take a dataset. Each imports what it needs when it runs, so that `flowreel --help` answers at once."""

import json
from typing import Annotated, Any

import typer

from flowreel.jobs.terminal.options import DatasetArg, Grace, Json, PlaceArg
from flowreel.schemas.spec import GRACE_H


def gc(
    dataset: PlaceArg,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Keep the newest N versions. Default: dataset.keep_versions of the newest spec."
        ),
    ] = None,
    grace: Grace = GRACE_H,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, but delete nothing.")] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="First rewrite data files most of whose clips no version needs any more.")
    ] = False,
) -> None:
    """Drops old versions, and deletes data files that no remaining version or running job needs.

    Safe at any time: running jobs keep their files, and readers that have opened a dropped version can read its files
    until the grace period is over. If interrupted, run the same command for the rest.

    \b
    Examples:
      flowreel gc s3://bucket/city --dry-run
      flowreel gc s3://bucket/city --keep 3 --grace 24
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
    clip: Annotated[
        str, typer.Option(metavar="ID", help="Show instead what this clip was rendered from: label maps, generator.")
    ] = "",
    source: Annotated[
        str, typer.Option(metavar="FILE", help="Show instead which clips were rendered from this source file.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Lists the versions of a dataset, and runs that are under way or were interrupted.

    With --clip or --source, shows the lineage of one clip or one source file instead.

    \b
    Examples:
      flowreel status s3://bucket/city
      flowreel status s3://bucket/city@3 --source seq_01/labels/000002.png
    """
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
        figures = state.status(store, number)
        text = iter(state.lines(figures))
    print(json.dumps(figures, indent=2) if as_json else "\n".join(text))


def verify(
    dataset: DatasetArg,
    rerender: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            show_default=False,
            help="Also render N clips again from their sources and compare them with what is published. Default: 0.",
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(metavar="SEED", show_default=False, help="Picks the clips that are rendered again. Default: 0."),
    ] = 0,
) -> None:
    """Reads a whole version again and checks it: hashes, pairing, counts, and that all of it decodes.

    Lists every problem, and exits 1 if there is one.

    \b
    Examples:
      flowreel verify s3://bucket/city
      flowreel verify s3://bucket/city@3 --rerender 5
    """
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
    before: Annotated[int, typer.Argument(metavar="A", help="Number of the earlier version.")],
    after: Annotated[int, typer.Argument(metavar="B", help="Number of the later version.")],
    as_json: Json = False,
) -> None:
    """Lists the clips that were added, removed or changed from version A to version B, and why.

    Reasons are, for example, changed labels, another generator, or a clip that failed or was rejected.

    \b
    Example:
      flowreel diff s3://bucket/city 3 4
    """
    from flowreel.jobs import diff as differences
    from flowreel.pipeline.dataset.versions import open_version
    from flowreel.pipeline.maintenance.diff import diff
    from flowreel.pipeline.storage import open_store

    store = open_store(dataset)
    found = diff(open_version(store, before), open_version(store, after))
    print(json.dumps(differences.figures(found), indent=2) if as_json else "\n".join(differences.lines(found)))
