"""`python -m jobs COMMAND`: for a checkout; the same as `python -m flowreel COMMAND`."""

from flowreel.jobs.cli import main
from flowreel.jobs.submission import environment

if __name__ == "__main__":
    environment.load()
    main()
