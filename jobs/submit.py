"""`flowreel submit`: sends a command to a Ray cluster through its job API, shows its log while it runs, and exits with
its exit code."""

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
from urllib.request import urlopen

import typer

from flowreel.jobs.submission import environment
from flowreel.jobs.submission.package import SPEC_NAME, check_travels, pack
from flowreel.jobs.terminal.dataclass_options import takes
from flowreel.jobs.terminal.options import AllowCode, Set
from flowreel.jobs.terminal.signals import if_stopped
from flowreel.pipeline.storage import redact
from flowreel.schemas.errors import FlowreelError, UsageError
from flowreel.schemas.extras import pip_install, require

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient


CONNECT_S = 10.0
STARTING_S = 60  # how long a cluster that has just started may take no jobs


class Job(StrEnum):
    """Commands that can be sent."""

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

    job: Annotated[
        Job | None,
        typer.Argument(metavar="render|refresh|train", show_default=False, help="The command to run on the cluster."),
    ] = None
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="Path or URL of its spec; a file on this machine is sent along.")
    ] = ""
    address: Annotated[
        str,
        typer.Option(metavar="URL", envvar="RAY_API_SERVER_ADDRESS", help="The dashboard of the cluster."),
    ] = "http://127.0.0.1:8265"
    set_: Set = field(default_factory=list)
    allow_code: AllowCode = False
    env: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Pass this environment variable on to the job, for example AWS_SECRET_ACCESS_KEY. May be given several"
            " times.",
        ),
    ] = field(default_factory=list)
    code: Annotated[
        Code,
        typer.Option(
            metavar="send|image",
            show_default=False,
            help="Which Flowreel runs: 'send' sends the one installed here, 'image' uses the one that the cluster's"
            " nodes have. Default: send.",
        ),
    ] = Code.SEND
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and return while it runs.")] = False
    follow: Annotated[
        str, typer.Option(metavar="JOB", help="Send nothing; follow the job with this id to its end.")
    ] = ""


@takes(Arguments)
def command(arguments: Arguments) -> None:
    """Runs render, refresh or train on a Ray cluster, shows its log, and exits with its exit code.

    Ctrl-C stops following the log; the job keeps running, and `flowreel submit --follow JOB` follows it again.

    \b
    Examples:
      flowreel submit render city.yaml --address http://head:8265 \\
        --env AWS_ACCESS_KEY_ID --env AWS_SECRET_ACCESS_KEY
      flowreel submit --follow raysubmit_Yk3vJqAbCdEf
    """
    if bool(arguments.follow) == bool(arguments.job and arguments.spec):
        raise UsageError("submit: give either a command and its SPEC, or --follow JOB; see `flowreel submit --help`")
    require("submit", "cluster")
    client = connect(arguments.address)
    with if_stopped("the job may have been sent or not; `ray job list` shows it if it was"):
        job_id = arguments.follow or send(client, arguments)
    if not arguments.follow:
        print(f"job {job_id}", file=sys.stderr, flush=True)
    if arguments.detach:
        print(job_id)
        return
    from flowreel.jobs.submission.follow import follow  # asyncio and Ray, after all that can be wrong

    again = f"flowreel submit --address {arguments.address} --follow {job_id}"
    with if_stopped(f"the job keeps running; `{again}` follows it again"):
        code = follow(client, job_id)
    raise typer.Exit(code)


def connect(address: str) -> "JobSubmissionClient":
    """Opens the job API of a cluster.

    Raises UsageError for an address that holds a user, a password or a query, of which nothing is shown, and if no Ray
    dashboard answers there.
    """
    if any(mark in address for mark in "@?#"):
        raise UsageError(
            "--address: holds a user, a password or a query, and is not shown; give the URL of the head node's"
            " dashboard alone, for example http://127.0.0.1:8265, and a token in RAY_AUTH_TOKEN"
        )
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # Ray would prefer them to ``address``
        os.environ.pop(name, None)
    _check_answers(address)
    try:
        from ray.job_submission import JobSubmissionClient

        for name in ("ray", JobSubmissionClient.__mro__[1].__module__, JobSubmissionClient.__module__):
            logging.getLogger(name).setLevel(logging.ERROR)  # they report uploads and connections
        return JobSubmissionClient(address)
    except (ImportError, RuntimeError, ConnectionError, ValueError) as error:
        cause = redact(str(error).splitlines()[0], {}) if str(error) else type(error).__name__
        raise UsageError(
            f"--address {address}: no Ray dashboard takes jobs there ({cause}); give the URL of the head"
            f" node's dashboard, for example http://127.0.0.1:8265; the cluster needs {pip_install('cluster')} too"
        ) from None


def _check_answers(address: str) -> None:
    """Raises UsageError if somebody listens at a dashboard's ``address`` who says nothing: Ray would wait for ever."""
    if not address.startswith(("http://", "https://")):
        return
    try:
        urlopen(f"{address.rstrip('/')}/api/version", timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:  # all others are Ray's to tell; an HTTP error is an answer
        if isinstance(getattr(error, "reason", error), TimeoutError):
            raise UsageError(
                f"--address {redact(address, {})}: no answer within {CONNECT_S:g} s; give the URL of the head node's"
                " dashboard, for example http://127.0.0.1:8265"
            ) from None


def send(client: "JobSubmissionClient", arguments: Arguments) -> str:
    """Sends a job and gives its id.

    Raises UsageError for a spec that the job could not use or that must not leave this machine, FlowreelError if the
    cluster refuses the job.
    """
    job, spec = str(arguments.job), arguments.spec
    if arguments.allow_code and arguments.job == Job.TRAIN:
        raise UsageError("--allow-code: for render and refresh; training loads nothing that runs code of its own")
    env = {name: _value(name) for name in arguments.env}
    local = "://" not in spec
    text = check_travels(job, spec, arguments.set_, local=local)
    with tempfile.TemporaryDirectory(prefix="flowreel-job-") as folder:
        pack(Path(folder), text, code=arguments.code == Code.SEND)
        environment.write(Path(folder), env)
        runtime = {"working_dir": folder, "worker_process_setup_hook": f"{environment.__name__}.load"}
        deadline = time.monotonic() + STARTING_S
        while True:
            try:
                return client.submit_job(
                    entrypoint=entrypoint(arguments), runtime_env=runtime, metadata={"flowreel": job}
                )
            except (RuntimeError, ConnectionError) as error:
                if "No available agent" not in str(error) or time.monotonic() > deadline:
                    raise FlowreelError(
                        f"the cluster at {arguments.address} refused the job: {redact(str(error), {})}"
                    ) from None
                time.sleep(1)


def entrypoint(arguments: Arguments) -> str:
    """Gives the command line that the cluster runs: in a working directory that holds the spec, if it is sent along."""
    spec = arguments.spec if "://" in arguments.spec else SPEC_NAME
    sets = [part for override in arguments.set_ for part in ("--set", override)]
    code = ["--allow-code"] * arguments.allow_code
    return shlex.join(["python", "-m", "flowreel", str(arguments.job), spec, *sets, *code])


def _value(name: str) -> str:
    """Gives the value of an environment variable. Raises UsageError if it is not set, or given as NAME=VALUE."""
    if "=" in name:
        raise UsageError(
            f"--env {name.partition('=')[0]}=...: give the name alone; its value is taken from the environment, so that"
            " it appears on no command line"
        )
    if name not in os.environ:
        raise UsageError(f"--env {name}: not set in this environment; export it first")
    return os.environ[name]
