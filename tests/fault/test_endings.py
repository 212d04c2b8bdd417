"""Commands whose Ray dies, whose workers find no place, or that are stopped: they go on, or end as documented."""

import signal
from pathlib import Path

import pytest

from benchmarks.common import family
from flowreel.jobs.status import status
from flowreel.pipeline.storage import open_store
from tests.fault.harness.cluster import Nodes
from tests.fault.harness.endings import PARTS
from tests.fault.harness.engine import Load
from tests.fault.harness.place import Place, Undisturbed, data_files
from tests.fault.harness.processes import Driver, catches, kill, name

pytestmark = [pytest.mark.slow, pytest.mark.chaos]
SLOWLY = Load(pause_s=0.05)


@pytest.mark.parametrize("part", PARTS)
def test_a_local_run_goes_on_when_its_ray_dies(
    part: str, place: Place, undisturbed: Undisturbed, dataset: Path
) -> None:
    run = Driver(place.spec(dataset), SLOWLY)
    assert run.wait_until(lambda: len(data_files(dataset)) >= 2), run.said()
    assert kill(*(pid for pid in family(run.pid) if part in name(pid))) == 1
    assert run.wait() == 0, run.said()
    assert "Ray on this machine died: its " in run.said() and "starting it again and going on" in run.said()
    verdict = undisturbed.compare(dataset)
    assert verdict.good and verdict.identical


def test_a_worker_that_no_node_has_room_for_ends_the_run(place: Place, dataset: Path) -> None:
    with Nodes(2) as nodes:
        spec = place.spec(dataset, execution={"num_cpus": 2, "placement_timeout_s": 2})
        run = Driver(spec, Load(), nodes.address)
        assert run.wait() == 1, run.said()
    assert "waiting for nodes: a worker needs 2 CPUs, and no node in the cluster has it" in run.said()
    assert "no worker could be placed for 2 s (execution.placement_timeout_s): each needs 2 CPUs" in run.said()
    assert "there is: 2 nodes with 1 CPU" in run.said()


def test_sigterm_while_ray_starts_is_answered(place: Place, dataset: Path) -> None:
    run = Driver(place.spec(dataset), Load())
    assert run.wait_until(lambda: any("gcs_server" in name(pid) for pid in family(run.pid))), run.said()
    assert run.signal(signal.SIGTERM)
    assert run.wait() == 143, run.said()
    assert run.said().splitlines()[-1].endswith("finished shards are kept; run the same command to resume")


def test_sigterm_in_the_first_moment_is_answered(place: Place, dataset: Path) -> None:
    run = Driver(place.spec(dataset), None)
    assert run.wait_until(lambda: catches(run.pid, signal.SIGTERM), pause_s=0.001), run.said()
    assert run.signal(signal.SIGTERM)
    assert run.wait() == 143
    assert run.said() == "flowreel: stopped by SIGTERM: nothing was begun\n"


def test_killed_after_its_commit_a_run_counts_as_ended(place: Place, undisturbed: Undisturbed, dataset: Path) -> None:
    spec = place.spec(dataset, report=True)
    record = dataset / "versions" / "000001" / "version.json"
    run = Driver(spec, Load())
    assert run.wait_until(record.exists, pause_s=0.001), run.said()
    run.kill_all()
    assert status(open_store(str(dataset)))["unfinished_runs"] == []
    again = Driver(spec, Load())
    assert again.wait() == 0 and "nothing changed: version 1" in again.said(), again.said()
    assert not list(dataset.glob("runs/*/outcomes/*"))
    verdict = undisturbed.compare(dataset)
    assert verdict.good and verdict.identical
