"""`flowreel plan`: a dry run. What would be rendered, and what that takes; renders nothing and needs no GPU."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from flowreel.pipeline.dataset.runs.plan_file import save_plan
from flowreel.pipeline.generator.checks import check_weights
from flowreel.pipeline.planning.dropped import dropped_by
from flowreel.pipeline.planning.memory_estimate import memory
from flowreel.pipeline.planning.prepare import Prepared, prepare
from flowreel.pipeline.planning.time_estimate import Estimate, estimate
from flowreel.pipeline.storage import open_file
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.spec import Spec

JPEG_BYTES_PER_PIXEL = 0.25  # image and label together, quality 92


def plan(spec: Spec, out: str | None, price: float | None) -> tuple[Prepared, dict[str, Any]]:
    """The plan and its summary; ``out``: also writes the clips to render there. Problems are in the summary."""
    prepared = prepare(spec, dry=True)
    check_weights(prepared.job.checkpoint)
    if out:
        if not prepared.plan.clip_count:
            raise FlowreelError("--out: there is nothing to render, so there is no plan to write")
        store, name = open_file(out, spec.storage_options)
        save_plan(store, name, prepared.plan.shards)
    return prepared, summary(prepared, price)


def summary(prepared: Prepared, price: float | None) -> dict[str, Any]:
    """Figures of a plan, ready for JSON. ``price``: of an hour of one worker, in any currency."""
    plan, settings = prepared.plan, prepared.plan.settings
    pixels = plan.frame_count * settings.size[0] * settings.size[1]
    classes = prepared.job.space.by_id
    total = sum(prepared.catalog.pixels.values()) or 1
    takes = estimate(prepared)
    needs = memory(prepared)
    return {
        "plan_id": plan.plan_id,
        "base_version": plan.base_version,
        "sequences": len(prepared.catalog.sequences),
        "label_frames": prepared.catalog.sequences.frame_count,
        "files_read": prepared.catalog.read,
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
        "frames_per_worker_s": round(takes.frames_per_worker_s, 4),
        "frames_per_worker_s_from": takes.source,
        "estimated_worker_hours": round(takes.worker_hours, 4),
        "estimated_cost": None if price is None else round(takes.worker_hours * price, 2),
        "finishes": _finishes(takes, prepared.job.spec),
        "estimated_bytes": int(pixels * JPEG_BYTES_PER_PIXEL),
        "actor_bytes": needs.actor,
        "shard_bytes": needs.shard,
        "device_bytes": needs.device,
        "driver_bytes": needs.driver,
        "class_shares": {
            classes[i].name if i in classes else str(i): round(n / total, 6)
            for i, n in sorted(prepared.catalog.pixels.items())
        },
        "balance": _balance(prepared),
        "problems": list(prepared.catalog.problems),
    }


def _dropped(prepared: Prepared) -> dict[str, Any]:
    """Tells which clips go without a successor, and warns where `render` would not publish for that."""
    gone, bound = dropped_by(prepared), prepared.job.spec.failure.max_dropped_fraction
    warnings = []
    if gone.fraction > bound:
        warnings.append(
            f"`render` would not publish: version {prepared.plan.base_version} would lose {gone}, more than"
            f" failure.max_dropped_fraction {bound:g} allows; --allow-drop accepts it"
        )
    about = {"clips": gone.clips, "of": gone.of, "sequences": list(gone.sequences)}
    return {"dropped_without_successor": about, "warnings": warnings}


def lines(figures: dict[str, Any]) -> Iterator[str]:
    """The summary for people."""
    base = figures["base_version"]
    width, height = figures["size"]
    yield f"plan {figures['plan_id']} " + (f"on top of version {base}" if base else "for a first version")
    yield f"  source     {figures['sequences']:,} sequences, {figures['label_frames']:,} label frames"
    yield (
        f"  to render  {figures['clips_to_render']:,} clips, {figures['frames_to_render']:,} frames"
        f" in {figures['shards']:,} shards"
    )
    yield (
        f"  reused     {figures['clips_reused']:,} clips, {figures['frames_reused']:,} frames;"
        f" {figures['clips_dropped']:,} clips dropped"
    )
    yield from (f"  warning    {warning}" for warning in figures["warnings"])
    if figures["clips_turned_down"]:
        yield f"  left out   {figures['clips_turned_down']:,} clips, rejected by `quality` or failed before"
    yield (
        f"  rendering  {width}x{height}, {figures['precision']} on {figures['device']},"
        f" {figures['batch']} clip(s) in lock-step"
    )
    yield from _takes(figures)
    if top := sorted(figures["class_shares"].items(), key=lambda item: -item[1])[:6]:
        yield "  classes    " + ", ".join(f"{name} {share:.1%}" for name, share in top)
    if figures["balance"]:
        yield f"  balance    {figures['balance']['variants']:,} variants"
        for row in figures["balance"]["classes"]:
            aim = "" if row["target"] is None else f", {row['target']:.2%} wanted"
            yield f"    {row['class']:<14} {row['before']:.2%} -> {row['after']:.2%}{aim}"
    for piece in figures["pieces_too_short"][:5]:
        yield f"  too short  {piece}: gets no image with lead_in: drop"


def _takes(figures: dict[str, Any]) -> Iterator[str]:
    """Time, memory and money."""
    yield (
        f"  estimate   {figures['estimated_worker_hours'] * 60:,.1f} worker-minutes ({figures['device']}) at"
        f" {figures['frames_per_worker_s']:,.2f} frames/s each, {figures['frames_per_worker_s_from']};"
        f" {figures['estimated_bytes'] / 1e6:,.1f} MB"
    )
    yield _memory(figures)
    if figures["finishes"]:
        yield "  finishing  " + ", ".join(
            f"{f['gpus'] or f['workers']:,g} {'GPU' if f['gpus'] else 'worker'}(s) in {f['hours']:,.2f} h"
            for f in figures["finishes"]
        )
    if figures["estimated_cost"] is not None:
        yield f"  cost       {figures['estimated_cost']:,.2f} at the price given"


def _memory(figures: dict[str, Any]) -> str:
    worker, shard, device, driver = (figures[f"{name}_bytes"] / 1e6 for name in ("actor", "shard", "device", "driver"))
    gpu = f", {device:,.0f} MB of its GPU's" if device else ""
    each = f"{worker:,.0f} MB a worker, of which {shard:,.0f} MB for each shard in flight{gpu}"
    return f"  memory     {each}; {driver:,.0f} MB the driver"


def _balance(prepared: Prepared) -> dict[str, Any] | None:
    """Shares of classes before and after: those that are wanted, then those that changed most."""
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


def _finishes(takes: Estimate, spec: Spec) -> list[dict[str, float]]:
    """How long it takes with so many workers: one, those of the spec, and tenfold up to one for each shard."""
    counts = {1, *spec.execution.workers, *(10**k for k in range(1, 5))}
    return [
        {"workers": n, "gpus": n * spec.execution.num_gpus, "hours": round(takes.hours(n), 4)}
        for n in sorted(counts)
        if n == 1 or n <= takes.shards
    ]


def _frames_reused(prepared: Prepared) -> int:
    if prepared.base is None:
        return 0
    clips = prepared.base.clips()
    return int(pc.sum(clips.filter(pc.is_in(clips["clip_id"], value_set=prepared.plan.reused))["frames"]).as_py() or 0)


def as_json(figures: dict[str, Any]) -> str:
    return json.dumps(figures, indent=2)
