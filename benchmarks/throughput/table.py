"""Runs as a Markdown table."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from benchmarks.report import machine
from benchmarks.throughput.process import WAYS, Run

MARKERS = ("<!-- benchmarks/pipeline.py -->", "<!-- end -->")
NAMES = {
    "bare": "bare generator",
    "bare_at_once": "bare, as many clips at once as a worker",
    "flowreel": "**`flowreel render`**",
    "ray_data": "Ray Data `map_batches`",
    "script": "single-process script",
}
STAGES = ("fetch", "waiting", "generate", "encode", "write")
HEAD = "| steady, frames/s | of bare | whole, s | start, s | end, s | CPU, ms per frame | of all CPUs | others |"


def markdown(kept: Mapping[str, Sequence[Run]], cpus: int) -> str:
    """All cases, each with its ways and the stages of the pipeline."""
    about = machine()
    lines = [
        f"{about['cpu']} ({about['vectors']}), {cpus} CPUs, PyTorch {about['torch']}, Python {about['python']},"
        f" {datetime.now(UTC):%Y-%m-%d}.",
        "",
    ]
    for name, runs in kept.items():
        lines += [*_case(name, runs, cpus), ""]
    return "\n".join(lines)


def _case(name: str, runs: Sequence[Run], cpus: int) -> Iterator[str]:
    rounds = sorted({run.round for run in runs})
    commits = " and ".join(sorted({run.commit for run in runs}))
    number = f"{len(rounds)} round{'s' * (len(rounds) > 1)}"
    yield f"**{name}**: {runs[0].frames} frames, {number}, commit {commits}, medians (least and greatest)."
    yield ""
    yield f"| {HEAD}".replace("| |", "|  |")
    yield "|" + " --- |" * (HEAD.count("|"))
    for way in WAYS:
        of = [run for run in runs if run.way == way]
        if of:
            yield _line(way, of, {run.round: run for run in runs if run.way == "bare"}, cpus)
    yield ""
    yield _stages([run for run in runs if run.way == "flowreel"])


def _line(way: str, runs: Sequence[Run], bare: Mapping[int, Run], cpus: int) -> str:
    ratios = [run.steady / bare[run.round].steady for run in runs if run.round in bare]
    cells = [
        NAMES[way],
        f"{_median(run.steady for run in runs):.3g}",
        f"{_median(ratios):.1%} ({min(ratios):.1%}, {max(ratios):.1%})" if ratios and way != "bare" else "",
        "" if way.startswith("bare") else f"{_median(run.whole_s for run in runs):.1f}",
        f"{_median(run.start_s for run in runs):.1f}",
        "" if way.startswith("bare") else f"{_median(run.end_s for run in runs):.1f}",
        f"{_median(run.steady_cpu_s / run.steady_frames for run in runs) * 1000:.0f}",
        f"{_median(run.steady_cpu_s / run.steady_s / cpus for run in runs):.0%}",
        f"{_median(run.others / cpus for run in runs):.0%}",
    ]
    return "| " + " | ".join(cells) + " |"


def _stages(runs: Sequence[Run]) -> str:
    """Milliseconds a frame."""
    per_frame = {name: _median(run.stages.get(name, 0) / run.frames for run in runs) * 1000 for name in STAGES}
    told = ", ".join(f"{name} {ms:.0f}" for name, ms in per_frame.items())
    return f"Stages of `flowreel render`, ms of wall time per frame, which overlap: {told}."


def _median(values: Iterator[float] | Sequence[float]) -> float:
    return statistics.median(values)
