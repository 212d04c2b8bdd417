"""Reads a published dataset as training data: its pairs of images and labels, clip by clip."""

from collections import defaultdict
from typing import Any

from flowreel.pipeline.dataset.checked_table import STEP
from flowreel.pipeline.dataset.versions import MANIFEST_FILE, SHARDS_FILE, Version
from flowreel.pipeline.sources.template import natural
from flowreel.pipeline.training.data.sequences import Cell, TrainingFrame, TrainingSequence
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.label_space import LabelSpace

_COLUMNS = [
    "clip_id", "sequence_id", "variant", "frame_index", "width", "height", "class_ids", "shard", "row_group", "row",
]  # fmt: skip


def published_sequences(version: Version, space: LabelSpace) -> tuple[tuple[TrainingSequence, ...], tuple[str, ...]]:
    """Gives one sequence per clip, in natural order, and their problems. Reads no media."""
    shards = version.table(SHARDS_FILE, ["path", "sha256"]).to_pylist()
    digests = {row["path"]: row["sha256"] for row in shards}
    clips = defaultdict[str, list[dict[str, Any]]](list)
    for row in version.manifest(_COLUMNS).to_pylist():
        clips[row["clip_id"]].append(row)
    sequences, problems = [], []
    for clip_id, rows in clips.items():
        rows.sort(key=lambda row: row["frame_index"])
        first = rows[0]
        name = f"{first['sequence_id']} variant {first['variant']} clip {clip_id[:8]}"
        if unknown_files := sorted({row["shard"] for row in rows} - digests.keys()):
            raise IntegrityError(
                f"{version.url(MANIFEST_FILE)}: column shard: {unknown_files[0]!r} is not in {SHARDS_FILE}; {STEP}"
            )
        frames = tuple(_frame(row, digests[row["shard"]]) for row in rows)
        sequences.append(TrainingSequence(name, first["sequence_id"], (first["width"], first["height"]), frames))
        unknown = sorted({i for row in rows for i in row["class_ids"]} - space.ids)
        if unknown:
            problems.append(f"sequence '{name}': label ids {unknown} are unknown in label space '{space.name}'")
    return tuple(sorted(sequences, key=lambda s: natural(s.name))), tuple(problems)


def _frame(row: dict[str, Any], file_digest: str) -> TrainingFrame:
    label, image, instance = (
        Cell(row["shard"], row["row_group"], row["row"], column, file_digest)
        for column in ("label", "image", "instance")
    )
    return TrainingFrame(f"{row['frame_index']:06d}", label, image, instance)
