"""Numbers of a report against the manifest, counted row by row."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.quality.perceptual_hash import apart
from flowreel.pipeline.report.facts import ClassFacts, Facts, gather, whole_clips
from flowreel.pipeline.report.measures import MEASURES
from flowreel.pipeline.report.pick_clips import FEW, near_duplicates, outliers, shown


def test_clips_are_the_manifests_rows_put_together(city: Version) -> None:
    rows, facts = city.manifest().to_pylist(), gather(city)
    clips = facts.clips(range(facts.clip_count))
    assert len(clips) == city.record.counts.clips > 8
    for clip in clips:
        own = [row for row in rows if row["clip_id"] == clip.clip_id]
        first = own[0]
        assert (clip.sequence_id, clip.variant, clip.split) == (first["sequence_id"], first["variant"], first["split"])
        assert (clip.shard, clip.row_group, clip.start_s) == (first["shard"], first["row_group"], first["timestamp_s"])
        assert (clip.edits, clip.frames, clip.hash) == (tuple(first["edits"]), len(own), own[len(own) // 2]["phash"])
        for measure in MEASURES:
            known = [row[measure.column] for row in own if row[measure.column] is not None]
            if not known:
                assert measure.column not in clip.means
                continue
            assert clip.means[measure.column] == pytest.approx(sum(known) / len(known))
            assert clip.worst[measure.column] == pytest.approx((min if measure.worst == "low" else max)(known))


def test_distributions_and_classes_count_every_frame(city: Version) -> None:
    rows, facts = city.manifest().to_pylist(), gather(city)
    for name, histogram in facts.histograms.items():
        known = [row[name] for row in rows if row[name] is not None]
        assert sum(histogram.counts) == len(known)
        assert (histogram.low, histogram.high) == (min(known), max(known))
    assert "label_agreement" not in facts.histograms
    pixels: Counter[int] = Counter()
    for row in rows:
        pixels.update(dict(zip(row["class_ids"], row["class_pixels"], strict=True)))
    assert dict(zip(facts.classes.ids, facts.classes.pixels_K.tolist(), strict=True)) == pixels
    a, b = facts.classes.ids[:2]
    assert facts.classes.together_KK[0, 1] == sum({a, b} <= set(row["class_ids"]) for row in rows)


def test_parts_end_where_clips_end(city: Version) -> None:
    rows = city.manifest(["clip_id", "frame_index"])
    parts = list(whole_clips(rows.slice(start, 7) for start in range(0, len(rows), 7)))
    assert pa.concat_tables(parts).equals(rows) and len(parts) > 1
    assert all(part["frame_index"][0].as_py() == 0 for part in parts)


def facts_of(**means: list[float]) -> Facts:
    count = len(next(iter(means.values())))
    values = {m.column: np.array(means.get(m.column, [math.nan] * count)) for m in MEASURES}
    heads = pa.table({"clip_id": [f"{k:032x}" for k in range(count)]})
    nothing = ClassFacts((), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0), np.int64))
    one = np.ones(count, np.int64)
    return Facts(heads, one, one.astype(np.uint64), values, values, {}, nothing)


def test_what_stands_out_is_far_on_the_bad_side() -> None:
    usual = [0.010, 0.011, 0.012, 0.013, 0.014, 0.015, 0.016]
    facts = facts_of(warp_error=[*usual, 0.05], sharpness=[*(1000 * v for v in usual), 1.0], contrast=[*usual, 0.05])
    assert outliers(facts, [0, 7]) == {1: ["warp_error", "sharpness"]}  # high contrast is nothing bad
    assert outliers(facts_of(warp_error=[*usual[: FEW - 2], 0.05]), [0]) == {}


def test_worst_best_and_a_sample_are_shown() -> None:
    errors = [0.02, 0.09, 0.01, 0.05, 0.03, 0.04]
    chosen = shown(facts_of(warp_error=errors), 3)
    assert chosen == [1, 0, 2]  # worst, first by id, best
    assert sorted(shown(facts_of(warp_error=errors), 99)) == list(range(6))


def test_clips_that_look_alike_name_each_other() -> None:
    hashes = np.array([0b1111, 0, 0b0111, 0, 2**63 + 2**40 - 1], np.uint64)
    assert apart(hashes[:1], hashes[2:3]).tolist() == [1]
    assert near_duplicates(hashes) == {0: [2], 2: [0]}  # 0 is no hash
