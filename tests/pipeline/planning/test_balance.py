"""Class balance: targets are reached by what is published, or it is said why not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowreel.jobs.plan import lines, summary
from flowreel.pipeline.planning.prepare import Prepared, prepare
from flowreel.schemas.errors import UsageError
from flowreel.schemas.spec import Spec
from tests.support.local_run import LocalRun


def shares(labels: list[Any]) -> Any:
    return np.bincount(np.concatenate([ids.ravel() for ids in labels]), minlength=35) / sum(ids.size for ids in labels)


def planned(run: LocalRun, balance: dict[str, float], **more: Any) -> Prepared:
    return run.prepare(variants={"balance": balance} | more, clips={"frames": 2})


def test_published_pixels_have_the_shares_that_were_planned(local_run: LocalRun) -> None:
    plain = local_run.prepare().catalog.pixels
    total = sum(plain.values())
    car, person = (plain.get(i, 0) / total for i in (26, 24))
    prepared = planned(local_run, {"car": car * 0.6, "person": person * 1.5})
    assert prepared.balance is not None
    assert prepared.plan.clip_count == 6  # each piece in one variant
    version = local_run.publish(prepared)
    found = np.zeros(35)
    rows = version.manifest(["class_ids", "class_pixels"]).to_pylist()
    for row in rows:
        found[row["class_ids"]] += np.array(row["class_pixels"]) / (64 * 32) / len(rows)
    assert found[26] == pytest.approx(car * 0.6, rel=0.1)
    assert found[24] == pytest.approx(person * 1.5, rel=0.1)
    after = np.array([prepared.balance.after.get(i, 0.0) for i in range(35)])
    np.testing.assert_allclose(found, after, atol=1e-9)
    said = "\n".join(lines(summary(prepared, None)))
    assert f"car            {car:.2%} -> {found[26]:.2%}, target {car * 0.6:.2%}" in said
    again = planned(local_run, {"car": car * 0.6, "person": person * 1.5})
    assert not again.plan.shards and len(again.plan.reused) == 6


@pytest.mark.parametrize(
    ("balance", "message"),
    [
        ({"road": 0.9}, "road 0.9 cannot be reached from .*: it is stuff, which cannot be inserted"),
        ({"train": 0.02}, "train 0.02 cannot be reached from 0: no sequence shows an object of it"),
        ({"car": 0.9}, "car 0.9: it is 0.[0-9]+ now, 0.[0-9]+ is reached with up to 3 objects in every clip"),
        ({"bycicle": 0.1}, "variants.balance: 'bycicle' is no class of label space"),
        ({"car": 0.6, "person": 0.6}, "shares sum to 1.2"),
    ],
)
def test_impossible_targets_are_explained(local_run: LocalRun, balance: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        planned(local_run, balance)


@pytest.mark.shared
def test_rare_classes_reach_their_share_on_real_maps(shared_data: Path, tmp_path: Path) -> None:
    tree = {
        "dataset": {"uri": str(tmp_path / "out")},
        "source": {"uri": str(shared_data / "cityscapes-sample"), "instances": "{sequence}/instances/*.png"},
        "clips": {"frames": 6},
        "variants": {"balance": {"person": 0.003, "car": 0.03}},
        "execution": {"num_gpus": 0},
    }
    balance = prepare(Spec.model_validate(tree), dry=True).balance
    assert balance is not None
    assert balance.after[24] == pytest.approx(0.003, rel=0.1) and balance.after[26] == pytest.approx(0.03, rel=0.1)
    assert balance.before[24] < 0.002 and balance.before[26] > 0.04
