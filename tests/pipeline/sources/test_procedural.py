"""Procedural scenes as a source: drawn by whoever renders them, from parameters, seed and number alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowreel.pipeline.edits import Ids
from flowreel.pipeline.maintenance.rerender import rerender
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.reader.dataset import open_dataset
from flowreel.pipeline.sources.procedural import draw_maps, procedural_catalog
from flowreel.pipeline.sources.scenes import Drive, Label, Scene
from flowreel.schemas.errors import SourceError
from flowreel.schemas.source_kinds import ProceduralSpec
from flowreel.schemas.spec import Spec
from tests.support.local_run import LocalRun

SIZE = (256, 128)
THINGS = [Label.PERSON, Label.RIDER, Label.CAR, Label.TRUCK, Label.BUS, Label.BICYCLE]


def like(**parameters: Any) -> ProceduralSpec:
    return ProceduralSpec.model_validate({"frames": 12} | parameters)


def scene(index: int, **parameters: Any) -> Scene:
    return Drive.of(like(**parameters), index, SIZE).scene(0, 3)


def share(labels: list[Label], **parameters: Any) -> float:
    return float(np.mean([np.isin(scene(i, **parameters).label_THW, labels) for i in range(4)]))


def test_a_sequence_depends_on_parameters_seed_and_number_alone() -> None:
    few, many = (procedural_catalog(like(sequences=n), SIZE).sequences for n in (2, 5))
    assert many[:2] == few[:] and len({s.frames[0].label.digest for s in many}) == 5
    for other in (like(seed=1), like(traffic=2), like(rare={"crowd": 1})):
        assert procedural_catalog(other, SIZE).sequences[0].frames[0] != few[0].frames[0]
    whole = Drive.of(like(), 1, SIZE).scene(0, 12)
    label_THW, instance_THW = draw_maps(like(), few[1].frames[4:7], SIZE)
    np.testing.assert_array_equal(label_THW, whole.label_THW[4:7])
    np.testing.assert_array_equal(instance_THW, whole.instance_THW[4:7])
    with pytest.raises(SourceError, match="street-000001/000004: this release of Flowreel paints it differently"):
        draw_maps(like(seed=9), few[1].frames[4:7], SIZE)


def test_densities_do_what_they_say() -> None:
    cars, people = [Label.CAR, Label.TRUCK, Label.BUS], [Label.PERSON]
    assert share(cars, traffic=0) == 0 < share(cars) < share(cars, traffic=3)
    assert share(people, pedestrians=0) == 0 < share(people) < share(people, pedestrians=6)
    assert share([Label.RIDER, Label.BICYCLE], cyclists=0) == 0
    assert share([Label.BUILDING], buildings=0) < 0.5 * share([Label.BUILDING], buildings=1)


@pytest.mark.parametrize(
    ("event", "label"),
    [("jaywalker", Label.PERSON), ("crowd", Label.PERSON), ("cyclist_ahead", Label.RIDER)],
)
def test_rare_events_show(event: str, label: Label) -> None:
    none = {"traffic": 0, "pedestrians": 0, "cyclists": 0}
    found = [np.isin(Drive.of(like(rare={event: 1}, **none), i, SIZE).scene(5, 6).label_THW, label) for i in range(4)]
    assert sum(map(np.any, found)) >= 3


def test_depth_and_flow_are_those_of_the_drawn_world() -> None:
    """What a pixel shows was, a frame ago, where its flow leads: there lies the same instance or class."""
    drive = Drive.of(like(curvature=2, rare={"cross_traffic": 1}), 2, SIZE)
    maps, truth = drive.scene(4, 6), drive.truth(4, 6)
    rows, columns = np.indices(maps.label_THW.shape[1:])
    was = (np.stack([columns, rows], -1) + truth.flow_THW2[1]).round().astype(int)
    inside = ((was >= 0) & (was < SIZE)).all(axis=-1) & truth.sure_THW[1]
    x, y = was[inside].T
    same = (maps.label_THW[0][y, x] == maps.label_THW[1][inside]) & (
        maps.instance_THW[0][y, x] == maps.instance_THW[1][inside]
    )
    still = (maps.label_THW[0] == maps.label_THW[1]) & (maps.instance_THW[0] == maps.instance_THW[1])
    assert same.mean() > 0.95 and 1 - same.mean() < 0.6 * (1 - still[inside].mean())
    sky = maps.label_THW[1] == Label.SKY
    assert (truth.depth_THW[1][sky] == 0).mean() > 0.99 and (truth.depth_THW[1][~sky] > 0).all()
    road = np.where(maps.label_THW[1] == Label.ROAD, truth.depth_THW[1], 0)[-30:, SIZE[0] // 2]
    assert (np.diff(road[road > 0].astype(int)) < 0).all()  # nearer further down


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> LocalRun:
    return LocalRun(tmp_path_factory.mktemp("streets"), tiny_checkpoint)


def test_streets_are_rendered_published_and_verified(streets: LocalRun, one_thread: None) -> None:
    run = _Streets(streets.root, streets.checkpoint)
    variants = [{"style": "generate"}, {"style": "generate", "edits": [{"replace": "road", "with": "terrain"}]}]
    version = run.publish(run.prepare(variants=variants))
    assert not verify(version).problems and rerender(version, 2).same == 2
    clips = list(open_dataset(str(run.dataset)).clips())
    assert len(clips) == 2 * 2 * 2
    parameters = run.spec().source.procedural
    assert parameters is not None
    for clip in clips:
        drive = Drive.of(parameters, int(clip.sequence_id.rpartition("-")[2]), (64, 32))
        start = round(clip.timestamp_T[0] * 17)
        drawn: Ids = drive.scene(start, start + len(clip.label_THW)).label_THW
        if clip.variant == 1:
            drawn = np.where(drawn == Label.ROAD, np.uint8(Label.TERRAIN), drawn)
            assert clip.depth_THW is None and clip.flow_THW2 is not None
        else:
            truth = drive.truth(start, start + len(drawn))
            np.testing.assert_array_equal(clip.depth_THW, truth.depth_THW)
            assert clip.flow_THW2 is not None
            np.testing.assert_allclose(clip.flow_THW2[1:], truth.flow_THW2[1:], atol=1 / 64)
        np.testing.assert_array_equal(clip.label_THW, drawn)
    more = run.prepare(variants=variants, sequences=3)
    assert (more.plan.clip_count, len(more.plan.reused)) == (4, 8)
    assert run.prepare(variants=variants, seed=1).plan.clip_count == 8


class _Streets(LocalRun):
    """Two streets of 5 frames at 64x32, in clips of 3."""

    def spec(self, **groups: Any) -> Spec:
        own = {name: groups.pop(name) for name in ("sequences", "seed") if name in groups}
        tree: dict[str, Any] = {
            "dataset": {"uri": str(self.dataset)},
            "source": {"procedural": {"sequences": 2, "frames": 5} | own},
            "generator": {"checkpoint": str(self.checkpoint), "size": [64, 32]},
            "clips": {"frames": 3},
            "output": {"flow": True, "depth": True},
            "execution": {"num_gpus": 0},
        }
        return Spec.model_validate(tree | groups)
