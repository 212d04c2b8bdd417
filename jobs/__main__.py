"""`python -m jobs COMMAND`: what a Ray job entrypoint uses; the same as `flowreel COMMAND`."""

from jobs import job_env
from jobs.cli import main

if __name__ == "__main__":
    job_env.load()
    main()
