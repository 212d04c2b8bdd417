"""Builds the parts of the page that are plain HTML: numbers of the version, classes, unpublished clips and so on."""

import base64
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import numpy as np
import yaml

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.versions import FAILURES_FILE, Version
from flowreel.pipeline.report.facts import ClassFacts
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.version import VersionRecord, Work
from flowreel.schemas.wording import byte_size, counted

LOSSES = 200  # listed
WORKERS = 40


def stats(version: Version, price: float | None) -> list[dict[str, str]]:
    """Builds the headline numbers. ``price``: of a worker's hour, in any currency."""
    record, counts = version.record, version.record.counts
    seconds = counts.frames / record.spec.source.fps
    unpublished = counts.failed + counts.rejected
    found = [
        _stat("clips", f"{counts.clips:,}", f"of {counted(counts.sequences, 'sequence')}"),
        _stat("frames", f"{counts.frames:,}", f"{_duration(seconds)} of video"),
        _stat("size", byte_size(counts.bytes), f"in {counted(counts.shards, 'file')}"),
        _stat(
            "unpublished",
            f"{unpublished:,}",
            f"{counts.failed:,} failed, {counts.rejected:,} rejected",
            "bad" if unpublished else "",
        ),
    ]
    if counts.splits:
        each = ", ".join(f"{name} {n.sequences:,}" for name, n in counts.splits.items())
        empty = any(not n.sequences for n in counts.splits.values())
        found.append(_stat("splits", f"{len(counts.splits)}", f"sequences: {each}", "bad" if empty else ""))
    if record.base_version is not None:
        gained = f"+{counts.rendered:,} −{counts.dropped:,}"
        found.append(
            _stat(f"since version {record.base_version}", gained, f"{counted(counts.reused, 'clip')} unchanged")
        )
    if record.work:
        seconds = sum(w.ended - w.began for w in record.work)
        cost = "" if price is None else f", {price * seconds / 3600:,.2f} at {price:g} an hour"
        found.append(_stat("worker time", _duration(seconds), f"spent rendering{cost}"))
    return found


def published(version: Version) -> list[dict[str, Any]]:
    """Lists all versions that exist, newest first."""
    rows = []
    for number in reversed(versions.numbers(version.dataset)):
        record = version.record if number == version.number else versions.load(version.dataset, number).record
        counts = record.counts.model_dump(exclude={"splits"})
        row: dict[str, Any] = {name: f"{value:,}" for name, value in counts.items()}
        rows.append(row | {"number": number, "here": number == version.number, "created": when(record.created),
                           "size": byte_size(record.counts.bytes)})  # fmt: skip
    return rows


def change(record: VersionRecord) -> str:
    """Says what changed since the version before."""
    if record.base_version is None:
        return ""
    counts = record.counts
    rendered = f"{counted(counts.rendered, 'clip')} rendered"
    return f"since version {record.base_version}: {rendered}, {counts.reused:,} kept, {counts.dropped:,} dropped"


def classes(
    facts: ClassFacts, space: LabelSpace, frames: int
) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Builds the rows of the bars, largest first, and of the matrix in the same order."""
    order = np.argsort(-facts.pixels_K, kind="stable").tolist()
    total, most = int(facts.pixels_K.sum()), int(facts.pixels_K.max(initial=1))
    rows = []
    for k in order:
        known = space.by_id.get(facts.ids[k])
        red, green, blue = known.color if known else (0, 0, 0)
        rows.append({
            "name": known.name if known else str(facts.ids[k]), "color": f"rgb({red} {green} {blue})",
            "width": round(100 * int(facts.pixels_K[k]) / most, 2), "share": f"{facts.pixels_K[k] / total:.2%}",
            "frames": f"{facts.frames_K[k] / max(frames, 1):.0%}",
        })  # fmt: skip
    matrix = []
    for i, a in enumerate(order):
        shares = facts.together_KK[a, order] / max(int(facts.together_KK[a, a]), 1)
        tips = [f"{s:.0%} of frames with {rows[i]['name']} show {rows[j]['name']}" for j, s in enumerate(shares)]
        matrix.append([{"a": round(float(s), 3), "tip": t} for s, t in zip(shares, tips, strict=True)])
    return rows, matrix


def losses(version: Version) -> dict[str, Any]:
    """Lists failed and rejected clips, and counts each kind of reason."""
    rows = version.table(FAILURES_FILE).to_pylist()
    # Reasons name values and frames; up to the first digit, those of one kind are the same.
    kinds = Counter(f"{row['kind']}: {_head(row['reason'])}" for row in rows)
    for row in rows[:LOSSES]:
        image = row.get("thumbnail")
        row["thumbnail"] = base64.b64encode(image).decode() if image else ""
    return {"losses": rows[:LOSSES], "losses_left": max(0, len(rows) - LOSSES), "reasons": kinds.most_common(12)}


def throughput(work: tuple[Work, ...]) -> dict[str, Any]:
    """Shows who worked when; empty where nothing is known."""
    if not work:
        return {}
    began, ended = min(w.began for w in work), max(w.ended for w in work)
    span, frames = max(ended - began, 1e-3), sum(w.frames for w in work)
    stages: Counter[str] = Counter()
    for w in work:
        stages.update(w.seconds)
    total = sum(stages.values()) or 1.0
    names = list(dict.fromkeys(w.worker for w in work))
    return {
        "stats": [_stat("frames", f"{frames:,}"), _stat("elapsed", _duration(span)),
                  _stat("frames per second", f"{frames / span:.2f}"), _stat("workers", f"{len(names):,}")],
        "stages": [{"share": s, "text": f"{name} {s:,.1f} s ({s / total:.0%})"} for name, s in stages.items()],
        "workers": [{"name": name, "spans": [_span(w, began, span) for w in work if w.worker == name]}
                    for name in names[:WORKERS]],
        "left": max(0, len(names) - WORKERS),
        "began": _clock(began), "ended": _clock(ended),
    }  # fmt: skip


def lineage(record: VersionRecord) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Gives the lineage as pairs, and as whole documents."""
    spec = record.spec
    pairs = [
        ("labels", f"{spec.source.place} ({spec.source.frames})"),
        ("label space", f"{record.label_space['name']}, version {record.label_space.get('version', 1)}"),
        ("generator", str(record.generator["checkpoint"])),
        ("weights and configuration", str(record.generator["digest"])),
        ("plan", record.plan_id),
        ("built on", f"version {record.base_version}" if record.base_version else "no earlier version"),
        ("published", f"{when(record.created)} by {record.host}"),
        ("Flowreel", f"{record.flowreel}, render format {record.render_format}"),
    ]
    text = yaml.safe_dump(spec.model_dump(mode="json", by_alias=True), sort_keys=False)
    config = json.dumps(record.generator.get("config", {}), indent=2)
    return pairs, [("Spec", text), ("Generator's configuration", config)]


def when(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _stat(name: str, value: str, note: str = "", tone: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "note": note, "tone": tone}


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.2f} h"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def _span(w: Work, began: float, span: float) -> dict[str, Any]:
    done = f"{counted(w.shards, 'shard')}, {counted(w.frames, 'frame')}"
    tip = f"{_clock(w.began)} to {_clock(w.ended)} UTC: {done}"
    return {"left": round(100 * (w.began - began) / span, 3), "width": round(100 * (w.ended - w.began) / span, 3),
            "tip": tip}  # fmt: skip


def _head(reason: str) -> str:
    return reason.split("\n")[0].split(" at frame ")[0].rstrip("0123456789. ")[:100]
