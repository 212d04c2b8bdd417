"""`flowreel report`: a version, or two side by side, as a page that opens anywhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.storage import open_file, open_store
from flowreel.schemas.errors import UsageError

if TYPE_CHECKING:
    from flowreel.pipeline.dataset.versions import Version
    from flowreel.pipeline.report.page import Wanted

AT_MOST = 100_000  # clips of a version whose report is written as it is published: it takes seconds
PLAYERS, AT_ONCE = 64, 16  # at most; of that report


def command(
    dataset: Annotated[str, typer.Argument(metavar="[DATASET[@N]]", help="folder or bucket URL; @N: version N")] = "",
    number: Annotated[
        int | None, typer.Option("--version", min=1, metavar="N", help="the same as DATASET@N; default: the newest")
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="where to; default: beside the manifest, or ./compare.html")
    ] = "",
    price: Annotated[
        float | None, typer.Option(min=0, metavar="PRICE", help="of one worker's hour (GPU or CPU), for the cost")
    ] = None,
    compared: Annotated[
        tuple[str, str] | None, typer.Option("--compare", metavar="A B", help="two datasets of the same labels")
    ] = None,
) -> None:
    """Writes a version as one HTML file that needs nothing else: players, distributions, losses, lineage."""
    if bool(dataset) == bool(compared):
        raise UsageError("give either DATASET or --compare A B; see `flowreel report --help`")
    display = Display()
    if compared:
        print(write_comparison(open_named(compared[0]), open_named(compared[1]), out or "compare.html", display))
    else:
        print(write_report(open_named(dataset, number), display, out, price))


def open_named(dataset: str, number: int | None = None) -> "Version":
    """DATASET[@N]. Raises UsageError where ``number`` says otherwise."""
    from flowreel.pipeline.dataset.versions import open_version, split_uri

    uri, named = split_uri(dataset)
    if named and number and named != number:
        raise UsageError(f"{dataset} names version {named}, --version says {number}; leave one of them out")
    return open_version(open_store(uri), number or named)


def write_report(version: "Version", display: Display, out: str = "", price: float | None = None) -> str:
    """Where it was written: beside the manifest, if nowhere else."""
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


def leave_report(version: "Version", display: Display) -> None:
    """The report of a version that was just published, in short. It is published whatever becomes of its report."""
    again = f"`flowreel report {version.dataset.uri}@{version.number}` writes one"
    if version.record.counts.clips > AT_MOST:
        display.say(f"no report: more than {AT_MOST:,} clips; {again}")
        return
    try:
        from flowreel.pipeline.report.page import Wanted

        display.say(f"report: {_written(version, Wanted(AT_ONCE), display)}")
    except Exception as error:
        display.say(f"no report: {type(error).__name__}: {error}; {again}")


def write_comparison(a: "Version", b: "Version", out: str, display: Display) -> str:
    """Where it was written."""
    from flowreel.pipeline.report.compare import compare

    with display.task("comparing") as progress:
        page = compare(a, b, _linked(a.dataset.uri), progress)
    store, name = open_file(out)
    store.write(name, page.encode())
    return store.url(name)


def _linked(uri: str) -> str:
    """What links begin with: a page opened from disk needs whole paths."""
    return uri if "://" in uri else Path(uri).absolute().as_uri()
