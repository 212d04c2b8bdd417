"""Writes what the image installs, with the hash of every file: requirements-cpu.lock and requirements-cuda.lock.

    python infra/image/lock.py cpu|cuda [PIP OPTIONS]

To be run again whenever constraints.txt or the dependencies in pyproject.toml change, on the kind of machine that the
image is for (linux/amd64, Python 3.11). Nothing is installed. Further options go to pip, such as another index.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXTRAS = "render,cpu,train,cluster,s3,gcs"
BUILD = ["setuptools>=77", "wheel"]  # what Flowreel itself is built with
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def requirements(project: dict[str, Any]) -> Iterator[str]:
    """Yields what a project (of pyproject.toml) asks for with ``EXTRAS``, its own extras spelled out."""
    wanted = [*project["dependencies"], f"flowreel[{EXTRAS}]", *BUILD]
    while wanted:
        requirement = wanted.pop(0)
        if own := re.fullmatch(r"flowreel\[(.+)\]", requirement):
            wanted += [one for extra in own[1].split(",") for one in project["optional-dependencies"][extra]]
        else:
            yield requirement


def lines(report: dict[str, Any]) -> Iterator[str]:
    """Yields a line for each file that pip has chosen: name, version, hash. ``report``: pip's, of an installation."""
    for item in sorted(report["install"], key=lambda item: canonical(item["metadata"]["name"])):
        facts, sha256 = item["metadata"], item["download_info"]["archive_info"]["hashes"]["sha256"]
        yield f"{canonical(facts['name'])}=={facts['version']} --hash=sha256:{sha256}"


def canonical(name: str) -> str:
    """Gives the name of a package as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(variant: str, *options: str) -> None:
    """Lets pip choose, and writes the lock of a variant."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    index = ["--extra-index-url", CPU_INDEX] if variant == "cpu" else []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--report", str(report)]
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, *constraints, *index, *options, *requirements(project)], check=True)
        text = "\n".join(lines(json.loads(report.read_text())))
    made = f"python infra/image/lock.py {variant}"
    head = f"# By `{made}`, from constraints.txt and pyproject.toml: linux/amd64, Python 3.11."
    (HERE / f"requirements-{variant}.lock").write_text(f"{head}\n{text}\n")


if __name__ == "__main__":
    if sys.argv[1:2] not in (["cpu"], ["cuda"]):
        sys.exit(__doc__)
    main(*sys.argv[1:])
