"""What `flowreel render SPEC` does, with an engine that is slow and falls sick: a process of its own, to be killed.

    python -m tests.fault.harness.driver SPEC '{"pause_s": 0.02, "sick": {"31": ["dies", ""]}, "counts": ""}'

The second argument says what `tests.fault.harness.engine.Load` does.
"""

import argparse
import json
import sys
from collections.abc import Callable

from flowreel.jobs.terminal.exit import run_process


def main() -> None:
    run_process(_load)


def _load() -> Callable[[], object]:
    from flowreel.jobs.render import render
    from flowreel.jobs.render_summary import print_summary
    from flowreel.jobs.spec_file import open_spec
    from flowreel.jobs.terminal.options import RETRY
    from flowreel.jobs.terminal.progress import Display
    from flowreel.jobs.terminal.signals import RESUME, if_stopped
    from tests.fault.harness.engine import Load, Sickness

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument("load", type=json.loads)
    parser.add_argument("--retry-failed", action="store_true")
    options = parser.parse_args()
    sick = {int(label): Sickness(*how) for label, how in options.load["sick"].items()}
    load = Load(options.load["pause_s"], sick, options.load["counts"])

    def command() -> None:
        display = Display()
        spec = open_spec(options.spec, RETRY * options.retry_failed, display)
        with if_stopped(RESUME):
            result = render(spec, display, load=load)
        print_summary(result, spec)
        sys.exit(result.exit)

    return command


if __name__ == "__main__":
    main()
