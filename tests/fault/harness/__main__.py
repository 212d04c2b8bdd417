"""Injects faults of every kind into real renders, and writes what became of their clips as a table.

    python -m tests.fault.harness docs/faults.md [--kinds actors stores ...] [--most N]

Each kind renders tiny clips on a real local Ray until it has met its number of faults, and compares the published
versions with one of an undisturbed run. The table goes between the markers of the file. Exit code 1 if a clip was lost,
is there twice or differs, or if a command hung or ended with an exit code that is not documented. Two kinds need root
(a small file system, a memory limit), and say so.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.common import BUSY, count, put
from tests.fault.harness import clips, endings, kills, stores
from tests.fault.harness.cluster import Nodes
from tests.fault.harness.engine import Load
from tests.fault.harness.place import Place
from tests.fault.harness.table import BEGIN, END, Kept, markdown
from tests.fault.harness.world import Row, World

SEQUENCES, PAUSE_S = 36, 0.03
KINDS: dict[str, Callable[[World], Row]] = {
    "stores": stores.stores,
    "actors": kills.actors,
    "drivers": kills.drivers,
    "sigterm": kills.drained,
    "nan": clips.nan,
    "refused-memory": clips.refused_memory,
    "killed-for-memory": clips.killed_for_memory,
    "disk": stores.full_disk,
    "poison": clips.poison,
    "hanging": clips.hanging,
    "machines": kills.machines,
    "gcs": kills.control_stores,
    **endings.KINDS,
    "nodes": kills.lost_nodes,  # last: the cluster that it leaves is gone
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="Markdown file with the table's markers")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--rows", type=Path, help="JSON file that keeps the rows, also of kinds that are not run now")
    parser.add_argument("--most", type=count, help="faults of each kind at most")
    options = parser.parse_args()
    for name, value in BUSY.items():
        os.environ.setdefault(name, value)
    good, kept = True, Kept(options.rows)
    with tempfile.TemporaryDirectory(prefix="flowreel-faults-", ignore_cleanup_errors=True) as folder, Nodes() as nodes:
        world = World(Place(Path(folder), SEQUENCES, clips.SICK_LABELS), nodes, Load(PAUSE_S), options.most)
        for kind in options.kinds:
            began = time.monotonic()
            row = KINDS[kind](world)
            good &= row.good
            print(f"{kind}: {time.monotonic() - began:.0f} s, {row}", flush=True)
            put(options.out, markdown(kept.add(kind, row)), (BEGIN, END))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
