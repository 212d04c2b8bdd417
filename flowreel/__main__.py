"""`python -m flowreel COMMAND`: the same as `flowreel COMMAND`; what a Ray job's entrypoint uses."""

from flowreel.jobs import job_env
from flowreel.jobs.cli import main

if __name__ == "__main__":
    job_env.load()
    main()
