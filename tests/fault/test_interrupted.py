"""Runs that are told to stop, or killed with everything that belongs to them: the next one goes on, byte for byte."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from flowreel.pipeline.dataset.versions import numbers
from flowreel.pipeline.storage import open_store
from tests.fault.harness.engine import Load
from tests.fault.harness.place import Place, Undisturbed, data_files
from tests.fault.harness.processes import Driver
from tests.fault.harness.world import rendered_again

pytestmark = [pytest.mark.slow, pytest.mark.chaos]
SLOWLY = Load(pause_s=0.05)
ALL_DAY = Load(pause_s=0.4)  # long enough that three runs, each killed within seconds of its start, never get done
KILLS = 3


def times(dataset: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in dataset.glob("data/*.parquet")}


def test_sigterm_leaves_a_state_to_go_on_from(place: Place, undisturbed: Undisturbed, dataset: Path) -> None:
    spec = place.spec(dataset)
    stopped = Driver(spec, SLOWLY)
    assert stopped.wait_until(lambda: len(data_files(dataset)) >= 2)
    os.kill(stopped.pid, signal.SIGTERM)
    began = time.monotonic()
    assert stopped.wait() == 143, stopped.said()
    assert time.monotonic() - began < 60
    assert "SIGTERM: starting no more shards; those in flight have 25 s to finish" in stopped.said()
    assert "finished shards are kept; run the same command to resume" in stopped.said()
    there = times(dataset)
    assert 2 <= len(there) < len(undisturbed.files)
    assert not undisturbed.half_written(dataset) and not numbers(open_store(str(dataset)))

    clips, resumed = undisturbed.clips_in(dataset), Driver(spec, Load())
    assert resumed.wait() == 0, resumed.said()
    assert rendered_again(clips, resumed.said()) == 0
    assert times(dataset).items() >= there.items()
    verdict = undisturbed.compare(dataset)
    assert verdict.good and verdict.identical


def test_three_kills_of_everything_and_a_clean_run(place: Place, undisturbed: Undisturbed, dataset: Path) -> None:
    spec, moment = place.spec(dataset), random.Random(1)
    again = 0
    for number in range(KILLS):
        there, clips = times(dataset), undisturbed.clips_in(dataset)
        killed = Driver(spec, ALL_DAY)
        least = len(there) + number
        assert killed.wait_until(lambda: bool(killed.actors()) and len(times(dataset)) >= least), killed.said()
        time.sleep(moment.uniform(0, 2))
        assert killed.kill_all() > 3, "the run was over before it was killed"
        again += rendered_again(clips, killed.said())
        assert times(dataset).items() >= there.items()
        assert not undisturbed.half_written(dataset)
    clips, last = undisturbed.clips_in(dataset), Driver(spec, Load())
    assert last.wait() == 0, last.said()
    assert again + rendered_again(clips, last.said()) == 0
    verdict = undisturbed.compare(dataset)
    assert verdict.good and verdict.identical
