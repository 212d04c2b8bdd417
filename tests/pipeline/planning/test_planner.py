"""Plans: which clips and shards a spec needs, what their ids depend on, and what they don't."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flowreel.pipeline.planning.planner import SHARD_FRAMES, Inputs, Published, plan, published_frames
from flowreel.pipeline.planning.spans import span_bounds
from flowreel.pipeline.sources.template import natural
from flowreel.schemas.clip import CLIP_ID, Clip, Exemplar
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.parse import parse_spec
from flowreel.schemas.plan import Plan, RenderSettings
from flowreel.schemas.sequence import Frame, Sequence, Sequences, SourceFile

SPEC = """
dataset: {uri: out}
source: {uri: in}
clips: {frames: 4}
variants: [{style: generate}, {style: dusk.png}]
"""
SETTINGS = RenderSettings("cpu", 1, "float32", (64, 32), "generator-1")
DUSK = {"dusk.png": Exemplar("dusk.png", "dusk-1")}


def inputs(*overrides: str, **change: Any) -> Inputs:
    settings = replace(SETTINGS, **change.pop("settings", {}))
    spec = parse_spec(SPEC, overrides)
    return replace(Inputs(spec, BUILT_IN["cityscapes"], settings, 3, True, DUSK), **change)


def file(path: str, content: str) -> SourceFile:
    return SourceFile(path, hashlib.sha256(content.encode()).hexdigest())


def sequence(name: str = "a", length: int = 8, instances: bool = True) -> Sequence:
    def file_of(kind: str, i: int) -> SourceFile:
        return file(f"{name}/{kind}/{i}.png", f"{kind}-{name}-{i}")

    frames = (
        Frame(str(i), file_of("labels", i), file_of("instances", i) if instances else None) for i in range(length)
    )
    return Sequence(name, (64, 32), tuple(frames))


def columns(sequences: Iterable[Sequence]) -> Sequences:
    """Sequences as the catalog has them."""
    ordered = sorted(sequences, key=lambda s: natural(s.sequence_id))
    frames = [frame for s in ordered for frame in s.frames]
    digests = [(bytes.fromhex(f.label.digest), bytes.fromhex(f.instance.digest if f.instance else "")) for f in frames]
    label, instance = (b"".join(d[kind].ljust(32, b"\0") for d in digests) for kind in (0, 1))
    return Sequences(
        "{sequence}/labels/*.png",
        "{sequence}/instances/*.png",
        pa.array([s.sequence_id for s in ordered], pa.string()),
        np.array([s.size for s in ordered], np.int32).reshape(-1, 2),
        np.cumsum([0, *(len(s.frames) for s in ordered)]),
        pa.array([frame.name for frame in frames], pa.large_string()),
        np.frombuffer(label, np.uint8).reshape(-1, 32),
        np.frombuffer(instance, np.uint8).reshape(-1, 32),
    )


def held(ids: Iterable[str], version: int | None) -> Published:
    return Published(version, pa.array([bytes.fromhex(i) for i in ids], CLIP_ID))


def reused(result: Plan) -> set[str]:
    return {i.hex() for i in result.reused.to_pylist()}


def planned(given: Inputs | None = None, sequences: Iterable[Sequence] | None = None, have: Iterable[str] = ()) -> Plan:
    have = sorted(have)
    sequences = [sequence("a"), sequence("b")] if sequences is None else sequences
    return plan(columns(sequences), given or inputs(), held(have, 1 if have else None))


def clips_of(result: Plan) -> list[Clip]:
    return [clip for shard in result.shards for clip in shard.clips]


def ids(result: Plan) -> set[str]:
    return {clip.clip_id for clip in clips_of(result)}


def spans_of(length: int, frames: int, stride: int | None) -> list[tuple[int, int]]:
    """Of a sequence of this length among others."""
    sequence, start, stop = span_bounds(np.array([5, length, 7]), frames, stride)
    return list(zip(start[sequence == 1].tolist(), stop[sequence == 1].tolist(), strict=True))


@pytest.mark.parametrize("stride", [None, *range(1, 9)])
@pytest.mark.parametrize("frames", range(8))
def test_clips_cover_a_sequence_at_their_stride(frames: int, stride: int | None) -> None:
    for length in range(1, 25):
        found = spans_of(length, frames, stride)
        size, step = frames or length, stride or frames or length
        assert [start for start, _ in found] == [i * step for i in range(len(found))]
        assert all(stop - start == size for start, stop in found[:-1])
        assert 0 < found[-1][1] - found[-1][0] <= size and found[-1][1] <= length
        stops = [stop for _, stop in found]
        assert len(set(stops)) == len(stops)  # no clip lies within the one before
        covered = {i for start, stop in found for i in range(start, stop)}
        if step <= size:
            assert covered == set(range(length))
        else:  # sparse on purpose: what lies between is left out
            assert covered == {i for i in range(length) if i % step < size}


@pytest.mark.parametrize(
    ("length", "frames", "stride", "expected"),
    [
        (8, 4, None, [(0, 4), (4, 8)]),
        (10, 4, None, [(0, 4), (4, 8), (8, 10)]),
        (9, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 9)]),
        (10, 2, 5, [(0, 2), (5, 7)]),
        (11, 2, 5, [(0, 2), (5, 7), (10, 11)]),
        (3, 4, None, [(0, 3)]),
        (9, 0, None, [(0, 9)]),
        (9, 0, 2, [(0, 9)]),
    ],
    ids=["even", "tail", "overlap", "sparse", "sparse tail", "short", "whole", "whole, stride"],
)
def test_spans(length: int, frames: int, stride: int | None, expected: list[tuple[int, int]]) -> None:
    assert spans_of(length, frames, stride) == expected


def test_a_clip_says_all_that_its_worker_needs() -> None:
    result = planned(inputs("variants.1.seed=7", "split={all: 1.0}"), [sequence("a", 6)])
    seen = {(c.sequence_id, c.variant, c.start, len(c.frames), c.split, c.seed, c.exemplar) for c in clips_of(result)}
    assert seen == {
        *(("a", 0, start, n, "all", 0, None) for start, n in ((0, 4), (4, 2))),
        *(("a", 1, start, n, "all", 7, DUSK["dusk.png"]) for start, n in ((0, 4), (4, 2))),
    }
    last = next(c for c in clips_of(result) if c.start == 4)
    assert [f.label.path for f in last.frames] == ["a/labels/4.png", "a/labels/5.png"]
    assert (result.clip_count, result.frame_count) == (4, 12)
    assert (result.base_version, result.dropped, reused(result), result.too_short) == (None, 0, set(), ())


def test_the_same_input_gives_the_same_plan() -> None:
    assert planned(inputs()) == planned(inputs())
    assert ids(planned(sequences=[sequence("b"), sequence("a")])) == ids(planned())


@pytest.mark.parametrize(
    "override",
    [
        "dataset={uri: s3://elsewhere/city, name: n, keep_versions: 9}",
        "source.uri=s3://elsewhere",
        "source.labels='{sequence}/gt/*.png'",
        "execution={num_gpus: 0.5, num_cpus: 7, workers: [3, 99]}",
        "failure={max_attempts: 1, max_failed_fraction: 1}",
        "storage_options={key: secret}",
        "generator.checkpoint=moved/elsewhere",
    ],
)
def test_where_and_how_a_job_runs_leaves_the_plan_as_it_is(override: str) -> None:
    assert planned(inputs(override)) == planned()


def edited(index: int = 0, **change: Any) -> Callable[[], Plan]:
    """The plan with another first sequence: its frame ``index`` changed."""
    first = sequence("a")
    frames = list(first.frames)
    frames[index] = replace(frames[index], **change)
    return lambda: planned(sequences=[replace(first, frames=tuple(frames)), sequence("b")])


def test_the_base_has_eight_clips() -> None:
    assert len(ids(planned())) == 8  # two sequences x two variants x two pieces


ALL, SECOND_VARIANT, FIRST_PIECE = 8, 4, 2


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (lambda: planned(inputs("clips.seed=1")), ALL),
        (lambda: planned(inputs("clips.lead_in=drop")), ALL),
        (lambda: planned(inputs("source.fps=15")), ALL),
        (lambda: planned(inputs("source.remap={40: 7}")), ALL),
        (lambda: planned(inputs("output.image_codec=png")), ALL),
        (lambda: planned(inputs("output.image_quality=91")), ALL),
        (lambda: planned(inputs("output.instances=false")), ALL),
        (lambda: planned(inputs("output.flow=true")), ALL),
        (lambda: planned(inputs("variants.1.seed=1")), SECOND_VARIANT),
        (lambda: planned(inputs("variants.1.edits=[{replace: car, with: road}]")), SECOND_VARIANT),
        (
            lambda: planned(inputs("variants.1.style=b.png", exemplars={"b.png": Exemplar("b.png", "dusk-1")})),
            SECOND_VARIANT,
        ),
        (lambda: planned(inputs(exemplars={"dusk.png": Exemplar("dusk.png", "dusk-2")})), SECOND_VARIANT),
        (lambda: planned(inputs("split={other: 1.0}")), ALL),
        (lambda: planned(inputs(space=BUILT_IN["camvid11"])), ALL),
        (lambda: planned(inputs(space=BUILT_IN["cityscapes"].model_copy(update={"version": 2}))), ALL),
        (lambda: planned(inputs(settings={"generator": "generator-2"})), ALL),
        (lambda: planned(inputs(settings={"precision": "bfloat16"})), ALL),
        (lambda: planned(inputs(settings={"size": (32, 64)})), ALL),
        (edited(label=file("a/labels/0.png", "new")), FIRST_PIECE),
        (edited(name="renamed"), FIRST_PIECE),
        (edited(instance=file("a/instances/0.png", "new")), FIRST_PIECE),
        (edited(instance=None), FIRST_PIECE),
        (lambda: planned(sequences=[replace(sequence("a"), sequence_id="c"), sequence("b")]), 4),
        (lambda: planned(inputs("clips.frames=5")), ALL),
    ],
    ids=[
        *("seed", "lead_in", "fps", "remap", "codec", "quality", "instances", "flow", "variant seed", "edits"),
        *("style uri", "style content", "split", "space", "space version", "generator", "precision", "size"),
        *("label content", "label path", "instance content", "no instance", "sequence id", "frames"),
    ],
)
def test_what_decides_a_clip_changes_its_id_and_no_other(make: Callable[[], Plan], changed: int) -> None:
    before, after = ids(planned()), ids(make())
    assert len(before - after) == changed and len(after) == len(before)


def test_the_same_frames_later_in_their_sequence_are_another_clip() -> None:
    """Their times differ."""
    whole = sequence("a", 8)
    tail = replace(whole, frames=whole.frames[4:])
    assert len(ids(planned(sequences=[tail])) | ids(planned(sequences=[whole]))) == 6


def test_variants_in_another_order_are_others() -> None:
    assert not ids(planned(inputs("variants=[{style: dusk.png}, {style: generate}]"))) & ids(planned())


@pytest.mark.parametrize("settings", [{"device": "cuda"}, {"batch": 2}])
def test_batch_and_device_decide_shards_but_no_clip(settings: dict[str, Any]) -> None:
    assert ids(planned(inputs(settings=settings))) == ids(planned())


def test_instance_maps_that_nothing_uses_decide_nothing() -> None:
    unused = inputs("output.instances=false", uses_instances=False)
    assert ids(planned(unused)) == ids(planned(unused, [sequence(s, instances=False) for s in "ab"]))
    used = inputs("output.instances=false", uses_instances=True)
    assert not ids(planned(used)) & ids(planned(used, [sequence(s, instances=False) for s in "ab"]))


def test_a_remap_by_name_or_in_another_order_is_the_same() -> None:
    same = ["source.remap={40: 7, 41: sky}", "source.remap={41: 23, 40: road}"]
    assert ids(planned(inputs(same[0]))) == ids(planned(inputs(same[1])))


def test_the_stride_leaves_clips_of_the_same_frames_alone() -> None:
    assert ids(planned()) < ids(planned(inputs("clips.stride=2")))


def test_growth_leaves_what_was_there_alone() -> None:
    before = ids(planned())
    assert before < ids(planned(sequences=[sequence("a"), sequence("a2"), sequence("b")]))
    assert before < ids(planned(sequences=[sequence("a", 11), sequence("b")]))
    assert before < ids(planned(inputs("variants=[{style: generate}, {style: dusk.png}, {seed: 5}]")))


def test_too_short_pieces_are_dropped_and_named() -> None:
    drop = inputs("clips.lead_in=drop", "variants=[{}]", window=3)
    result = planned(drop, [sequence("a", 10), sequence("b", 7), sequence("c", 1)])
    assert result.too_short == ("a frames 8..9", "c frames 0..0")
    assert sorted((c.sequence_id, c.start, len(c.frames)) for c in clips_of(result)) == [
        ("a", 0, 4), ("a", 4, 4), ("b", 0, 4), ("b", 4, 3),
    ]  # fmt: skip
    assert planned(inputs("variants=[{}]"), [sequence("c", 1)]).too_short == ()


@pytest.mark.parametrize(
    ("lead_in", "label_frames", "window", "expected"),
    [
        ("repeat", 4, 3, 4),
        ("repeat", 1, 3, 1),
        ("drop", 4, 3, 2),
        ("drop", 3, 3, 1),
        ("drop", 2, 3, 0),
        ("drop", 1, 1, 1),
    ],
)
def test_how_many_pairs_a_clip_publishes(lead_in: str, label_frames: int, window: int, expected: int) -> None:
    found = published_frames(np.array([label_frames], np.int32), inputs(f"clips.lead_in={lead_in}", window=window))
    assert found.tolist() == [expected]


@pytest.mark.parametrize(
    ("device", "batch", "frames", "clips_per_shard"),
    [
        ("cpu", 1, 4, 15),
        ("cpu", 1, 30, 2),
        ("cpu", 1, 61, 1),
        ("cpu", 4, 7, 8),
        ("cpu", 4, 30, 4),
        ("cuda", 4, 30, 16),
        ("cuda", 8, 61, 8),
        ("cuda", 1, 0, 4),
    ],
)
def test_shards_are_whole_batches_of_about_so_many_frames(
    device: str, batch: int, frames: int, clips_per_shard: int
) -> None:
    assert SHARD_FRAMES == {"cpu": 60, "cuda": 480}
    given = inputs(f"clips.frames={frames}", "variants=[{}]", settings={"device": device, "batch": batch})
    result = planned(given, [sequence(f"s{i}", frames or 100) for i in range(20)])
    full, rest = divmod(20, clips_per_shard)
    assert [len(s.clips) for s in result.shards] == [clips_per_shard] * full + [rest] * (rest > 0)
    assert [c.sequence_id for c in clips_of(result)] == [f"s{i}" for i in range(20)]


def test_clips_in_lock_step_have_one_length_and_one_kind_of_start() -> None:
    result = planned(inputs(settings={"batch": 4}), [sequence("a", 6), sequence("b", 8), sequence("c", 2)])
    kinds = [{(len(c.frames), c.exemplar is None) for c in shard.clips} for shard in result.shards]
    assert all(len(kind) == 1 for kind in kinds)
    assert [(kind.pop(), len(s.clips)) for kind, s in zip(kinds, result.shards, strict=True)] == [
        ((2, False), 2), ((2, True), 2), ((4, False), 3), ((4, True), 3),
    ]  # fmt: skip
    assert len({s.shard_id for s in result.shards}) == 4


def test_held_clips_are_not_planned_again() -> None:
    wanted = ids(planned())
    kept = sorted(wanted)[:3]
    result = planned(have=[*kept, "0" * 32, "1" * 32])
    assert ids(result) == wanted - set(kept) and reused(result) == set(kept)
    assert (result.dropped, result.base_version, result.clip_count) == (2, 1, 5)


def test_what_is_new_is_planned_as_if_nothing_else_were_there() -> None:
    one_split = inputs("split={all: 1.0}")  # a split that is empty takes one of what is new
    have, one = ids(planned(one_split)), [sequence("c"), sequence("d")]
    new = planned(one_split, sequences=[sequence("a"), *one, sequence("b")], have=have)
    assert new.shards == planned(one_split, sequences=one).shards


def test_nothing_new_is_an_empty_plan() -> None:
    result = planned(have=ids(planned()))
    assert result.shards == () and len(reused(result)) == 8 and result.dropped == 0


def test_a_plan_is_named_by_what_it_wants_what_it_builds_on_and_how_it_is_packed() -> None:
    wanted = ids(planned())
    plans = [
        planned(),
        planned(have=wanted),
        plan(columns([sequence("a"), sequence("b")]), inputs(), held(wanted, 2)),
        plan(columns([sequence("a"), sequence("b")]), inputs(), held((), 2)),
        planned(inputs("clips.seed=1")),
        planned(inputs(settings={"batch": 8}), [sequence("a"), sequence("b")]),
        planned(sequences=[]),
    ]
    names = [p.plan_id for p in plans]
    assert len(set(names)) == 6 and names[5] == names[0]  # few clips: every packing is the same
    many = [sequence(f"s{i}") for i in range(20)]
    assert planned(inputs(settings={"batch": 8}), many).plan_id != planned(sequences=many).plan_id


def test_other_quality_gates_are_another_run() -> None:
    assert planned(inputs("quality.max_warp_error=0.1")).plan_id != planned().plan_id


def test_a_sequence_stays_in_its_split_when_others_come() -> None:
    few = {c.sequence_id: c.split for c in clips_of(planned(sequences=[sequence(f"s{i}") for i in range(10)]))}
    many = {c.sequence_id: c.split for c in clips_of(planned(sequences=[sequence(f"s{i}") for i in range(60)]))}
    assert few.items() < many.items() and set(many.values()) == {"train", "val"}
