"""Two refreshes at once: one history, in which no clip is lost or stands twice and no name leads nowhere."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flowreel.jobs.render import Exit, Result
from flowreel.pipeline.dataset.runs import lease
from flowreel.pipeline.dataset.versions import numbers, open_version
from tests.support.small_dataset import Quiet, Small, clip_ids, missing, run_records

Race = Callable[[int], Small]


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_S", 0.05)


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path, tiny_checkpoint: Path, one_thread: None) -> Race:
    """A fresh dataset per race, on disk or on the S3 server."""
    if request.param == "s3":
        import s3fs

        server: dict[str, Any] = request.getfixturevalue("s3_env")
        bucket = f"races-{uuid4().hex[:8]}"
        s3fs.S3FileSystem(endpoint_url=server["endpoint"], skip_instance_cache=True).mkdir(bucket)
        root = f"s3://{bucket}"
    else:
        root = str(tmp_path)
    return lambda i: Small(tmp_path / f"source-{i}", f"{root}/dataset-{i}", tiny_checkpoint)


def both(small: Small) -> list[tuple[Result, Quiet]]:
    """Two refreshes, as nearly at the same time as threads can; the second one sees a sequence more."""
    ended: list[tuple[Result, Quiet]] = []
    failed: list[BaseException] = []
    start = threading.Barrier(2)

    def run(late: bool) -> None:
        display = Quiet()
        start.wait()
        try:
            if late:
                small.add("late", 99)
            ended.append((small.refresh(display)[0], display))
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run, args=(late,)) for late in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    return ended


def check(small: Small, ended: list[tuple[Result, Quiet]]) -> None:
    assert [result.exit for result, _ in ended] == [Exit.DONE] * 2
    there = numbers(small.store)
    assert there == list(range(1, len(there) + 1))
    for number in there:
        version = open_version(small.store, number)
        assert version.record.base_version == (number - 1 or None)
        ids = clip_ids(version)
        assert len(ids) == len(set(ids)) == version.record.counts.clips
        assert missing(version) == []
    wanted = {path.name for path in small.source.iterdir()}
    assert set(open_version(small.store).manifest()["sequence_id"].to_pylist()) == wanted
    for _, display in ended:  # who lost the race says so
        if any("planning again on top of it" in text for text in display.said):
            assert any("that this run was to render: reusing them" in text for text in display.said)
    assert run_records(small.store) == []


def races(place: Race, count: int) -> int:
    """How many races had a loser that had planned already."""
    lost = 0
    for i in range(count):
        small = place(i)
        for k in range(3):
            small.add(f"seq_{k}", k + 10 * i)
        ended = both(small)  # for the first version
        check(small, ended)
        small.add("seq_0", 700 + i)
        ended += (again := both(small))  # on top of it
        check(small, again)
        lost += sum(any("planning again" in text for text in display.said) for _, display in ended)
    return lost


def test_two_refreshes_at_once_give_one_history(place: Race) -> None:
    races(place, 3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_races_of_two_refreshes(place: Race) -> None:
    assert races(place, 20) > 0


def test_the_loser_reuses_what_the_winner_has_published(place: Race) -> None:
    """Both have planned when the first one publishes."""
    from flowreel.jobs.render import render_by
    from tests.support.small_dataset import render_here

    small = place(0)
    small.add("a", 1)
    small.add("b", 2)

    def beaten(prepared, done, display):  # type: ignore[no-untyped-def]
        if prepared.plan.base_version is None:
            small.refresh()
            small.add("c", 3)
        yield from render_here(prepared, done, display)

    display = Quiet()
    result = render_by(beaten, small.spec(), display)
    assert "version 1 was published meanwhile: planning again on top of it" in display.said
    assert any(
        "already holds 2 of 2 clips that this run was to render: reusing them; 1 clip left to render" in t
        for t in display.said
    )
    assert result.version and result.version.number == 2 and result.rendered_frames == 1
    assert result.version.record.counts.reused == 2
    assert run_records(small.store) == []
