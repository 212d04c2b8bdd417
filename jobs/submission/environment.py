"""Environment variables that `submit --env` passes on to a job. They travel as a file of its working directory, since
Ray writes what it gets as `env_vars` into its logs."""

import json
import os
from pathlib import Path

FILE = "flowreel-env.json"


def write(folder: Path, env: dict[str, str]) -> None:
    """Writes the variables for jobs that run in ``folder``."""
    (folder / FILE).write_text(json.dumps(env))
    (folder / FILE).chmod(0o600)


def load() -> None:
    """Sets the variables in this process, the job's driver or one of its workers; does nothing without the file."""
    place = Path(FILE)
    if place.is_file():
        os.environ.update(json.loads(place.read_text()))
