"""Damaged files of a dataset, a checkpoint or a spec: an error of Flowreel's own, or what stood there before."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.data_file import stored
from flowreel.pipeline.dataset.lineage_file import lineage_parts
from flowreel.pipeline.dataset.runs import records
from flowreel.pipeline.dataset.runs.lease import RUNS, in_use
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.generator.checkpoint import read_checkpoint
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.publish.footers import read_footers
from flowreel.pipeline.reader.decode import decode_column
from flowreel.pipeline.reader.row_groups import RowGroups
from flowreel.pipeline.sources.file_index import load_index
from flowreel.pipeline.sources.label_spaces import open_label_space
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.outcome import DataFile
from flowreel.schemas.parse import parse_spec
from flowreel.schemas.shards import Shards

from .damage import Damage, damages

# derandomize: what another seed finds must not fail a change that has nothing to do with it.
FUZZ = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PLAN = "f" * 32


class Damaged:
    """A published dataset with an unfinished run, its files by what they are, and what reads each."""

    def __init__(self, run: Any) -> None:
        prepared = run.prepare()
        outcomes = run.render(prepared)
        self.shards: Shards = prepared.plan.shards
        run.publish(prepared, outcomes)
        self.store: Store = prepared.job.dataset
        for outcome in outcomes:
            records.save_outcome(self.store, PLAN, outcome)
        self.store.write(f"runs/{PLAN}/run.json", b'{"started": "2026-01-01", "host": "here", "clips": 4}')
        self.store.write(f"{RUNS}/x.json", json.dumps({"beat": 1, "plan_ids": [PLAN], "files": ["data/a"]}).encode())
        self.dataset, self.checkpoint = Path(self.store.uri), run.root / "checkpoint"
        shutil.copytree(run.checkpoint, self.checkpoint)
        self.label_space = run.root / "space.yaml"
        self.label_space.write_text(yaml.safe_dump(BUILT_IN["camvid11"].model_dump(mode="json")))
        self.data = DataFile(**self.version().table(versions.SHARDS_FILE).to_pylist()[0])
        self.labels = self.read_labels()

    def version(self) -> versions.Version:
        return versions.open_version(open_store(str(self.dataset)))

    def read_table(self, name: str) -> None:
        version = self.version()
        version.table(name)
        if name == versions.MANIFEST_FILE:
            version.clips()
        if name == versions.LINEAGE_FILE:
            list(lineage_parts(version))

    def read_labels(self) -> Any:
        rows = RowGroups.of(self.version()).read(self.data.path, 0, ["clip_id", "frame_index", "label"])
        try:
            return decode_column(rows, "label")
        except ValueError as error:  # as it says
            raise FlowreelError(str(error)) from None

    def read_data(self) -> None:
        stored(self.store, self.data.path.removeprefix("data/").removesuffix(".parquet"))
        assert (self.read_labels() == self.labels).all()
        list(read_footers(self.store, [self.data]))

    def read_runs(self) -> None:
        records.unfinished_runs(self.store)
        ledger = Ledger(self.shards, records.load_outcomes(self.store, PLAN))
        assert len(list(ledger.unpublished())) + len(ledger.files()[0]) + len(list(ledger.left())) >= 1

    def read_checkpoint(self) -> None:
        load_generator(read_checkpoint(open_store(str(self.checkpoint))), "cpu")

    def targets(self) -> dict[str, tuple[Path, Callable[[], Any]]]:
        version, run = self.dataset / "versions/000001", self.dataset / "runs" / PLAN
        return {
            "version.json": (version / "version.json", lambda: list(lineage_parts(self.version()))),
            **{name: (version / name, partial(self.read_table, name)) for name in TABLES},
            "data": (self.dataset / self.data.path, self.read_data),
            "index": (self.dataset / "cache/sources.parquet", lambda: load_index(self.store)),
            "run": (run / "run.json", self.read_runs),
            "outcome": (sorted(run.glob("outcomes/*.json"))[0], self.read_runs),
            "lease": (self.dataset / RUNS / "x.json", lambda: in_use(self.store, self.store.list(RUNS))),
            "config": (self.checkpoint / "config.json", self.read_checkpoint),
            "weights": (self.checkpoint / "model.safetensors", self.read_checkpoint),
            "label space": (self.label_space, lambda: open_label_space(str(self.label_space), {})),
        }


TABLES = ("manifest.parquet", "failures.parquet", "shards.parquet", "lineage.parquet")
_made: list[Damaged] = []
NAMES = ("version.json", *TABLES, "data", "index", "run", "outcome", "lease", "config", "weights", "label space")


@pytest.fixture
def damaged(request: pytest.FixtureRequest) -> Damaged:
    """Made once: each test puts back what it damages."""
    if not _made:
        _made.append(Damaged(request.getfixturevalue("local_run")))
    return _made[0]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of another length are read again after a pause."""
    monkeypatch.setattr("flowreel.pipeline.storage.errors.FIRST_PAUSE_S", 0)


@contextmanager
def instead_of(place: Path, data: bytes) -> Iterator[None]:
    good = place.read_bytes()
    place.write_bytes(data)
    try:
        yield
    finally:
        place.write_bytes(good)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_an_error_of_flowreel_or_harmless(damaged: Damaged, name: str) -> None:
    place, read = damaged.targets()[name]
    good = place.read_bytes()

    @FUZZ
    @given(damages())
    def fuzz(damage: Damage) -> None:
        with instead_of(place, damage(good)), suppress(FlowreelError):
            read()

    read()
    fuzz()
    for data in (b"", b"[" * 100_000, b"\0" * 1000, b"{}"):
        with instead_of(place, data), suppress(FlowreelError):
            read()


SPEC = """dataset: {uri: /nowhere/d, name: d, keep_versions: 5}
source: {uri: /nowhere/s, labels: '{sequence}/labels/*.png', remap: {19: car, 4: 7}, fps: 17.5}
generator: &g {checkpoint: bundled, size: [512, 256], batch: auto}
clips: {frames: 30, stride: 15, seed: 3, lead_in: drop}
variants:
  - {style: generate}
  - {style: s3://b/dusk.png, edits: [{replace: vegetation, with: building}], seed: 4}
split: {train: 0.75, val: 0.25}
quality: {max_warp_error: 0.5}
failure: {max_attempts: 3, max_failed_fraction: 0.01, stall_s: 60}
execution: {num_gpus: 0.5, num_cpus: 2, workers: [1, 8]}
storage_options: {key: geheim}
"""


@settings(FUZZ, max_examples=300)
@given(damages(), st.sampled_from([[], ["clips.frames=16"], ["variants.1.seed=NaN"], ["split.x=[[["]]))
def test_a_damaged_spec_is_refused_or_a_spec(damage: Damage, overrides: list[str]) -> None:
    with suppress(FlowreelError):
        parse_spec(damage(SPEC.encode()).decode(errors="replace"), overrides)
