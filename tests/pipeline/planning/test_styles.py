"""Looks: light laid over frames, matrices of styles and edits, exemplars that suit."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flowreel.pipeline.edits import Maps
from flowreel.pipeline.maintenance.rerender import rerender
from flowreel.pipeline.pictures import color_labels
from flowreel.pipeline.planning.spans import Spans
from flowreel.pipeline.planning.variant_matrix import all_combinations, sample
from flowreel.pipeline.quality.style_distance import style_strength
from flowreel.pipeline.reader.dataset import read_version
from flowreel.pipeline.render.lighting import lit
from flowreel.schemas.errors import SourceError, UsageError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.light import Light
from flowreel.schemas.parse import check
from flowreel.schemas.spec import Spec
from flowreel.schemas.variants import Matrix
from tests.support.local_run import LocalRun

GREY = np.full((2, 40, 8, 3), 100, np.uint8)


def test_light_does_what_it_says() -> None:
    assert lit(GREY, Light()) is GREY
    stops = 2 ** (1 / 2.2)  # one stop more, by the display's curve
    assert lit(GREY, Light(exposure=1))[0, 0, 0].tolist() == [round(100 * stops)] * 3
    red, green, blue = lit(GREY, Light(tint=(1.5, 1.0, 0.5)))[0, 0, 0].tolist()
    assert red > green == 100 > blue
    assert lit(GREY, Light(gamma=2))[0, 0, 0].tolist() == [round(255 * (100 / 255) ** 2)] * 3


def test_haze_is_thicker_further_away() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 64, 3), dtype=np.uint8)
    contrast_H = lit(image, Light(haze=0.8))[0].std(axis=(1, 2))
    assert contrast_H[:16].max() < 0.3 * contrast_H[-1]
    clear, thick = (lit(image, Light(haze=h))[0, :16].std() for h in (0.2, 1.0))
    assert thick < clear < image[0, :16].std()


def test_light_changes_pictures_and_no_label(local_run: LocalRun) -> None:
    plain = local_run.publish(local_run.prepare(clips={"frames": 0}))
    other = local_run.into("lit")
    light = {"exposure": -1.5, "haze": 0.3}
    version = other.publish(other.prepare(clips={"frames": 0}, variants=[{"light": light}]))
    for a, b in zip(read_version(plain).clips(), read_version(version).clips(), strict=True):
        np.testing.assert_array_equal(a.label_THW, b.label_THW)
        assert a.clip_id != b.clip_id and not np.array_equal(a.image_THW3, b.image_THW3)
    assert set(version.manifest(["style"])["style"].to_pylist()) == {"generate (haze 0.3, exposure -1.5)"}
    assert rerender(version, 2).same == 2


def rule(**said: Any) -> Matrix:
    return Matrix.model_validate(
        {"styles": [{"weight": 3}, {"light": {"exposure": -2}}], "edits": [{}, {"edits": [{"remove": "car"}]}]} | said
    )


def spans(count: int) -> Spans:
    import pyarrow as pa

    from flowreel.schemas.sequence import Sequences

    names = pa.array([f"s{i}" for i in range(count)])
    none = np.empty((0, 32), np.uint8)
    sequences = Sequences("", None, names, np.empty((count, 2), np.int32), np.arange(count + 1), names, none, None)
    numbers = np.arange(count, dtype=np.int32)
    return Spans(sequences, numbers, np.zeros_like(numbers), np.ones_like(numbers), np.empty((count, 0), np.uint8))


def test_a_matrix_draws_pairs_by_weight() -> None:
    count = 2000
    counts = Counter(sample(rule(), spans(count), 0)[:, 0].tolist())
    for variant, share in enumerate((3 / 8, 3 / 8, 1 / 8, 1 / 8)):
        assert counts[variant] / count == pytest.approx(share, abs=0.04)
    two = sample(rule(per_clip=2), spans(200), 0)
    assert (two[:, 0] < two[:, 1]).all()  # different ones
    np.testing.assert_array_equal(two[:50], sample(rule(per_clip=2), spans(50), 0))  # whatever else there is
    assert (two != sample(rule(per_clip=2), spans(200), 1)).any()
    never = rule(edits=[{}, {"edits": [{"remove": "car"}], "weight": 0}], per_clip=9)
    assert set(sample(never, spans(20), 0).ravel().tolist()) == {0, 2}
    assert [v.edits == () for v in all_combinations(rule())] == [True, False, True, False]


def test_each_clip_is_planned_in_as_many_pairs_as_asked_for(local_run: LocalRun) -> None:
    prepared = local_run.prepare(variants=rule(per_clip=3).model_dump(mode="json", by_alias=True))
    clips = [clip for shard in prepared.plan.shards for clip in shard.clips]
    counts = Counter((clip.sequence_id, clip.start) for clip in clips)
    assert len(counts) == 4 and set(counts.values()) == {3}
    assert len({clip.clip_id for clip in clips}) == 12


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"styles": [{"wieght": 1}]}, "variants.styles[0].wieght: unknown field; did you mean 'weight'?"),
        ({"styles": [{"weight": 0}]}, "variants: styles or edits are empty, or all their weights 0"),
        ({"balance": {"car": 1.5}}, "variants.balance.car: must be below 1, is 1.5"),
        ({"balance": {}}, "variants.balance: must have at least 1 item"),
    ],
)
def test_a_wrong_rule_is_named_as_it_is_written(variants: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        check(Spec, {"dataset": {"uri": "out"}, "source": {"uri": "in"}, "variants": variants}, "spec")


def test_an_exemplar_that_does_not_suit_is_refused(local_run: LocalRun, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def refused(image: np.ndarray, message: str) -> None:
        path = tmp_path / "style.png"
        Image.fromarray(image).save(path)
        with pytest.raises(SourceError, match=re.escape(message)):
            local_run.prepare(variants=[{"style": str(path)}])

    refused(rng.integers(0, 256, (4, 8, 3), dtype=np.uint8), "8x4 is too small for frames of 64x32")
    refused(rng.integers(0, 256, (64, 32, 3), dtype=np.uint8), "32x64 has another shape than frames of 64x32")
    label_HW = rng.choice([7, 11, 26], (32, 64)).astype(np.uint8)
    refused(label_HW, "a label map, no picture")
    refused(color_labels(Maps(label_HW[None], None).label_THW[0], BUILT_IN["cityscapes"]), "a label map, no picture")


def test_the_strength_of_a_style_is_its_distance_and_its_steadiness() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(60, 180, (4, 32, 64, 3), dtype=np.uint8)
    dark, flickers = lit(image, Light(exposure=-1.5)), image.copy()
    flickers[::2] = lit(image, Light(exposure=-1.5))[::2]
    found = style_strength([{0: image, 2: dark, 5: flickers}, {0: image, 2: dark}])
    assert found.variants == (0, 2, 5)
    np.testing.assert_allclose(np.diag(found.between_VV), 0)
    assert found.between_VV[0, 1] == found.between_VV[1, 0] > 15 > 2 > found.within_V[:2].max()
    assert found.within_V[2] > 7 and found.between_VV[0, 2] < found.between_VV[0, 1]
    alone = style_strength([{0: image}, {1: dark}])
    assert np.isnan(alone.between_VV[0, 1])  # no scene that both show
