"""An object store that errs, stalls, resets, cuts bodies short and lies: what is published is what it always is."""

from pathlib import Path
from typing import Any

import pytest
import s3fs

from flowreel.jobs.render import Exit, render
from flowreel.jobs.terminal.progress import Display
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.spec import Spec
from tests.fault.harness.proxy import KINDS, FaultProxy

pytestmark = [pytest.mark.s3, pytest.mark.slow]
BUCKET, RUNS = "faults", 6


def spec_of(dataset: str, checkpoint: Path, endpoint: str) -> Spec:
    return Spec.model_validate(
        {
            "dataset": {"uri": f"s3://{BUCKET}/{dataset}", "name": "same"},
            "source": {"uri": f"s3://{BUCKET}/source", "instances": "{sequence}/instances/*.png"},
            "generator": {"checkpoint": str(checkpoint)},
            "clips": {"frames": 4},
            "execution": {"num_gpus": 0, "num_cpus": 1, "workers": [2, 2]},
            "storage_options": {"endpoint_url": endpoint},
        }
    )


def contents(bucket: Any, dataset: str) -> dict[str, bytes]:
    """Data files and manifest by their names."""
    top = f"{BUCKET}/{dataset}/"
    names = [*bucket.glob(f"{top}data/*"), f"{top}versions/000001/manifest.parquet"]
    return {name.removeprefix(top): bucket.cat_file(name) for name in names}


def test_a_store_that_fails_in_every_way_costs_nothing_but_time(
    s3_env: dict[str, Any], make_source: Any, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    bucket = s3fs.S3FileSystem(endpoint_url=s3_env["endpoint"], skip_instance_cache=True, use_listings_cache=False)
    bucket.mkdir(BUCKET)
    bucket.put(str(make_source(tmp_path / "source", sequences=20, frames=8)), f"{BUCKET}/source", recursive=True)
    calm = render(spec_of("calm", tiny_checkpoint, s3_env["endpoint"]), Display())
    assert calm.exit == Exit.DONE and calm.version is not None and calm.version.record.counts.clips == 40

    with FaultProxy(s3_env["endpoint"]) as proxy:
        stormy = spec_of("stormy", tiny_checkpoint, proxy.url)
        for _ in range(RUNS):
            try:
                result = render(stormy, Display())
            except FlowreelError as error:  # too much at once: the same command goes on
                print(error)
                continue
            assert result.exit == Exit.DONE
            break
    print(dict(proxy.injected))
    assert set(proxy.injected) == set(KINDS) and proxy.injected.total() >= 40
    assert contents(bucket, "stormy") == contents(bucket, "calm")
