"""`python -m flowreel COMMAND`: the same as `flowreel COMMAND`; what a Ray job's entrypoint uses."""

from flowreel.jobs.cli import main
from flowreel.jobs.submission import environment

if __name__ == "__main__":
    environment.load()
    main()
