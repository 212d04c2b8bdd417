"""`flowreel submit`: sends a command to a Ray cluster through its job API, shows its log as it comes, and ends as the
job does."""

import logging
import os
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowreel.jobs.submission import environment
from flowreel.jobs.submission.package import SPEC_NAME, check_travels, pack
from flowreel.jobs.terminal.dataclass_options import takes
from flowreel.pipeline.storage import redact
from flowreel.schemas.errors import FlowreelError, UsageError
from flowreel.schemas.extras import pip_install, require

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient


STARTING_S = 60  # for which a cluster that has just started takes no jobs yet


class Job(StrEnum):
    """What can be sent."""

    RENDER = "render"
    REFRESH = "refresh"
    TRAIN = "train"


class Code(StrEnum):
    """Where the job's code comes from."""

    SEND = "send"
    IMAGE = "image"


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    job: Annotated[Job | None, typer.Argument(metavar="[render|refresh|train]", help="the command")] = None
    spec: Annotated[
        str, typer.Argument(metavar="[SPEC]", help="path or URL of its spec; a file of this machine is sent along")
    ] = ""
    address: Annotated[
        str,
        typer.Option(
            metavar="URL", envvar="RAY_API_SERVER_ADDRESS", help="the cluster's dashboard, e.g. http://HOST:8265"
        ),
    ] = "http://127.0.0.1:8265"
    set_: Annotated[list[str], typer.Option("--set", metavar="FIELD=VALUE", help="override a field of the spec")] = (
        field(default_factory=list)
    )
    env: Annotated[
        list[str],
        typer.Option(metavar="NAME", help="give the job this variable of the environment, e.g. AWS_SECRET_ACCESS_KEY"),
    ] = field(default_factory=list)
    code: Annotated[
        Code, typer.Option(help="send: this Flowreel's code; image: what the cluster's nodes have installed")
    ] = Code.SEND
    detach: Annotated[bool, typer.Option("--detach", help="print the job's id and leave it running")] = False
    follow: Annotated[str, typer.Option(metavar="JOB", help="instead of sending one: watch this job to its end")] = ""


@takes(Arguments)
def command(arguments: Arguments) -> None:
    """Sends render, refresh or train to a Ray cluster, follows its log, and ends with its exit code.

    Interrupted, it stops following; the job goes on.
    """
    if bool(arguments.follow) == bool(arguments.job and arguments.spec):
        raise UsageError("submit: give either a command and its SPEC, or --follow JOB")
    require("submit", "cluster")
    client = connect(arguments.address)
    job_id = arguments.follow or send(client, arguments)
    if not arguments.follow:
        print(f"job {job_id}", file=sys.stderr, flush=True)
    if arguments.detach:
        print(job_id)
        return
    from flowreel.jobs.submission.follow import follow  # asyncio and Ray, after all that can be wrong

    try:
        code = follow(client, job_id)
    except KeyboardInterrupt:
        again = f"flowreel submit --address {redact(arguments.address, {})} --follow {job_id}"
        print(f"interrupted: the job goes on; `{again}` watches it again", file=sys.stderr)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


def connect(address: str) -> "JobSubmissionClient":
    """Raises UsageError if no Ray dashboard answers there."""
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # Ray would take them before the address given
        os.environ.pop(name, None)
    try:
        from ray.job_submission import JobSubmissionClient

        for name in ("ray", JobSubmissionClient.__mro__[1].__module__, JobSubmissionClient.__module__):
            logging.getLogger(name).setLevel(logging.ERROR)  # of uploads and connections
        return JobSubmissionClient(address)
    except (ImportError, RuntimeError, ConnectionError, ValueError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"--address {redact(address, {})}: no Ray dashboard to send jobs to ({cause}); give the URL of the"
            f" head's dashboard, for example http://127.0.0.1:8265; the head needs {pip_install('cluster')} too"
        ) from None


def send(client: "JobSubmissionClient", arguments: Arguments) -> str:
    """The new job's id. Raises UsageError for what the job could not do, or what must not travel."""
    job, spec = str(arguments.job), arguments.spec
    env = {name: _value(name) for name in arguments.env}
    local = "://" not in spec
    text = check_travels(job, spec, arguments.set_, local=local)
    sets = [part for override in arguments.set_ for part in ("--set", override)]
    entrypoint = shlex.join(["python", "-m", "flowreel", job, SPEC_NAME if local else spec, *sets])
    with tempfile.TemporaryDirectory(prefix="flowreel-job-") as folder:
        pack(Path(folder), text, code=arguments.code == Code.SEND)
        environment.write(Path(folder), env)
        runtime = {"working_dir": folder, "worker_process_setup_hook": f"{environment.__name__}.load"}
        deadline = time.monotonic() + STARTING_S
        while True:
            try:
                return client.submit_job(entrypoint=entrypoint, runtime_env=runtime, metadata={"flowreel": job})
            except (RuntimeError, ConnectionError) as error:
                if "No available agent" not in str(error) or time.monotonic() > deadline:
                    raise FlowreelError(f"{redact(arguments.address, {})} did not take the job: {error}") from None
                time.sleep(1)


def _value(name: str) -> str:
    if "=" in name:
        raise UsageError(
            f"--env {name.partition('=')[0]}=...: give the name alone; its value is taken from the environment, so that"
            " it stands in no command line"
        )
    if name not in os.environ:
        raise UsageError(f"--env {name}: not in this environment; export it first")
    return os.environ[name]
