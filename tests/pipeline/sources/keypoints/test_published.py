"""Poses and faces from files to a published dataset."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from flowreel.pipeline.codec import decode_ids, encode_ids, encode_image
from flowreel.pipeline.export.formats import FORMATS
from flowreel.pipeline.export.run import export
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.loading import save_checkpoint
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.maintenance.rerender import rerender
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.reader.dataset import ClipData, open_dataset
from flowreel.pipeline.sources.keypoints.crop import central_crop, following_crops
from flowreel.pipeline.sources.keypoints.openpose import BODY, COUNTS, Person
from flowreel.pipeline.sources.keypoints.published import PERSON
from flowreel.pipeline.sources.keypoints.tracking import track_people
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import SourceError, UsageError
from flowreel.schemas.parse import check
from flowreel.schemas.spec import Spec
from tests.conftest import LocalRun

OWN = (256, 128)  # of the drawn pictures; their middle at height 64 is 64 wide
FRAMES = 4
X = np.array([0, 0, -9, -11, -12, 9, 11, 12, 0, -5, -6, -6, 5, 6, 6, -2, 2, -4, 4, 8, 9, 5, -8, -9, -5], float)
Y = np.array([0, 9, 9, 22, 33, 9, 22, 33, 36, 36, 55, 72, 36, 55, 72, -3, -3, -2, -2, 76, 75, 74, 76, 75, 74], float)


def body(x: float, y: float, scale: float = 1.0) -> np.ndarray:
    """(25, 3): a person whose nose is at (x, y)."""
    return np.column_stack([x + scale * X, y + scale * Y, np.full(25, 0.9)])


def people_json(*bodies: np.ndarray) -> dict[str, Any]:
    rest = {key: [0.0] * (3 * count) for key, count in COUNTS.items() if key != BODY}
    return {"people": [{BODY: points.ravel().tolist(), **rest} for points in bodies]}


def write_poses(root: Path) -> Path:
    """Two people; the smaller one walks to the right. Files list them in turns."""
    for role in ("openpose", "densepose", "masks"):
        (root / "dance" / role).mkdir(parents=True)
    for t in range(FRAMES):
        both = [body(128, 30), body(112 + 4.0 * t, 50, 0.5)]
        (root / f"dance/openpose/{t:03d}.json").write_text(json.dumps(people_json(*both[:: 1 if t % 2 else -1])))
        parts = np.zeros((OWN[1], OWN[0], 3), np.uint8)
        parts[40:70, 120:136, 2], parts[25:40, 122:134, 2] = 2, 24
        (root / f"dance/densepose/{t:03d}.png").write_bytes(encode_image(parts, "png", 100))
        (root / f"dance/masks/{t:03d}.png").write_bytes(encode_ids((parts[..., 2] > 0).astype(np.uint8) * 3))
    return root


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny generators with random weights: `pose`, `person` and `face`."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name, space, channels in (("pose", "densepose", 6), ("person", "person", 3), ("face", "face-parts", 15)):
        networks = {"ngf": 4, "n_downsample": 2, "n_blocks": 1, "label_nc": 0, "use_instance": False, "fg_labels": ()}
        config = GeneratorConfig(label_space=space, input_nc=channels, size=(64, 64), **networks)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            save_checkpoint(open_store(str(root / name)), VideoGenerator(config))
    return root


class PointsRun(LocalRun):
    """`LocalRun` over a source of its own: `spec(source=...)`."""

    def spec(self, **groups: Any) -> Spec:
        tree: dict[str, Any] = {
            "dataset": {"uri": str(self.dataset)},
            "generator": {"checkpoint": str(self.checkpoint), "size": [64, 64]},
            "clips": {"frames": FRAMES},
            "execution": {"num_gpus": 0},
            "split": {"train": 1.0},
        }
        return check(Spec, tree | {"source": {"uri": str(self.source)} | groups.pop("source")} | groups, "spec")


def only_clip(run: LocalRun, **groups: Any) -> ClipData:
    """Renders, publishes, verifies; the one clip."""
    version = run.publish(run.prepare(**groups))
    assert not verify(version).problems and rerender(version, 1).same == 1
    (clip,) = open_dataset(str(run.dataset)).clips()
    return clip


BOTH = {"pose": {"densepose": "{sequence}/densepose/*.png"}, "instances": "{sequence}/masks/*.png"}


def test_poses_are_published_with_parts_masks_and_keypoints(
    tmp_path: Path, checkpoints: Path, one_thread: None
) -> None:
    write_poses(tmp_path / "source")
    run = PointsRun(tmp_path, checkpoints / "pose")
    clip = only_clip(run, source=BOTH)
    cut = central_crop(OWN, (128, 64))
    parts = np.asarray(Image.open(tmp_path / "source/dance/densepose/001.png"))[..., 2]
    np.testing.assert_array_equal(clip.label_THW[1], cut.nearest(parts))
    assert clip.instance_THW is not None and clip.keypoints is not None
    np.testing.assert_array_equal(clip.instance_THW[1] > 0, clip.label_THW[1] > 0)
    assert [[person["track"] for person in people] for people in clip.keypoints] == [[0, 1]] * FRAMES
    points = np.array([[person["points"] for person in people] for people in clip.keypoints]).reshape(FRAMES, 2, 17, 3)
    nose, ankle = PERSON.index("nose"), PERSON.index("left_ankle")
    np.testing.assert_allclose(points[:, 0, nose], [[128 / 2 - 32, 30 / 2, 2]] * FRAMES)
    np.testing.assert_allclose(points[0, 0, ankle], [(128 + 6) / 2 - 32, (30 + 72) / 2, 2])
    np.testing.assert_allclose(points[:, 1, nose, 0], [(112 + 4 * t) / 2 - 32 for t in range(FRAMES)])
    coco_is_right(run, tmp_path / "coco", points)
    basic = run.prepare(source=BOTH | {"pose": BOTH["pose"] | {"basic": True}})  # type: ignore[operator]
    assert basic.plan.clip_count == 1 and not len(basic.plan.reused)


def coco_is_right(run: LocalRun, place: Path, points: np.ndarray) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    export(open_dataset(str(run.dataset)), open_store(str(place)), FORMATS["coco-panoptic"])
    truth = coco.COCO(str(place / "annotations/person_keypoints_train.json"))
    assert len(truth.getImgIds()) == FRAMES and len(truth.getAnnIds()) == 2 * FRAMES
    assert truth.loadCats(1)[0]["keypoints"] == list(PERSON)
    for image in truth.getImgIds():
        for person, found in enumerate(truth.loadAnns(truth.getAnnIds(image))):
            np.testing.assert_allclose(np.reshape(found["keypoints"], (17, 3)), points[image - 1, person], atol=1e-3)
            assert found["num_keypoints"] == 17 and found["track_id"] == person
    results = [
        {name: a[name] for name in ("image_id", "category_id", "keypoints")} | {"score": 1.0}
        for a in truth.loadAnns(truth.getAnnIds())
    ]
    judge = cocoeval.COCOeval(truth, truth.loadRes(results), "keypoints")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert judge.stats[0] == pytest.approx(1)


def test_skeletons_alone_follow_the_body(tmp_path: Path, checkpoints: Path, one_thread: None) -> None:
    write_poses(tmp_path / "source")
    run = PointsRun(tmp_path, checkpoints / "person")
    alone = {"pose": {"crop": "body", "picture": OWN}}
    clip = only_clip(run, source=alone)
    assert (clip.label_THW == 255).all() and clip.instance_THW is None and clip.keypoints is not None
    main = np.reshape(clip.keypoints[0][0]["points"], (17, 3))
    assert (main[:, 2] == 2).all() and np.ptp(main[:, 1]) > 0.6 * 64  # most of the height
    masked = run.into("masked")
    found = only_clip(masked, source=alone | {"instances": "{sequence}/masks/*.png"})
    assert set(np.unique(found.label_THW)) == {0, 1} and found.instance_THW is not None


def landmarks(x: float) -> list[list[float]]:
    """A rough face around (x, 70), in dlib's order."""
    jaw = [[x + 40 * np.cos(a), 60 + 40 * np.sin(a)] for a in np.linspace(np.pi, 0, 17)]
    row = [[x - 30 + 60 * i / 50, 50 + 5 * (i % 7)] for i in range(51)]
    return [[float(int(v)) for v in point] for point in jaw + row]


def test_faces_are_published_with_parts_and_landmarks(tmp_path: Path, checkpoints: Path, one_thread: None) -> None:
    folder = tmp_path / "source/talk/landmarks"
    folder.mkdir(parents=True)
    for t in range(FRAMES):
        (folder / f"{t}.json").write_text(json.dumps(landmarks(120 + t)))
    clip = only_clip(PointsRun(tmp_path, checkpoints / "face"), source={"face": {"picture": OWN}})
    assert set(np.unique(clip.label_THW)) >= {0, 1} and clip.keypoints is not None
    points = np.reshape([people[0]["points"] for people in clip.keypoints], (FRAMES, 68, 3))
    assert (points[..., 2] == 2).all() and (np.diff(points[:, 0, 0]) > 0).all()
    x, y = points[0, 30, :2].astype(int)
    assert clip.label_THW[0, y, x] > 0  # the nose is in the face


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.write_text("{"), "openpose/002.json: OpenPose: not JSON"),
        (lambda p: p.write_text('{"people": []}'), "openpose/002.json: OpenPose found nobody"),
        (
            lambda p: p.write_text(json.dumps(people_json(body(9, 9) * (1, 1, np.nan)))),
            "002.json: OpenPose, person 0, ",
        ),
        (lambda p: p.write_text(json.dumps(people_json(body(9, 9)[:18]))), "54 numbers, but 25 keypoints have 75"),
        (Path.unlink, "1 frame missing between '001' and '003'"),
        (
            lambda p: (p.parents[1] / "densepose/002.png").unlink(),
            "source.pose.densepose has nothing for 1 of 4 frames",
        ),
        (
            lambda p: (p.parents[1] / "densepose/002.png").write_bytes(
                encode_image(np.full((8, 8, 3), 99, "u1"), "png", 1)
            ),
            "densepose/002.png: body part 99 in the third channel",
        ),
        (
            lambda p: (p.parents[1] / "masks/002.png").write_bytes(encode_ids(np.zeros((8, 9), np.uint8))),
            "masks/002.png: size 9x8, but pictures of sequence 'dance' are 256x128",
        ),
    ],
)
def test_what_is_wrong_with_files_is_named(change: Any, message: str, tmp_path: Path, checkpoints: Path) -> None:
    change(write_poses(tmp_path / "source") / "dance/openpose/002.json")
    with pytest.raises(SourceError) as caught:
        PointsRun(tmp_path, checkpoints / "pose").prepare(source=BOTH)
    assert message in str(caught.value) and "dance" in str(caught.value)


def test_a_face_of_67_points_is_named(tmp_path: Path, checkpoints: Path) -> None:
    file = tmp_path / "source/talk/landmarks/0.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(landmarks(120)[:67]))
    with pytest.raises(SourceError, match=r"talk/landmarks/0.json: landmarks: 67 points, but a face has 68"):
        PointsRun(tmp_path, checkpoints / "face").prepare(source={"face": {"picture": OWN}})


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        ({"pose": {}}, {}, "pose.picture: missing; nothing else says how large the pictures are"),
        ({"pose": {}, "face": {}}, {}, "pose and face are given; a source is one of them"),
        ({"face": {"picture": OWN}, "label_space": "camvid11"}, {}, "label_space: a face source has its own"),
        ({"face": {"picture": OWN, "background_edges": True}}, {}, "face.background_edges needs images"),
        (BOTH, {"variants": [{"edits": [{"replace": 1, "with": 0}]}]}, "a pose is drawn from points"),
    ],
)
def test_specs_that_make_no_sense(source: Any, more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        PointsRun(tmp_path, tmp_path).spec(source=source, **more)
    assert message in str(caught.value)


def test_another_size_than_the_middle_has_is_named(tmp_path: Path, checkpoints: Path) -> None:
    write_poses(tmp_path / "source")
    with pytest.raises(
        SourceError, match=r"have a middle of 64x64 at this height, not 96x64; set the size to \[64, 64\]"
    ):
        PointsRun(tmp_path, checkpoints / "pose").prepare(
            source=BOTH, generator={"checkpoint": str(checkpoints / "pose"), "size": [96, 64]}
        )


def person(x: float, scale: float = 1.0) -> Person:
    return Person(body(x, 30, scale))


def test_people_keep_their_number() -> None:
    small, large = [person(60 + 3 * t, 0.7) for t in range(5)], [person(150 - 3 * t) for t in range(5)]
    people = [[small[0], large[0]], [large[1], small[1]], [large[2]], [small[3], large[3]], [person(300), large[4]]]
    assert track_people(people) == [[1, 0], [0, 1], [0], [1, 0], [2, 0]]


def test_a_piece_follows_the_body_and_stays_in_the_picture() -> None:
    boxes = [np.array([10.0 + 8 * t, 20, 40 + 8 * t, 100]) for t in range(20)]
    boxes[7] = np.full(4, np.nan)
    cuts = following_crops(boxes, OWN, (48, 64), steady=3)
    ((width, height),) = {(c.box[2] - c.box[0], c.box[3] - c.box[1]) for c in cuts}
    assert 104 <= height <= 112 and abs(width / height - 48 / 64) < 0.01  # 1.3 times the body, and how it swings out
    for cut, box in zip(cuts, boxes, strict=True):
        assert np.isnan(box).any() or ((cut.box[:2] <= box[:2]).all() and (cut.box[2:] >= box[2:]).all())
    left = np.array([c.box[0] for c in cuts])
    assert left[0] < 10 and (np.diff(left) >= 0).all() and left[-1] > 100
    assert all(c.box[0] >= 0 and c.box[2] <= OWN[0] and c.box[1] >= 0 and c.box[3] <= OWN[1] for c in cuts)
    np.testing.assert_allclose(cuts[9].points(np.array([[cuts[9].box[0], cuts[9].box[1]]])), [[0, 0]])


def test_masks_are_read_as_they_are(tmp_path: Path) -> None:
    assert set(np.unique(decode_ids((write_poses(tmp_path) / "dance/masks/000.png").read_bytes()))) == {0, 3}
