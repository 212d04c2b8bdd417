"""Shards in this process: what is stored is bit-exact to the source, and what goes wrong stays with its clip."""

import base64
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from flowreel.pipeline.codec import decode_image
from flowreel.pipeline.dataset.runs.records import load_outcomes
from flowreel.pipeline.generator.engine import engine_for
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.identity import shard_id
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.render import encode
from flowreel.pipeline.render import shard as shard_module
from flowreel.pipeline.render.shard import ShardRenderer
from flowreel.pipeline.storage import Unavailable, open_store
from flowreel.schemas.clip import Clip
from flowreel.schemas.outcome import Failed, Rejected, Rendered, ShardOutcome
from flowreel.schemas.plan import Plan
from tests.support.local_run import LocalRun

SIZE = (64, 32)
ROAD, WALL, FENCE, SKY, CAR, PLATE = 7, 12, 13, 23, 26, 34  # Cityscapes label ids


def decode(cell: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(cell["bytes"])))


def source_map(run: LocalRun, clip: Clip, role: str, t: int) -> np.ndarray:
    return np.asarray(Image.open(run.source / clip.sequence_id / role / f"{clip.frames[t].name}.png"))


def stored(run: LocalRun, outcome: ShardOutcome) -> pq.ParquetFile:
    assert outcome.file is not None
    return pq.ParquetFile(run.dataset / outcome.file.path)


def clips_of(plan: Plan) -> dict[str, Clip]:
    return {clip.clip_id: clip for shard in plan.shards for clip in shard.clips}


def frames(run: LocalRun, prepared: Prepared, outcomes: list[ShardOutcome]) -> list[tuple[Clip, int, dict[str, Any]]]:
    """(clip, frame index, stored row) of all that was rendered."""
    clips = clips_of(prepared.plan)
    found = []
    for outcome in outcomes:
        for group in range(stored(run, outcome).num_row_groups):
            for t, row in enumerate(stored(run, outcome).read_row_group(group).to_pylist()):
                found.append((clips[row["clip_id"]], t, row))
    return found


def recorded(prepared: Prepared) -> dict[str, ShardOutcome]:
    """What a resumed run finds, but for its times."""
    done = load_outcomes(prepared.job.dataset, prepared.plan.plan_id)
    return {outcome.shard_id: replace(outcome, seconds={}) for outcome in done}


def test_every_clip_of_the_plan_is_stored_once_and_in_order(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    assert [[len(c.frames) for c in s.clips] for s in prepared.plan.shards] == [[2, 2], [3, 3]]
    outcomes = local_run.render(prepared)
    for shard, outcome in zip(prepared.plan.shards, outcomes, strict=True):
        assert outcome.shard_id == shard.shard_id
        assert outcome.clips == tuple(Rendered(c.clip_id, len(c.frames)) for c in shard.clips)
        assert outcome.file is not None and outcome.file.path == f"data/{shard.shard_id}.parquet"
        data = (local_run.dataset / outcome.file.path).read_bytes()
        assert (outcome.file.size, outcome.file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        file = stored(local_run, outcome)
        assert file.num_row_groups == len(shard.clips)
        for group, clip in enumerate(shard.clips):
            rows = file.read_row_group(group).to_pylist()
            assert [row["frame_index"] for row in rows] == list(range(len(clip.frames)))
            assert {row["clip_id"] for row in rows} == {clip.clip_id}
            assert {(row["sequence_id"], row["variant"], row["split"]) for row in rows} == {
                (clip.sequence_id, 0, clip.split)
            }
            assert [row["timestamp_s"] for row in rows] == [(clip.start + t) / 17 for t in range(len(clip.frames))]
    assert set(outcomes[0].seconds) == {"fetch", "generate", "encode", "write"}
    assert recorded(prepared) == {o.shard_id: replace(o, seconds={}) for o in outcomes}


def test_labels_and_instances_are_the_source_bit_by_bit(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    found = frames(local_run, prepared, local_run.render(prepared))
    assert len(found) == 10
    for clip, t, row in found:
        label, instance = decode(row["label"]), decode(row["instance"])
        assert (label.dtype, instance.dtype) == (np.dtype(np.uint8), np.dtype(np.uint16))
        np.testing.assert_array_equal(label, source_map(local_run, clip, "labels", t))
        np.testing.assert_array_equal(instance, source_map(local_run, clip, "instances", t))
        assert decode(row["image"]).shape == (SIZE[1], SIZE[0], 3)
        assert row["flow"] is None


def test_labels_are_remapped_then_resized_then_edited(local_run: LocalRun) -> None:
    """The same by Pillow and numpy alone; the instance of a replaced car goes with it."""
    prepared = local_run.prepare(
        source={"remap": {SKY: "fence", "others": "keep"}},
        generator={"size": [48, 24]},
        variants=[{"edits": [{"replace": "fence", "with": "wall"}, {"replace": "car", "with": "road"}]}],
    )
    cars = 0
    for clip, t, row in frames(local_run, prepared, local_run.render(prepared)):
        raw, ids = source_map(local_run, clip, "labels", t), source_map(local_run, clip, "instances", t)
        small = np.asarray(Image.fromarray(raw).resize((48, 24), Image.Resampling.NEAREST)).copy()
        expected_ids = np.asarray(Image.fromarray(ids.astype(np.int32)).resize((48, 24), Image.Resampling.NEAREST))
        small[np.isin(small, (SKY, FENCE))] = WALL
        gone = small == CAR
        cars += int(gone.sum())
        small[gone] = ROAD
        np.testing.assert_array_equal(decode(row["label"]), small)
        np.testing.assert_array_equal(decode(row["instance"]), np.where(gone, 0, expected_ids))
        assert decode(row["image"]).shape == (24, 48, 3)
    assert cars > 0


def test_an_edit_changes_the_image_too(local_run: LocalRun) -> None:
    plain, edited = local_run.into("plain"), local_run.into("edited")
    a, b = plain.prepare(), edited.prepare(variants=[{"edits": [{"replace": "road", "with": "sky"}]}])
    first = {(c.sequence_id, c.start): r for c, t, r in frames(plain, a, plain.render(a)) if t == 0}
    for clip, t, row in frames(edited, b, edited.render(b)):
        if t == 0:
            other = first[clip.sequence_id, clip.start]
            assert not np.array_equal(decode(row["image"]), decode(other["image"]))


def test_drop_publishes_the_labels_of_the_frames_that_have_an_image(local_run: LocalRun) -> None:
    prepared = local_run.prepare(clips={"frames": 0, "lead_in": "drop"})
    found = frames(local_run, prepared, local_run.render(prepared))
    assert len(found) == 2 * (5 - 2)
    for clip, t, row in found:
        assert (row["frame_index"], row["timestamp_s"]) == (t, (t + 2) / 17)
        np.testing.assert_array_equal(decode(row["label"]), source_map(local_run, clip, "labels", t + 2))


@pytest.mark.parametrize(("codec", "format"), [("png", "PNG"), ("webp", "WEBP"), ("jpeg", "JPEG")])
def test_images_and_flow_are_stored_as_asked(local_run: LocalRun, codec: str, format: str) -> None:
    prepared = local_run.prepare(output={"image_codec": codec, "flow": True, "instances": False})
    for _, t, row in frames(local_run, prepared, local_run.render(prepared)):
        assert Image.open(io.BytesIO(row["image"]["bytes"])).format == format
        assert row["instance"] is None
        assert (row["flow"] is None) == (t == 0)  # no frame before the first
        if row["flow"]:
            assert row["flow"]["bytes"].startswith(b"\x89PNG")


def test_without_instance_maps_there_are_none_to_publish(local_run: LocalRun) -> None:
    prepared = local_run.prepare(source={"instances": None})
    assert all(row["instance"] is None for _, _, row in frames(local_run, prepared, local_run.render(prepared)))


def test_the_order_of_shards_does_not_show_in_the_bytes(local_run: LocalRun) -> None:
    bytes_of = []
    for name, step in (("forth", 1), ("back", -1)):
        run = local_run.into(name)
        prepared = run.prepare()
        run.render(prepared, prepared.plan.shards[::step])
        bytes_of.append({f.name: f.read_bytes() for f in (run.dataset / "data").iterdir()})
    assert len(bytes_of[0]) == 2 and bytes_of[0] == bytes_of[1]


# What goes wrong


def first_label(run: LocalRun, clip: Clip) -> Path:
    return Path(run.source / clip.sequence_id / "labels" / f"{clip.frames[0].name}.png")


def changed(file: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)


@pytest.mark.parametrize(
    ("harm", "said"), [(changed, "changed since it was checked"), (Path.unlink, "gone since it was checked")]
)
def test_a_clip_whose_source_changes_after_planning_fails_alone(
    local_run: LocalRun, harm: Callable[[Path], None], said: str
) -> None:
    prepared = local_run.prepare()
    shard = prepared.plan.shards[1]
    bad, good = shard.clips
    harm(first_label(local_run, bad))
    (outcome,) = local_run.render(prepared, [shard])
    failed, kept = outcome.clips
    assert kept == Rendered(good.clip_id, 3)
    assert isinstance(failed, Failed) and failed.clip_id == bad.clip_id
    assert str(first_label(local_run, bad)) in failed.reason and said in failed.reason
    assert outcome.file is not None and outcome.file.path == f"data/{shard_id([good.clip_id])}.parquet"
    assert {row["clip_id"] for _, _, row in frames(local_run, prepared, [outcome])} == {good.clip_id}


def test_a_changed_instance_map_is_not_used_either(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    bad = prepared.plan.shards[0].clips[1]
    changed_file = local_run.source / bad.sequence_id / "instances" / f"{bad.frames[1].name}.png"
    Image.fromarray(np.zeros((SIZE[1], SIZE[0]), np.uint16)).save(changed_file)
    (outcome,) = local_run.render(prepared, prepared.plan.shards[:1])
    assert [type(c) for c in outcome.clips] == [Rendered, Failed]
    assert str(changed_file) in outcome.lost[0].reason


def test_a_shard_of_which_nothing_is_left_has_no_file(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    for clip in prepared.plan.shards[0].clips:
        first_label(local_run, clip).unlink()
    (outcome,) = local_run.render(prepared, prepared.plan.shards[:1])
    assert outcome.file is None and len(outcome.lost) == 2
    assert not (local_run.dataset / "data").exists()
    assert recorded(prepared) == {outcome.shard_id: replace(outcome, seconds={})}


def test_a_clip_that_the_network_cannot_render_fails_alone(local_run: LocalRun) -> None:
    """One clip holds a class whose weights overflow: its values are not finite, those of its batch mate are."""
    file = local_run.source / "seq_01" / "labels" / "000001.png"
    label = np.asarray(Image.open(file)).copy()
    label[4:20, 4:40] = PLATE
    Image.fromarray(label).save(file)
    prepared = local_run.prepare()
    generator = load_generator(prepared.job.checkpoint, "cpu")
    channels = generator.config.frame_channels
    for t in range(generator.config.n_frames):
        generator.get_parameter("G0.model_down_seg.1.weight")[:, t * channels + PLATE] = 1e38
    renderer = ShardRenderer(prepared.job, prepared.plan.plan_id, engine_for(generator))
    outcome = renderer.render(prepared.plan.shards[1])
    good, bad = outcome.clips
    assert isinstance(good, Rendered) and isinstance(bad, Failed)
    assert "not finite at label frame 1" in bad.reason
    assert "Traceback" in bad.error


def test_the_gate_rejects_by_the_bound_and_keeps_the_rest(local_run: LocalRun) -> None:
    free = local_run.into("free")
    version = free.publish(free.prepare())
    worst: dict[str, float] = {}
    for row in version.manifest().to_pylist():
        assert (row["warp_error"] is None) == (row["frame_index"] == 0)
        worst[row["clip_id"]] = max(worst.get(row["clip_id"], 0.0), row["warp_error"] or 0.0)
    low, *_, high = sorted(worst.values())
    bound = (low + high) / 2
    prepared = local_run.prepare(quality={"max_warp_error": bound})
    outcomes = local_run.render(prepared)
    found = {c.clip_id: c for o in outcomes for c in o.clips}
    assert set(found) == set(worst)  # the gate is no part of a clip's identity
    for clip_id, clip in found.items():
        assert isinstance(clip, Rejected if worst[clip_id] > bound else Rendered)
        if isinstance(clip, Rejected):
            assert clip.reason.startswith(f"warp_error {worst[clip_id]:.4f} at frame ")
            assert clip.reason.endswith(f"above quality.max_warp_error {bound:g}")
            assert decode_image(base64.b64decode(clip.thumbnail)).shape == (80, 3 * 160, 3)
    kept = {row["clip_id"] for _, _, row in frames(local_run, prepared, [o for o in outcomes if o.file])}
    assert kept == {clip_id for clip_id, error in worst.items() if error <= bound}


@pytest.mark.slow  # the store's pauses between its tries
def test_a_store_that_is_down_is_no_clip_s_failure(local_run: LocalRun) -> None:
    pytest.importorskip("s3fs")
    prepared = local_run.prepare()
    options = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": "http://127.0.0.1:1"}}
    down = replace(prepared, job=replace(prepared.job, source=open_store("s3://bucket/source", options)))
    shard = replace(prepared.plan.shards[0], clips=prepared.plan.shards[0].clips[:1])
    with pytest.raises(Unavailable):
        local_run.render(down, [shard])
    assert recorded(prepared) == {}
    assert not (local_run.dataset / "data").exists()


def test_frames_are_counted_as_they_are_rendered(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    ticks: list[int] = []
    generator = load_generator(prepared.job.checkpoint, "cpu")
    renderer = ShardRenderer(prepared.job, prepared.plan.plan_id, engine_for(generator), ticks.append)
    for shard in prepared.plan.shards:
        renderer.render(shard)
    assert sum(ticks) == prepared.plan.frame_count == 10


def test_the_generator_keeps_nothing_of_a_clip(local_run: LocalRun) -> None:
    prepared = local_run.prepare()
    generator = load_generator(prepared.job.checkpoint, "cpu")
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    renderer = ShardRenderer(prepared.job, prepared.plan.plan_id, engine_for(generator))
    first = renderer.render(prepared.plan.shards[0])
    renderer.render(prepared.plan.shards[1])
    assert renderer.render(prepared.plan.shards[0]).file == first.file
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())


def test_clips_that_end_at_different_steps_keep_their_places(
    local_run: LocalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = local_run.prepare(clips={"frames": 2})
    (shard,) = (s for s in prepared.plan.shards if len(s.clips) == 4)
    gone, good, broken, _ = shard.clips
    first_label(local_run, gone).unlink()

    def encode_clip(clip: Clip, *rest: Any) -> Any:
        return 1 / 0 if clip == broken else encode.encode_clip(clip, *rest)

    monkeypatch.setattr(shard_module, "encode_clip", encode_clip)
    (outcome,) = local_run.render(prepared, [shard])
    assert [type(c) for c in outcome.clips] == [Failed, Rendered, Failed, Rendered]
    assert [c.clip_id for c in outcome.clips] == [c.clip_id for c in shard.clips]
    assert [c.kind for c in outcome.lost] == ["input", "ZeroDivisionError"]
    assert [c.clip_id for c in outcome.lost] == [gone.clip_id, broken.clip_id] and outcome.frames == 4
    assert {row["clip_id"] for _, _, row in frames(local_run, prepared, [outcome])} >= {good.clip_id}
