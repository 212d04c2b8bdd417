"""The page as a file: whole, small, without anything from elsewhere; and what comes of publishing."""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flowreel.jobs.cli import app
from flowreel.pipeline.dataset.versions import Version, load
from flowreel.pipeline.report import page
from flowreel.pipeline.report.compare import compare
from flowreel.pipeline.report.page import REPORT, Wanted, report
from flowreel.schemas.errors import UsageError
from tests.support.label_source import MakeSource

from .city import NAME, rendered, spec_of


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture(scope="module")
def html(city: Version) -> str:
    return report(city, Wanted(players=10))


def test_nothing_is_loaded_from_anywhere(html: str) -> None:
    links = re.findall(r'(?:src|href|poster|action)="([^"]*)"|url\(([^)]*)\)|@import', html)
    assert {a or b for a, b in links if not (a or b).startswith(("#", "data:"))} == set()
    assert "default-src 'none'" in html
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|import\(", html)


def test_names_cannot_break_out_of_the_page(html: str) -> None:
    assert NAME not in html and escape(NAME) in html


def test_players_are_as_many_as_wanted_and_clips_are_all_there(html: str, city: Version) -> None:
    data = data_of(html)
    assert len(re.findall(r'id="mp4-\d+"', html)) == len(data["posters"]) == 10
    assert len(data["clips"]["id"]) == data["total"] == city.record.counts.clips
    assert set(data["clips"]["link"]) == {f"{page.BESIDE}/{shard}" for shard in data["clips"]["shard"]}
    assert data["gates"] == {"contrast": {"min": city.record.spec.quality.min_contrast}}


def test_rejects_are_listed_with_reason_and_thumbnail(html: str, city: Version) -> None:
    assert city.record.counts.rejected > 0
    assert html.count('<span class="tag rejected">') == city.record.counts.rejected
    assert html.count('alt="first, middle and last frame"') == city.record.counts.rejected
    assert "below quality.min_contrast" in html


def test_a_version_says_who_rendered_it_and_one_that_rendered_nothing_says_so(html: str, city: Version) -> None:
    assert "Nothing was rendered for this version" in html  # version 2 only left clips out
    first = report(load(city.dataset, 1), Wanted(players=1, price=3.0))
    assert "worker-0" in first and "worker-1" in first and "at 3 an hour" in first


def test_videos_stay_within_their_bytes(city: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "VIDEO_BYTES", 40_000)
    videos = re.findall(r'id="mp4-\d+">([^<]*)<', report(city, Wanted(players=10)))
    assert 0 < len(videos) < 10 and sum(map(len, videos)) <= 40_000


def test_each_published_version_gets_a_report(
    tmp_path: Path, tiny_checkpoint: Path, make_source: MakeSource, one_thread: None
) -> None:
    make_source(tmp_path / "source")
    version = rendered(spec_of(tmp_path, tiny_checkpoint, dataset={"report": True}))
    assert data_of((tmp_path / "dataset/versions/000001" / REPORT).read_text())["total"] == version.record.counts.clips


def test_what_goes_wrong_with_a_report_does_not_touch_its_version(
    tmp_path: Path,
    tiny_checkpoint: Path,
    make_source: MakeSource,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    one_thread: None,
) -> None:
    make_source(tmp_path / "source")
    monkeypatch.setattr(page, "gather", lambda version: 1 / 0)
    version = rendered(spec_of(tmp_path, tiny_checkpoint, dataset={"report": True}))
    assert version.number == 1 and not (tmp_path / "dataset/versions/000001" / REPORT).exists()
    assert "could not be written: ZeroDivisionError" in (said := capsys.readouterr().err) and "@1` writes one" in said


@pytest.mark.parametrize("name", ["out.html", ""])
def test_the_command_says_where_the_page_is(name: str, city: Version, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / name)] if name else []
    result = CliRunner().invoke(app, ["report", city.dataset.uri, "--version", "1", *out])
    place = Path(result.stdout.strip())
    assert result.exit_code == 0, result.output
    assert place == (tmp_path / name if name else Path(city.dataset.uri) / "versions/000001" / REPORT)
    root = f"file://{city.dataset.uri}/" if name else "../../../"
    assert data_of(place.read_text())["clips"]["link"][0].startswith(root + "data/")


def test_the_same_frames_are_compared_however_they_are_cut(
    city: Version, tmp_path: Path, tiny_checkpoint: Path, one_thread: None
) -> None:
    (tmp_path / "source").symlink_to(Path(city.dataset.uri).parent / "source")
    single = rendered(spec_of(tmp_path, tiny_checkpoint, clips={"frames": 1}, dataset={"name": "single"}))
    data = data_of(html := compare(city, single, "root"))
    plain = city.manifest(["clip_id", "edits"]).to_pylist()
    assert set(data["clips"]["id"]) == {row["clip_id"] for row in plain if not row["edits"]}  # B has no edits
    means = data["clips"]["mean"]
    for gain, a, b in zip(means["gain"], means["a"], means["b"], strict=True):
        assert gain == pytest.approx(b - a, abs=1e-5)
    assert len(re.findall(r'id="mp4-\d+"', html)) == len(data["clips"]["id"])


def test_datasets_of_other_labels_are_not_compared(
    city: Version, tmp_path: Path, tiny_checkpoint: Path, make_source: MakeSource, one_thread: None
) -> None:
    source = make_source(tmp_path / "source", sequences=1)
    (source / "seq_00").rename(source / "elsewhere")
    other = rendered(spec_of(tmp_path, tiny_checkpoint))
    with pytest.raises(UsageError, match=r"shows no clip of .* version 2 whole"):
        compare(city, other, "root")
