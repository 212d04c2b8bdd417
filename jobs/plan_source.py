"""What `flowreel plan` says of the source: its sequences, how they are split, what was skipped or left out."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.planning.splits import empty_splits, sequences_per_split
from flowreel.pipeline.sources.system_names import skipped_names
from flowreel.schemas.wording import counted


def source_figures(prepared: Prepared) -> dict[str, Any]:
    """Gives the figures of a plan's source, ready for JSON."""
    catalog = prepared.catalog
    return {
        "sequences": len(catalog.sequences),
        "label_frames": catalog.sequences.frame_count,
        "splits": _splits(prepared),
        "files_read": catalog.read,
        "files_skipped": catalog.skipped,
        "sequences_left_out": catalog.left_out,
    }


def _splits(prepared: Prepared) -> dict[str, dict[str, int]]:
    """Counts sequences, wanted clips and label frames per split; those that are empty too."""
    plan, spec = prepared.plan, prepared.job.spec
    split_S, length_S = plan.shards.splits.to_pylist(), plan.shards.sequences.length_S
    clips = dict.fromkeys(split_S, 0)
    new_C = plan.shards.sequence_C
    for s, count in zip(*np.unique(new_C, return_counts=True), strict=True):
        clips[split_S[int(s)]] += int(count)
    frames = dict.fromkeys(split_S, 0)
    for name, length in zip(split_S, length_S.tolist(), strict=True):
        frames[name] += length
    return {
        name: {"sequences": count, "frames": frames.get(name, 0), "clips_to_render": clips.get(name, 0)}
        for name, count in sequences_per_split(split_S, spec.split).items()
    }


def source_warnings(prepared: Prepared) -> list[str]:
    """Words what may be a mistake in choosing sequences: patterns that match none, splits that are empty."""
    counts = {name: split["sequences"] for name, split in _splits(prepared).items()}
    return [*prepared.catalog.notes, *empty_splits(counts, prepared.job.spec.split)]


def source_lines(figures: dict[str, Any]) -> Iterator[str]:
    """Words the figures of a source for people, line by line."""
    yield f"  source     {counted(figures['sequences'], 'sequence')}, {counted(figures['label_frames'], 'label frame')}"
    yield "  splits     " + "; ".join(
        f"{name}: {counted(n['sequences'], 'sequence')}, {counted(n['frames'], 'label frame')}"
        if n["sequences"]
        else f"{name}: empty"
        for name, n in figures["splits"].items()
    )
    if left_out := figures["sequences_left_out"]:
        yield "  left out   " + ", ".join(f"{counted(n, 'sequence')} by {name}" for name, n in left_out.items())
    if figures["files_skipped"]:
        yield f"  skipped    {skipped_names(figures['files_skipped'])}"


def sequence_figures(prepared: Prepared) -> list[dict[str, Any]]:
    """Gives the figures of each sequence, ready for JSON."""
    catalog, split_S = prepared.catalog, prepared.plan.shards.splits.to_pylist()
    sequences, fps = catalog.sequences, prepared.job.spec.source.fps
    found = []
    for s, name in enumerate(sequences.ids.to_pylist()):
        frames = int(sequences.length_S[s])
        found.append(
            {
                "sequence": name,
                "frames": frames,
                "size": sequences.size_S2[s].tolist(),
                "fps": fps,
                "seconds": round(frames / fps, 3),
                "split": split_S[s],
                "problems": catalog.by_sequence.get(name, []),
            }
        )
    return found


def sequence_lines(figures: list[dict[str, Any]]) -> Iterator[str]:
    """Words the figures of sequences as a table for people."""
    wide = max((len(each["sequence"]) for each in figures), default=0)
    yield f"  {'sequence':<{wide}}  frames  size        fps     split"
    for each in figures:
        size = f"{each['size'][0]}x{each['size'][1]}"
        line = f"  {each['sequence']:<{wide}}  {each['frames']:>6,}  {size:<10}  {each['fps']:<6g}  {each['split']}"
        yield line + (f"  {counted(len(each['problems']), 'problem')}" if each["problems"] else "")
