"""The cluster of several nodes that infra/local_cluster.py starts."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from .local_cluster import ENV, LocalCluster, Start
from .manifests import INFRA


@pytest.fixture
def local_cluster() -> Start:
    """A context manager: the script with its options; ``env`` on top of this process's environment."""

    @contextmanager
    def start(*options: object, env: Mapping[str, str] = ENV) -> Iterator[LocalCluster]:
        command = [sys.executable, str(INFRA / "local_cluster.py"), "--dashboard-port", "0", *map(str, options)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**clean, **ENV, **env},
            cwd=INFRA.parent,
        )
        cluster = LocalCluster(process)
        try:
            cluster.hear()
            yield cluster
        finally:
            if process.poll() is None:
                cluster.say("quit")
                process.wait(timeout=60)

    return start
