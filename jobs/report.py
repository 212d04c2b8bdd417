"""`flowreel report`: a version, or two datasets side by side, as one HTML page that opens anywhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowreel.jobs.terminal.options import DatasetArg, Price
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.storage import open_file, open_store
from flowreel.schemas.errors import FlowreelError, UsageError

if TYPE_CHECKING:
    from flowreel.pipeline.dataset.versions import Version
    from flowreel.pipeline.report.page import Wanted

AT_MOST = 100_000  # clips of a version whose report is written when it is published: that takes seconds
PLAYERS, PLAYERS_AT_PUBLISH = 64, 16  # clips shown as video, at most


def command(
    dataset: DatasetArg = "",
    number: Annotated[
        int | None, typer.Option("--version", min=1, metavar="N", help="The same as DATASET@N. Default: the newest.")
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Path or URL to write to. Default: report/index.html in the version's folder, or ./compare.html.",
        ),
    ] = "",
    price: Price = None,
    compared: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="A B", help="Compare two datasets that were rendered from the same labels."),
    ] = None,
) -> None:
    """Writes a report of a version, or a comparison of two datasets, as one HTML file.

    The page plays clips beside their labels, plots the quality measures, and shows classes, clips that failed or were
    rejected, throughput and lineage. It needs no server and loads nothing.

    \b
    Examples:
      flowreel report s3://bucket/city
      flowreel report s3://bucket/city@3 --out city-3.html
      flowreel report --compare ./city ./city-other-generator
    """
    if bool(dataset) == bool(compared):
        raise UsageError("report: give either DATASET or --compare A B; see `flowreel report --help`")
    display = Display()
    if compared:
        print(write_comparison(open_named(compared[0]), open_named(compared[1]), out or "compare.html", display))
    else:
        print(write_report(open_named(dataset, number), display, out, price))


def open_named(dataset: str, number: int | None = None) -> "Version":
    """Opens DATASET[@N]. Raises UsageError if ``number`` is another one than N."""
    from flowreel.pipeline.dataset.versions import open_version, split_uri

    uri, named = split_uri(dataset)
    if named and number and named != number:
        raise UsageError(f"{dataset} names version {named}, --version says {number}; leave one of them out")
    return open_version(open_store(uri), number or named)


def write_report(version: "Version", display: Display, out: str = "", price: float | None = None) -> str:
    """Writes the report of a version to ``out``, by default into the version's folder. Gives its path or URL."""
    from flowreel.pipeline.report.page import BESIDE, Wanted

    wanted = Wanted(PLAYERS, _linked(version.dataset.uri) if out else BESIDE, price)
    return _written(version, wanted, display, out)


def _written(version: "Version", wanted: "Wanted", display: Display, out: str = "") -> str:
    from flowreel.pipeline.report.page import REPORT, report  # video codecs, which most commands do without

    with display.task(f"report of version {version.number}") as progress:
        page = report(version, wanted, progress).encode()
    store, name = open_file(out) if out else (version.dataset, version.path(REPORT))
    store.write(name, page)
    return store.url(name)


def publish_report(version: "Version", display: Display) -> None:
    """Writes the report of a version that was just published, with fewer players; says so if that does not work."""
    again = f"`flowreel report {version.dataset.uri}@{version.number}` writes one"
    if version.record.counts.clips > AT_MOST:
        display.say(f"no report yet, as there are more than {AT_MOST:,} clips; {again}")
        return
    try:
        from flowreel.pipeline.report.page import Wanted

        display.say(f"report: {_written(version, Wanted(PLAYERS_AT_PUBLISH), display)}")
    except Exception as error:
        reason = str(error) if isinstance(error, FlowreelError) else f"{type(error).__name__}: {error}"
        display.note(f"the report could not be written: {reason}; {again}")


def write_comparison(a: "Version", b: "Version", out: str, display: Display) -> str:
    """Writes a page that shows two versions side by side to ``out``. Gives its path or URL."""
    from flowreel.pipeline.report.compare import compare

    with display.task("comparing") as progress:
        page = compare(a, b, _linked(a.dataset.uri), progress)
    store, name = open_file(out)
    store.write(name, page.encode())
    return store.url(name)


def _linked(uri: str) -> str:
    """Gives what links to data files begin with: a page opened from disk needs absolute paths."""
    return uri if "://" in uri else Path(uri).absolute().as_uri()
