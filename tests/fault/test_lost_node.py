"""A cluster of four nodes loses one: what it had in flight is repeated, nothing else."""

from pathlib import Path

import pytest

from flowreel.pipeline.render.job import Lanes
from tests.fault.harness.cluster import Nodes
from tests.fault.harness.engine import Load
from tests.fault.harness.place import LENGTHS, Place, Undisturbed, data_files
from tests.fault.harness.processes import Driver

pytestmark = [pytest.mark.slow, pytest.mark.chaos]
NODES, CLIPS_PER_SHARD = 4, 3


def test_no_more_is_repeated_than_was_in_flight_on_the_lost_node(
    place: Place, undisturbed: Undisturbed, dataset: Path, tmp_path: Path
) -> None:
    spec = place.spec(dataset, execution={"workers": [NODES, NODES]})
    with Nodes(NODES) as nodes:
        run = Driver(spec, Load(pause_s=0.2, counts=str(tmp_path)), nodes.address)
        assert run.wait_until(lambda: len(data_files(dataset)) >= 2)
        assert nodes.lose_node() == 1
        assert run.wait() == 0, run.said()
    verdict = undisturbed.compare(dataset)
    assert verdict.good and verdict.identical
    rendered = sum(count.stat().st_size for count in tmp_path.glob("[0-9]*"))
    once = sum(LENGTHS) * CLIPS_PER_SHARD
    in_flight = sum(sorted(LENGTHS)[-Lanes().in_flight :]) * CLIPS_PER_SHARD  # the longest that it can have had
    assert once <= rendered <= once + in_flight
