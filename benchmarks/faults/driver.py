"""`flowreel render SPEC` with an engine that is slow and falls sick: a process of its own, to be killed.

    python -m benchmarks.faults.driver SPEC '{"pause_s": 0.02, "sick": {"31": ["dies", ""]}, "counts": ""}' [OPTION ...]

The second argument says what `benchmarks.faults.engine.Load` does.
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
    sick = {int(label): Sickness(*how) for label, how in tree["sick"].items()}
    load = Load(tree["pause_s"], sick, tree["counts"])
    sys.argv = ["flowreel", "render", place, *more]
    vars(cli)["run_render"] = partial(render, load=load)
    leave(cli.run())


if __name__ == "__main__":
    main()
