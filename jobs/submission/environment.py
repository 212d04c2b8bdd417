"""Variables of the environment that `submit --env` gives to a job. They travel as a file of its working directory:
what Ray is told as `env_vars`, it writes into its logs."""

import json
import os
from pathlib import Path

FILE = "flowreel-env.json"


def write(folder: Path, env: dict[str, str]) -> None:
    """For jobs that run in ``folder``."""
    (folder / FILE).write_text(json.dumps(env))
    (folder / FILE).chmod(0o600)


def load() -> None:
    """Takes them into this process, the job's driver or one of its workers; without the file, nothing."""
    place = Path(FILE)
    if place.is_file():
        os.environ.update(json.loads(place.read_text()))
