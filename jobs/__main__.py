"""`python -m jobs COMMAND`: for a checkout; the same as `python -m flowreel COMMAND`."""

from flowreel.jobs import job_env
from flowreel.jobs.cli import main

if __name__ == "__main__":
    job_env.load()
    main()
