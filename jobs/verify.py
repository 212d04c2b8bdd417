"""`flowreel verify`: reads a version again; `--rerender N` also renders N of its clips again and compares."""

from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.maintenance.verify import verify
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.extras import require
from flowreel.schemas.wording import counted

SHOWN = 20  # problems; damage may cause thousands


def check(version: Version, display: Display) -> str:
    """Reads a version again and gives one line if it is intact. Raises FlowreelError with the problems otherwise."""
    with display.task(f"verifying version {version.number}") as progress:
        verdict = verify(version, progress)
    _raise_if_any(version, verdict.problems)
    return (
        f"version {version.number} of {version.dataset.uri} is intact: {counted(verdict.files, 'data file')},"
        f" {counted(verdict.clips, 'clip')}, {counted(verdict.frames, 'frame')}"
    )


def again(version: Version, count: int, seed: int, display: Display) -> str:
    """Renders ``count`` clips again and gives one line if they are what is published.

    ``seed`` picks the clips. Raises FlowreelError with the differences otherwise.
    """
    require("--rerender", "render")
    from flowreel.pipeline.maintenance.rerender import rerender  # PyTorch, which reading alone does without

    with display.task(f"rendering clips of version {version.number} again") as progress:
        found = rerender(version, count, seed, progress)
    _raise_if_any(version, found.problems)
    text = f"rendered {counted(found.same + found.rounded, 'clip')} again: {found.same:,} identical byte for byte"
    return text + (f", {found.rounded:,} with the same labels and images equal up to rounding" if found.rounded else "")


def _raise_if_any(version: Version, problems: tuple[str, ...]) -> None:
    if problems:
        shown = "\n".join(f"  {p}" for p in problems[:SHOWN])
        more = f"\n  ... and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
        count = counted(len(problems), "problem")
        raise FlowreelError(f"version {version.number} of {version.dataset.uri} has {count}\n{shown}{more}")
