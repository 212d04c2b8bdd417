"""`flowreel verify`: re-reads a version; `--rerender N` renders N of its clips again and compares."""

from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.maintenance.verify import verify
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.extras import require

SHOWN = 20  # problems: --rerender and damage may give thousands


def check(version: Version, display: Display) -> str:
    """One line if all is well. Raises FlowreelError with the problems."""
    with display.task(f"verifying version {version.number}") as progress:
        verdict = verify(version, progress)
    _refuse(version, verdict.problems)
    return (
        f"version {version.number} of {version.dataset.uri} is whole: {verdict.files:,} data files,"
        f" {verdict.clips:,} clips, {verdict.frames:,} frames"
    )


def again(version: Version, count: int, seed: int, display: Display) -> str:
    """One line if clips rendered again are what is published. Raises FlowreelError with the differences."""
    require("--rerender", "render")
    from flowreel.pipeline.maintenance.rerender import rerender  # PyTorch, which reading alone does without

    with display.task(f"rendering clips of version {version.number} again") as progress:
        found = rerender(version, count, seed, progress)
    _refuse(version, found.problems)
    return f"rendered again from their sources: {found.same:,} clips give the same bytes" + (
        f", {found.rounded:,} the same labels, and pictures but for rounding" if found.rounded else ""
    )


def _refuse(version: Version, problems: tuple[str, ...]) -> None:
    if problems:
        shown = "\n".join(f"  {p}" for p in problems[:SHOWN])
        more = f"\n  ... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise FlowreelError(
            f"version {version.number} of {version.dataset.uri}: {len(problems)} problem(s)\n{shown}{more}"
        )
