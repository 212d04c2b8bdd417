"""The bare generator once more, with as many clips at once as a worker: what the machine can do at all."""

import sys

from benchmarks.throughput.bare import run
from benchmarks.throughput.work import read_work

if __name__ == "__main__":
    run(read_work(sys.argv[1]), at_once=True).tell()
