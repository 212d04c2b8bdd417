"""`flowreel render SPEC` with an engine that is slow and falls sick: a process of its own, to be killed.

python -m benchmarks.faults.driver SPEC '{"pause_s": 0.02, "sick": {"31": ["dies", ""]}}' [--retry-failed]
"""

import json
import sys
from functools import partial

from benchmarks.faults.engine import Load, Sickness
from jobs import cli
from jobs.leaving import leave
from jobs.render import render


def main() -> None:
    place, settings, *more = sys.argv[1:]
    tree = json.loads(settings)
    load = Load(tree["pause_s"], {int(label): Sickness(*how) for label, how in tree["sick"].items()})
    sys.argv = ["flowreel", "render", place, *more]
    vars(cli)["run_render"] = partial(render, load=load)
    leave(cli.run())


if __name__ == "__main__":
    main()
