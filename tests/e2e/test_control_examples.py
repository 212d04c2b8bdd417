"""The example specs of edits, balance and styles render and publish as they stand, on a small source."""

from pathlib import Path
from typing import Any

import pytest

from flowreel.schemas.parse import parse_spec

CONFIGS = Path(__file__).parents[2] / "configs"
Run = Any  # the fixture's type lies in conftest, which is not importable


@pytest.mark.parametrize("name", ["edits", "styles", "balance"])
def test_an_example_renders_and_publishes(local_run: Run, name: str) -> None:
    said = parse_spec((CONFIGS / f"{name}.yaml").read_text()).model_dump(mode="json", by_alias=True)
    variants = said["variants_by"] or said["variants"]
    if name == "balance":  # of drawn streets
        variants["balance"] = {"person": 0.006, "car": 0.03}
    prepared = local_run.prepare(source=said["source"] | {"uri": str(local_run.source)}, variants=variants)
    version = local_run.publish(prepared)
    assert version.record.counts.clips == prepared.plan.clip_count > 0
    assert (version.record.counts.failed, version.record.counts.rejected) == (0, 0)
    told = {tuple(edits) for edits in version.manifest(["edits"])["edits"].to_pylist()}
    assert {"edits": ("remove car",), "styles": ("mirror horizontal",)}.get(name, ()) in told
