"""What `flowreel render SPEC` does, with an engine that is slow and falls sick: a process of its own, to be killed.

    python -m tests.fault.harness.driver SPEC '{"pause_s": 0.02, "sick": {"31": ["dies", ""]}, "counts": ""}'

The second argument says what `tests.fault.harness.engine.Load` does.
"""

import argparse
import json
import sys

from flowreel.jobs.render import render
from flowreel.jobs.render_summary import print_summary
from flowreel.jobs.spec_file import open_spec
from flowreel.jobs.terminal.exit import exit_process
from flowreel.jobs.terminal.options import RETRY
from flowreel.jobs.terminal.progress import Display
from flowreel.schemas.errors import FlowreelError
from tests.fault.harness.engine import Load, Sickness


def run(place: str, load: Load, retry_failed: bool) -> int:
    """Exit code."""
    display = Display()
    try:
        spec = open_spec(place, RETRY * retry_failed, display)
        result = render(spec, display, load=load)
    except FlowreelError as error:
        print(f"flowreel: {error}", file=sys.stderr)
        return error.exit_code
    print_summary(result, spec)
    return result.exit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument("load", type=json.loads)
    parser.add_argument("--retry-failed", action="store_true")
    options = parser.parse_args()
    sick = {int(label): Sickness(*how) for label, how in options.load["sick"].items()}
    exit_process(run(options.spec, Load(options.load["pause_s"], sick, options.load["counts"]), options.retry_failed))


if __name__ == "__main__":
    main()
