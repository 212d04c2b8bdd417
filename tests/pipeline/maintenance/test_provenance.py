"""From a clip to its sources and back, and the proof: rendering it again."""

import hashlib
import json
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from flowreel.jobs.cli import app, run
from flowreel.jobs.render import render_by
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.dataset.versions import Version, open_version
from flowreel.pipeline.identity import RENDER_FORMAT
from flowreel.pipeline.maintenance.provenance import origins, rendered_from
from flowreel.pipeline.maintenance.rerender import pick, rerender
from flowreel.schemas.errors import UsageError
from flowreel.schemas.lineage import LINEAGE
from tests.support.small_dataset import Quiet, Small, render_here


def published(small: Small, **groups: Any) -> Version:
    result = render_by(render_here, small.spec(**groups), Quiet())
    assert result.version
    return result.version


@pytest.fixture
def two(small: Small) -> Small:
    small.add("a", 1, frames=3)
    small.add("b", 2, frames=2)
    published(small)
    return small


def test_every_clip_of_a_version_has_a_lineage(two: Small) -> None:
    two.add("c", 3)
    version = published(two)
    table = pq.read_table(f"{two.dataset}/versions/000002/lineage.parquet")
    assert table.schema.names == LINEAGE.names
    rows = {(r["sequence_id"], r["start"]): r for r in table.to_pylist()}
    assert list(rows) == [("a", 0), ("a", 2), ("b", 0), ("c", 0)]
    assert [r["since"] for r in rows.values()] == [1, 1, 1, 2]
    assert [r["frames"] for r in rows.values()] == [2, 1, 2, 1]
    assert {r["render_format"] for r in rows.values()} == {RENDER_FORMAT}
    assert set(table["clip_id"].to_pylist()) == set(version.manifest()["clip_id"].to_pylist())


def test_a_clip_leads_to_its_files_and_each_file_back_to_it(two: Small) -> None:
    version = open_version(two.store)
    ids = set(version.manifest()["clip_id"].to_pylist())
    for origin in origins(version, ids):
        for file in origin.sources["label_files"]:
            data = (two.source / file["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
            assert [o.clip_id for o in rendered_from(version, file["path"])] == [origin.clip_id]
    with pytest.raises(UsageError, match="no clip of version 1 of .* was rendered from 'a/labels/999.png'"):
        rendered_from(version, "a/labels/999.png")
    with pytest.raises(UsageError, match="clip abc: version 1 of .* does not hold it"):
        list(origins(version, ["abc"]))


def test_an_exemplar_leads_to_its_clips(two: Small) -> None:
    dusk = two.source / "dusk.png"
    Image.fromarray(np.full((20, 30, 3), (90, 40, 20), np.uint8)).save(dusk)
    version = published(two, variants=[{"style": "generate"}, {"style": str(dusk)}])
    found = rendered_from(version, str(dusk))
    assert [o.sources["variant"] for o in found] == [1, 1, 1]
    assert found[0].sources["exemplar"]["sha256"] == hashlib.sha256(dusk.read_bytes()).hexdigest()
    assert rerender(version, 6).same == 6


def test_status_tells_the_lineage(two: Small) -> None:
    clip_id = open_version(two.store).manifest()["clip_id"][0].as_py()
    figures = json.loads(CliRunner().invoke(app, ["status", two.dataset, "--clip", clip_id, "--json"]).stdout)
    assert [f["path"] for f in figures["label_files"]] == ["a/labels/000.png", "a/labels/001.png"]
    assert (figures["version"], figures["since"], figures["flowreel"]) == (1, 1, metadata.version("flowreel"))
    assert figures["spec"].endswith("versions/000001/version.json") and figures["source"] == str(two.source)
    text = CliRunner().invoke(app, ["status", f"{two.dataset}@1", "--clip", clip_id]).stdout
    assert text.startswith(f"clip {clip_id}: label frames 0..1 of sequence a, variant 0\n")
    text = CliRunner().invoke(app, ["status", two.dataset, "--source", "a/labels/001.png"]).stdout
    assert text.splitlines() == [
        "a/labels/001.png is in 1 clip",
        f"  {clip_id}  label frames 0..1 of sequence a, variant 0",
    ]


def test_clips_rendered_again_are_what_is_published(two: Small) -> None:
    version = open_version(two.store)
    found = rerender(version, 3)
    assert (found.same, found.rounded, found.problems) == (3, 0, ())
    run = CliRunner().invoke(app, ["verify", two.dataset, "--rerender", "2"])
    assert run.exit_code == 0
    assert run.stdout.splitlines()[-1] == "rendered 2 clips again: 2 identical byte for byte"


def test_which_clips_are_rendered_again_depends_on_the_seed_alone(two: Small) -> None:
    version = open_version(two.store)
    assert pick(version, 2, 0) == pick(version, 3, 0)[:2]
    assert len({tuple(pick(version, 3, seed)) for seed in range(20)}) > 1


def test_a_source_that_changed_or_is_gone_is_named(two: Small, capsys: pytest.CaptureFixture[str]) -> None:
    two.add("a", 500, frames=2)
    two.remove("b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["flowreel", "verify", two.dataset, "--rerender", "9"])
        assert run() == 1
    err = capsys.readouterr().err
    assert "(sequence a from frame 0): cannot be rendered again" in err
    assert "a/labels/000.png: changed since the clip was rendered" in err
    assert "b/labels/000.png: gone since the clip was rendered" in err


def test_a_wrong_picture_or_label_is_named(two: Small) -> None:
    """A data file whose hash is right, of a version that was published with wrong pictures."""
    version = open_version(two.store)
    (origin,) = origins(version, pick(version, 1, 0))
    file = two.source / origin.sources["label_files"][0]["path"]
    wrong = encode_ids(np.full((16, 32), 11, np.uint8))
    file.write_bytes(wrong)
    origin.sources["label_files"][0]["sha256"] = hashlib.sha256(wrong).hexdigest()  # as if the record had said so
    from flowreel.pipeline.generator.engine import load_engine
    from flowreel.pipeline.maintenance.rerender import _differences, open_job

    job = open_job(version)
    found = dict(_differences(version, origin, job, load_engine(job.checkpoint, job.settings)))
    assert found["label differs at frame 0"]
    assert any(text.startswith("image of frame 0 differs: ") for text in found)


def test_another_format_or_generator_is_refused(two: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    version = open_version(two.store)
    old = Version(version.dataset, version.record.model_copy(update={"render_format": 1}))
    with pytest.raises(UsageError, match="was rendered in format 1, but this release renders format"):
        rerender(old, 1)
    settings = version.record.settings.__class__("cpu", 1, "float32", (32, 16), "other")
    other = Version(version.dataset, version.record.model_copy(update={"settings": settings}))
    with pytest.raises(UsageError, match="was rendered by generator other, but .* holds .* now"):
        rerender(other, 1)
