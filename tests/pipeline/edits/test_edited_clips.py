"""Edits from the spec to what is published: labels bit by bit, frames in time, donors in identity and lineage."""

import re
from typing import Any

import numpy as np
import pytest

from flowreel.pipeline.codec import decode_ids, encode_ids
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.edits import Maps, apply_edits
from flowreel.pipeline.maintenance.provenance import rendered_from
from flowreel.pipeline.maintenance.rerender import rerender
from flowreel.pipeline.reader.dataset import ClipData, read_version
from flowreel.schemas.errors import UsageError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.parse import check
from flowreel.schemas.spec import Spec
from tests.support.local_run import LocalRun

SPACE = BUILT_IN["cityscapes"]


def maps(run: LocalRun, sequence: str, kind: str, frames: Any) -> Any:
    folder = run.source / sequence / kind
    return np.stack([decode_ids((folder / f"{t:06d}.png").read_bytes()) for t in frames])


def an_object(run: LocalRun, sequence: str) -> int:
    label, instance = (maps(run, sequence, kind, [0]) for kind in ("labels", "instances"))
    ids, counts = np.unique(instance[(label >= 24) & (instance > 0)], return_counts=True)
    return int(ids[counts.argmax()])


def published(run: LocalRun, version: Version) -> dict[tuple[str, int], ClipData]:
    return {(clip.sequence_id, clip.variant): clip for clip in read_version(version).clips()}


VARIANTS: list[list[dict[str, Any]]] = [
    [{"remove": "car"}, {"drop_out": [0, 0, 0.2, 1]}],
    [{"reverse": True}, {"mirror": "horizontal"}],
    [{"every": 2}, {"keep": ["car"]}],
]


def with_insert(run: LocalRun) -> list[dict[str, Any]]:
    insert = {"insert": an_object(run, "seq_01"), "from": "seq_01", "first": 1, "by": [0.1, 0.0], "scale": 1.5}
    return [{"edits": edits} for edits in [*VARIANTS, [insert]]]


def test_the_published_label_is_the_edited_map_bit_by_bit(local_run: LocalRun) -> None:
    prepared = local_run.prepare(variants=with_insert(local_run), clips={"frames": 0})
    version = local_run.publish(prepared)
    found = published(local_run, version)
    assert len(found) == 8
    order = {0: range(5), 1: range(4, -1, -1), 2: range(0, 5, 2), 3: range(5)}
    donor = Maps(*(maps(local_run, "seq_01", kind, range(1, 5)) for kind in ("labels", "instances")))
    for (sequence, variant), clip in found.items():
        before = [maps(local_run, sequence, kind, order[variant]) for kind in ("labels", "instances")]
        edits = prepared.job.spec.variants[variant].edits
        label_THW, instance_THW = apply_edits(before[0], before[1], edits, SPACE, [donor])
        np.testing.assert_array_equal(clip.label_THW, label_THW)
        np.testing.assert_array_equal(clip.instance_THW, instance_THW)
        assert len(clip.image_THW3) == len(order[variant])
        step = 2 if variant == 2 else 1
        np.testing.assert_allclose(clip.timestamp_T, [t * step / 17 for t in range(len(order[variant]))])
        assert variant == 1 or not np.array_equal(label_THW, before[0])
    rows = [r for r in version.manifest(["sequence_id", "variant", "source_frame", "edits"]).to_pylist()]
    back = [r["source_frame"] for r in rows if (r["sequence_id"], r["variant"]) == ("seq_00", 1)]
    assert back == [f"seq_00/labels/{t:06d}.png" for t in range(4, -1, -1)]
    assert {tuple(r["edits"]) for r in rows if r["variant"] == 2} == {("every 2", "keep car")}
    assert rerender(version, 8).same == 8  # donors are in the lineage


def test_a_change_of_the_donor_renders_its_guests_again_and_no_others(local_run: LocalRun) -> None:
    variants = with_insert(local_run)
    version = local_run.publish(local_run.prepare(variants=variants, clips={"frames": 3}))
    guests = {o.sources["sequence_id"] for o in rendered_from(version, "seq_01/instances/000002.png")}
    assert guests == {"seq_00", "seq_01"}
    label_HW = maps(local_run, "seq_01", "labels", [2])[0]
    label_HW[0, 0] = 0
    (local_run.source / "seq_01" / "labels" / "000002.png").write_bytes(encode_ids(label_HW))
    plan = local_run.prepare(variants=variants, clips={"frames": 3}).plan
    again = {(c.sequence_id, c.variant, c.start) for shard in plan.shards for c in shard.clips}
    of_guests = {(sequence, 3, start) for sequence in ("seq_00", "seq_01") for start in (0, 3)}
    assert again == of_guests | {("seq_01", variant, 0) for variant in range(4)}


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([{"remove": "cars"}], "variants[0].edits[0]: 'cars' is no class"),
        ([{"keep": ["car", 99]}], "edits[0]: 99 is no class"),
        ([{"insert": 3, "from": "seq_07"}], "there is no sequence 'seq_07'"),
        ([{"insert": 3, "from": "seq_01", "first": 5}], "'seq_01' has 5 frames; first 5 must be below"),
        ([{"insert": 65000, "from": "seq_01"}], "no object 65000 in frames 0..2 of sequence 'seq_01'; it has 10, 35"),
        ([{"mirror": "horizontal"}, {"reverse": True}], "edits[1]: 'reverse' chooses the clip's frames"),
    ],
)
def test_edits_that_do_not_fit_are_refused_before_anything_is_rendered(
    local_run: LocalRun, edits: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        local_run.prepare(variants=[{"edits": edits}])


def test_edits_of_instances_need_instance_maps(local_run: LocalRun) -> None:
    with pytest.raises(UsageError, match="'move 3 by 0.1, 0' needs instance maps; name them as source.instances"):
        local_run.prepare(source={"instances": None}, variants=[{"edits": [{"move": 3, "by": [0.1, 0]}]}])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"remov": "car"}, "variants[0].edits[0]: {'remov': 'car'}: no edit; it needs one of the keys replace, remove"),
        ({"remove": "car", "instance": [3]}, "variants[0].edits[0].instance: unknown field; did you mean 'instances'?"),
        ({"crop": [0.5, 0, 0.6, 1]}, "[0.5, 0, 0.6, 1] must lie within the frame"),
        ({"every": 1}, "variants[0].edits[0].every: must be at least 2, is 1"),
        ({"drop_out": [0, 0, 1, 1], "frames": [3, 3]}, "frames [3, 3]: first must be below stop"),
        ({"move": 3}, "variants[0].edits[0].by: missing, but required"),
    ],
)
def test_a_wrong_edit_is_named(edit: dict[str, Any], message: str) -> None:
    tree = {"dataset": {"uri": "out"}, "source": {"uri": "in"}, "variants": [{"edits": [edit]}]}
    with pytest.raises(UsageError, match=re.escape(message)):
        check(Spec, tree, "spec")
