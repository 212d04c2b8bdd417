"""A Ray that is started for one command can be reached by its own processes alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
# Starts Ray as `render` does, and prints the addresses at which this process and those below it listen.
SESSION = """
import os
from flowreel.jobs.engine.local_network import stay_on_loopback
stay_on_loopback()
from flowreel.jobs.engine.session import ray_session
with ray_session():
    import ray
    @ray.remote
    class Worker:
        def token(self): return os.environ.get("RAY_AUTH_TOKEN", "")
    worker = Worker.remote()
    token = ray.get(worker.token.remote())
    print("token", len(token), token == os.environ["RAY_AUTH_TOKEN"])
    from tests.e2e.test_network import listening_below
    print("listens", *sorted(listening_below(os.getpid())))
print("after", os.environ.get("RAY_AUTH_TOKEN"), os.environ.get("RAY_AUTH_MODE"))
"""


def listening_below(pid: int) -> set[str]:
    """Local addresses, as the kernel writes them, of listening sockets of a process and all below it. Linux only."""
    sockets = set[str]()
    for one in below(pid):
        for link in Path(f"/proc/{one}/fd").glob("*"):
            try:
                sockets.add(os.readlink(link))
            except OSError:
                continue
    found = set[str]()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].partition(":")[0])
    return found


def below(pid: int) -> list[int]:
    children = [int(part) for task in Path(f"/proc/{pid}/task").glob("*") for part in _children(task)]
    return [pid, *(deeper for child in children for deeper in below(child))]


def _children(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:
        return []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ray_listens_on_loopback_alone_and_has_a_token_of_its_own() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", SESSION], capture_output=True, text=True, check=True, env=env)
    said = dict(
        line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("token", "listens", "after"))
    )
    assert said["token"] == "64 True" and said["after"] == "None None"
    ours = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, and the same as an IPv6 address
    assert set(said["listens"].split()) <= ours and said["listens"]
