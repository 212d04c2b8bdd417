"""`flowreel report`: a version, or two side by side, as a page that opens anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.progress import Display
from pipeline.file_uri import open_file
from pipeline.storage import open_store
from pipeline.versions import Version, open_version, split_uri
from schemas.errors import UsageError


def command(
    dataset: Annotated[str, typer.Argument(metavar="[DATASET[@N]]", help="folder or bucket URL; @N: version N")] = "",
    out: Annotated[
        str, typer.Option(metavar="FILE", help="where to; default: beside the manifest, or ./compare.html")
    ] = "",
    compared: Annotated[
        tuple[str, str] | None, typer.Option("--compare", metavar="A B", help="two datasets of the same labels")
    ] = None,
) -> None:
    """Writes a version as one HTML file that needs nothing else: players, distributions, losses, lineage."""
    if bool(dataset) == bool(compared):
        raise UsageError("give either DATASET or --compare A B; see `flowreel report --help`")
    display = Display()
    place = write_comparison(*compared, out or "compare.html", display) if compared else write_report(
        open_named(dataset), display, out
    )  # fmt: skip
    print(place)


def open_named(dataset: str) -> Version:
    """DATASET[@N]."""
    uri, number = split_uri(dataset)
    return open_version(open_store(uri), number)


def write_report(version: Version, display: Display, out: str = "") -> str:
    """Where it was written: beside the manifest, if nowhere else."""
    from pipeline.report.page import REPORT, report  # video codecs, which most commands do without

    root = {"root": _linked(version.dataset.uri)} if out else {}
    with display.task(f"report of version {version.number}") as progress:
        page = report(version, progress=progress, **root).encode()
    if not out:
        version.dataset.write(version.path(REPORT), page)
        return version.dataset.url(version.path(REPORT))
    store, name = open_file(out)
    store.write(name, page)
    return store.url(name)


def write_comparison(a: str, b: str, out: str, display: Display) -> str:
    """Where it was written."""
    from pipeline.report.compare import compare

    first, second = open_named(a), open_named(b)
    with display.task("comparing") as progress:
        page = compare(first, second, _linked(first.dataset.uri), progress)
    store, name = open_file(out)
    store.write(name, page.encode())
    return store.url(name)


def _linked(uri: str) -> str:
    """What links begin with: a page opened from disk needs whole paths."""
    return uri if "://" in uri else Path(uri).absolute().as_uri()
