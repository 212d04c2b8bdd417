"""What is found out before anything is rendered, and in which order."""

from typing import Any

import pytest

from flowreel.pipeline.planning.prepare import prepare
from flowreel.schemas.errors import UsageError
from tests.support.local_run import LocalRun


def test_of_several_things_that_are_wrong_the_same_one_is_told_first(local_run: LocalRun) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"source": {"label_space": "atlantis"}}, "atlantis"),
        ({"source": {"remap": {7: 999}}}, "source.remap: "),
        ({"source": {"uri": str(local_run.root / "gone")}}, "gone"),
        ({"generator": {"checkpoint": str(local_run.root / "no-weights")}}, "no-weights"),
        ({"generator": {"size": [66, 32]}}, "66x32"),
        ({"quality": {"segmenter": str(local_run.root / "none.safetensors"), "min_label_agreement": 0.5}}, "none.safe"),
        ({"variants": [{"style": str(local_run.root / "none.png")}]}, "none.png"),
        ({"source": {"labels": "{sequence}/maps/*.png"}}, "no frames found"),
    ]
    for first in range(len(wrong)):
        groups: dict[str, Any] = {}
        for fault, _ in wrong[first:]:
            for name, group in fault.items():
                groups[name] = groups.get(name, {}) | group if isinstance(group, dict) else group
        with pytest.raises(UsageError, match=wrong[first][1]):
            prepare(local_run.spec(**groups))
    assert not (local_run.dataset / "versions").exists()
