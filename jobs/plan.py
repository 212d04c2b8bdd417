"""`flowreel plan`: a dry run. Says what would be rendered and what that takes; renders nothing and needs no GPU."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from flowreel.jobs.plan_source import source_figures, source_lines, source_warnings
from flowreel.pipeline.dataset.runs.plan_file import save_plan
from flowreel.pipeline.generator.checks import check_weights
from flowreel.pipeline.planning.all_change import all_change
from flowreel.pipeline.planning.dropped import dropped_by
from flowreel.pipeline.planning.memory_estimate import memory
from flowreel.pipeline.planning.prepare import Prepared, prepare
from flowreel.pipeline.planning.time_estimate import Estimate, estimate
from flowreel.pipeline.storage import open_file
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.spec import Spec
from flowreel.schemas.wording import byte_size, counted, duration

JPEG_BYTES_PER_PIXEL = 0.25  # image and label together, quality 92
IDS_SHOWN = 40
FLOW_BYTES_PER_PIXEL = 2.5  # 16-bit PNG of a generator's flow


def plan(
    spec: Spec, out: str | None, price: float | None, *, allow_code: bool = False
) -> tuple[Prepared, dict[str, Any]]:
    """Plans, and gives the plan with its figures, among them all problems of the source.

    ``out``: also writes the clips to render to this Parquet file. ``price``: of one worker's hour, in any currency.
    ``allow_code``: accept a segmenter that runs code of its own.
    Raises UsageError for a spec or input that cannot be used, FlowreelError if there is no plan to write to ``out``.
    """
    prepared = prepare(spec, dry=True, allow_code=allow_code)
    check_weights(prepared.job.checkpoint)
    if out:
        if not prepared.plan.clip_count:
            raise FlowreelError("--out: there is nothing to render, so there is no plan to write")
        store, name = open_file(out, spec.storage_options)
        save_plan(store, name, prepared.plan.shards)
    return prepared, summary(prepared, price)


def summary(prepared: Prepared, price: float | None) -> dict[str, Any]:
    """Gives the figures of a plan, ready for JSON. ``price``: of one worker's hour, in any currency."""
    plan, settings = prepared.plan, prepared.plan.settings
    pixels = plan.frame_count * settings.size[0] * settings.size[1]
    bytes_per_pixel = JPEG_BYTES_PER_PIXEL + FLOW_BYTES_PER_PIXEL * prepared.job.spec.output.flow
    time, needs = estimate(prepared), memory(prepared)
    return {
        "plan_id": plan.plan_id,
        "base_version": plan.base_version,
        **source_figures(prepared),
        "clips_to_render": plan.clip_count,
        "frames_to_render": plan.frame_count,
        "shards": len(plan.shards),
        "clips_reused": len(plan.reused),
        "frames_reused": _frames_reused(prepared),
        "clips_dropped": plan.dropped,
        **_dropped(prepared),
        "clips_turned_down": len(plan.excluded),
        "pieces_too_short": list(plan.too_short),
        "device": settings.device,
        "size": list(settings.size),
        "batch": settings.batch,
        "precision": settings.precision,
        "generator": settings.generator,
        "frames_per_worker_s": round(time.frames_per_worker_s, 4),
        "frames_per_worker_s_from": time.source,
        "estimated_worker_hours": round(time.worker_hours, 4),
        "estimated_cost": None if price is None else round(time.worker_hours * price, 2),
        "finishes": _finishes(time, prepared.job.spec),
        "estimated_bytes": int(pixels * bytes_per_pixel),
        "actor_bytes": needs.actor,
        "shard_bytes": needs.shard,
        "device_bytes": needs.device,
        "driver_bytes": needs.driver,
        "class_shares": _class_shares(prepared),
        "ids": [{"id": r.id, "class": r.class_name, "pixels": r.pixels} for r in prepared.catalog.ids],
        "balance": _balance(prepared),
        "problems": list(prepared.catalog.problems),
    }


def _class_shares(prepared: Prepared) -> dict[str, float]:
    """Gives the share of pixels of each class of the source."""
    classes, pixels = prepared.job.space.by_id, prepared.catalog.pixels
    total = sum(pixels.values()) or 1
    return {classes[i].name if i in classes else str(i): round(n / total, 6) for i, n in sorted(pixels.items())}


def _dropped(prepared: Prepared) -> dict[str, Any]:
    """Tells which clips go without a successor, and warns where `render` would not publish for that."""
    gone, bound = dropped_by(prepared), prepared.job.spec.failure.max_dropped_fraction
    warnings = [*filter(None, [all_change(prepared)]), *source_warnings(prepared)]
    if gone.fraction > bound:
        warnings.append(
            f"`render` would not publish: version {prepared.plan.base_version} would lose {gone}, more than"
            f" failure.max_dropped_fraction {bound:g} allows; --allow-drop accepts it"
        )
    about = {"clips": gone.clips, "of": gone.of, "sequences": list(gone.sequences)}
    return {"dropped_without_successor": about, "warnings": warnings}


def lines(figures: dict[str, Any]) -> Iterator[str]:
    """Words the figures of a plan for people, line by line."""
    base, (width, height) = figures["base_version"], figures["size"]
    yield f"plan {figures['plan_id']}, " + (f"on top of version {base}" if base else "for the first version")
    yield from source_lines(figures)
    clips, frames = counted(figures["clips_to_render"], "clip"), counted(figures["frames_to_render"], "frame")
    yield f"  to render  {clips}, {frames} in {counted(figures['shards'], 'shard')}"
    yield (
        f"  reused     {counted(figures['clips_reused'], 'clip')}, {counted(figures['frames_reused'], 'frame')};"
        f" {counted(figures['clips_dropped'], 'clip')} dropped"
    )
    yield from (f"  warning    {warning}" for warning in figures["warnings"])
    if figures["clips_turned_down"]:
        yield f"  left out   {counted(figures['clips_turned_down'], 'clip')}, failed before or outside `quality`"
    yield (
        f"  rendering  {width}x{height}, {figures['precision']} on {figures['device']},"
        f" {counted(figures['batch'], 'clip')} at a time"
    )
    if figures["clips_to_render"]:
        yield from _takes(figures)
    if top := sorted(figures["class_shares"].items(), key=lambda item: -item[1])[:6]:
        yield "  classes    " + ", ".join(f"{name} {share:.1%}" for name, share in top)
    yield from _ids(figures["ids"])
    if figures["balance"]:
        yield f"  balance    {counted(figures['balance']['variants'], 'variant')}"
        for row in figures["balance"]["classes"]:
            target = "" if row["target"] is None else f", target {row['target']:.2%}"
            yield f"    {row['class']:<14} {row['before']:.2%} -> {row['after']:.2%}{target}"
    for span in figures["pieces_too_short"][:5]:
        yield f"  too short  {span}: clips.lead_in: drop leaves no frame of it"


def _ids(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Words which id becomes which class, and how much of it there is."""
    total = sum(row["pixels"] for row in rows)
    for k, row in enumerate(rows[:IDS_SHOWN]):
        head = "ids" if k == 0 else ""
        name = row["class"] or "?"
        yield f"  {head:<9}  {row['id']:>5} -> {name:<20} {row['pixels']:>15,} pixels {row['pixels'] / total:>6.1%}"
    if len(rows) > IDS_SHOWN:
        yield f"             and {len(rows) - IDS_SHOWN:,} more ids: --json lists all"


def _takes(figures: dict[str, Any]) -> Iterator[str]:
    """Words time, memory and money."""
    yield (
        f"  estimate   {_about(figures['estimated_worker_hours'])} of one worker on {figures['device']} at"
        f" {figures['frames_per_worker_s']:,.2f} frames/s, {figures['frames_per_worker_s_from']};"
        f" {byte_size(figures['estimated_bytes'])} of data"
    )
    yield f"  memory     {_memory(figures)}"
    if figures["finishes"]:
        finishes = (f"{_workers(each)}, {_about(each['hours'])}" for each in figures["finishes"])
        yield f"  finishing  {'; '.join(finishes)}"
    if figures["estimated_cost"] is not None:
        cost = f"{figures['estimated_cost']:,.2f}" if figures["estimated_cost"] else "under 0.01"
        yield f"  cost       {cost} at the price given"


def _about(hours: float) -> str:
    """Words an estimate, of which seconds say nothing: "under a minute", "2 h 10 min"."""
    return duration(60 * round(hours * 60)) if hours * 60 >= 1 else "under a minute"


def _workers(finish: dict[str, float]) -> str:
    """Counts whole GPUs where workers have them, otherwise workers."""
    gpus = finish["gpus"]
    return counted(int(gpus), "GPU") if gpus and gpus == int(gpus) else counted(int(finish["workers"]), "worker")


def _memory(figures: dict[str, Any]) -> str:
    worker, shard, device, driver = (byte_size(figures[f"{n}_bytes"]) for n in ("actor", "shard", "device", "driver"))
    gpu = f", and {device} on its GPU" if figures["device_bytes"] else ""
    return f"{worker} per worker, of which {shard} for each shard in flight{gpu}; {driver} for the driver"


def _balance(prepared: Prepared) -> dict[str, Any] | None:
    """Gives the shares of classes before and after: those with targets, then those that changed most."""
    found = prepared.balance
    if found is None:
        return None
    classes = prepared.job.space.by_id
    change = {i: abs(found.after.get(i, 0.0) - found.before.get(i, 0.0)) for i in {*found.before, *found.after}}
    others = sorted((i for i in change if i not in found.targets and change[i] > 0), key=lambda i: (-change[i], i))
    rows = [
        {
            "class": classes[i].name,
            "before": round(found.before.get(i, 0.0), 6),
            "after": round(found.after.get(i, 0.0), 6),
            "target": found.targets.get(i),
        }
        for i in (*sorted(found.targets), *others)
    ]
    return {"variants": len(found.variants), "classes": rows}


def _finishes(time: Estimate, spec: Spec) -> list[dict[str, float]]:
    """Gives the hours for several numbers of workers: one, those of the spec, and powers of ten up to the shards."""
    counts = {1, *spec.execution.workers, *(10**k for k in range(1, 5))}
    return [
        {"workers": n, "gpus": n * spec.execution.num_gpus, "hours": round(time.hours(n), 4)}
        for n in sorted(counts)
        if n == 1 or n <= time.shards
    ]


def _frames_reused(prepared: Prepared) -> int:
    if prepared.base is None:
        return 0
    clips = prepared.base.clips()
    return int(pc.sum(clips.filter(pc.is_in(clips["clip_id"], value_set=prepared.plan.reused))["frames"]).as_py() or 0)


def as_json(figures: dict[str, Any]) -> str:
    """Gives the figures of a plan as indented JSON."""
    return json.dumps(figures, indent=2)
