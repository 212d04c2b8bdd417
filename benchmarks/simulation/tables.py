"""Simulated runs, and the run that is predicted from them, as Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.common import table
from benchmarks.simulation.model import Costs, Run, driver_share, predicted_cpu_s
from benchmarks.simulation.run import Stage, Start
from flowreel.pipeline.planning.time_estimate import SECONDS_PER_MEGAPIXEL

GOAL = Run(1000, 10_000_000, 30, 1 / (SECONDS_PER_MEGAPIXEL["cuda"] * 512 * 256 / 1e6))


@dataclass(frozen=True)
class Publishing:
    """Seconds on this machine, in one process."""

    plan_per_clip: float
    publish_per_frame: float


def report(starts: Sequence[Start], stages: Sequence[Stage], costs: Costs, publishing: Publishing) -> str:
    """All tables with what they mean."""
    return "\n\n".join([_stages(stages), _starts(starts), _model(stages, costs), *_predicted(costs, publishing)])


def _stages(stages: Sequence[Stage]) -> str:
    head = ["actors", "shards", "device time of a shard", "wall time", "of ideal throughput", "driver CPU per shard"]
    head += ["driver memory", "object store per frame"]
    rows = [
        [
            f"{s.actors:,}",
            f"{s.shards:,}",
            f"{s.shard_s * 1000:,.0f} ms",
            f"{s.wall_s:,.1f} s",
            f"{s.ideal_s / s.wall_s:.1%}",
            f"{s.cpu_ms_per_shard:.2f} ms",
            f"{s.driver_rss_mb:,.0f} MB",
            f"{s.store_bytes / s.frames:.1f} B",
        ]
        for s in stages
    ]
    frames = round(sum(s.frames for s in stages) / sum(s.shards for s in stages))
    return (
        f"Shards of {frames} frames. Ideal: the device times of all shards, divided among the actors. Driver CPU is"
        " that of the driver's process with all its threads, Ray's among them.\n\n" + table(head, rows)
    )


def _starts(starts: Sequence[Start]) -> str:
    head = ["actors", "until all are ready", "driver CPU per actor", "memory of a sleeping actor"]
    head += ["driver CPU per bare call"]
    rows = [
        [
            f"{s.actors:,}",
            f"{s.wall_s:.1f} s",
            f"{s.driver_cpu_s / s.actors * 1000:.1f} ms",
            f"{s.actor_mb:.0f} MB",
            f"{s.bare_cpu_s * 1000:.2f} ms",
        ]
        for s in starts
    ]
    return table(head, rows) + (
        "\n\nA bare call: to actors that do nothing but sleep, with arguments and results as large, by the fewest"
        " lines. It is what Ray takes on this machine."
    )


def _model(stages: Sequence[Stage], costs: Costs) -> str:
    error = max(abs(predicted_cpu_s(s, costs) / s.driver_cpu_s - 1) for s in stages)
    return (
        f"Fitted: the driver takes {costs.per_shard * 1000:.2f} ms of CPU a shard, {costs.per_second * 1000:.1f} ms a"
        f" second, {costs.per_worker_second * 1000:.3f} ms a second for each worker, and"
        f" {costs.per_start * 1000:.1f} ms to start a worker. The model is off by {error:.0%} at most."
    )


def _predicted(costs: Costs, publishing: Publishing) -> Iterator[str]:
    run, share = GOAL, driver_share(GOAL, costs)
    planning, publish = run.clips * publishing.plan_per_clip, run.frames * publishing.publish_per_frame
    yield (
        f"**{run.workers:,} GPUs, {run.clips:,} clips** of {run.frames_per_clip} frames at 512x256,"
        f" {run.frames_per_s:.1f} frames/s a GPU (assumed), {run.frames_per_shard} frames a shard:"
        f" {run.frames:,} frames in {run.shards:,} shards, {run.shards / run.render_s:.1f} shards a second."
    )
    rows = [
        ["plan", f"{planning:,.0f} s", f"{planning / run.render_s:.1%}"],
        [
            "start the workers",
            f"{costs.per_start * run.workers:,.0f} s",
            f"{costs.per_start * run.workers / run.render_s:.1%}",
        ],
        ["render", f"{run.render_s:,.0f} s", "100.0%"],
        ["driver's CPU meanwhile", f"{share * run.render_s:,.0f} s", f"{share:.1%}"],
        ["publish", f"{publish:,.0f} s", f"{publish / run.render_s:.1%}"],
    ]
    yield table(["step", "time", "of rendering"], rows)
    most = run.workers / share
    yield (
        f"One driver keeps {most:,.0f} such GPUs busy. The bottleneck: {_bottleneck(share, publish / run.render_s)}."
    )


def _bottleneck(driver: float, publish: float) -> str:
    if driver > 1:
        return "the driver, which hands out shards more slowly than they are rendered"
    if publish > driver:
        return f"publishing, which comes after rendering and takes {publish:.0%} of its time, by one process"
    return f"the generators; the driver's CPU is {driver:.0%} busy"
