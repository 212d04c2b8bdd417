"""Follows a job on a Ray cluster: prints its log while it runs, and gives its exit code."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
from ray.job_submission import JobStatus, JobSubmissionClient

from flowreel.schemas.errors import FlowreelError, UsageError

TRIES, PAUSE_S = 10, 3.0


def follow(client: JobSubmissionClient, job_id: str) -> int:
    """Prints the log until the job has ended, and gives its exit code; 1 where it has none, as it was killed or
    stopped, or never started.

    Raises UsageError for a job that the cluster does not know, FlowreelError if the cluster cannot be reached.
    """
    shown, failures = 0, 0
    _check_known(client, job_id)
    while True:
        try:
            shown = asyncio.run(_show(client.tail_job_logs(job_id), shown))
            failures = 0
            details = client.get_job_info(job_id)
        except (RuntimeError, ConnectionError, aiohttp.ClientError) as error:
            failures += 1
            if "does not exist" in str(error) or failures > TRIES:
                raise FlowreelError(f"cannot follow job {job_id}: {str(error).splitlines()[0]}") from None
            time.sleep(PAUSE_S)
            continue
        if details.status.is_terminal():
            return _code(job_id, details.status, details.driver_exit_code, details.message)
        time.sleep(PAUSE_S)  # the log has ended before the job


def _check_known(client: JobSubmissionClient, job_id: str) -> None:
    """Raises UsageError for an unknown job; all other trouble shows, or passes, when the log is read."""
    try:
        client.get_job_status(job_id)
    except (RuntimeError, ConnectionError) as error:
        if "404" in str(error):
            raise UsageError(
                f"--follow {job_id}: the cluster has no such job; `ray job list` lists those it has"
            ) from None


async def _show(chunks: AsyncIterator[str], shown: int) -> int:
    """Prints what follows the first ``shown`` characters, as a new connection starts over. Gives how many are shown."""
    seen = 0
    async for chunk in chunks:
        seen += len(chunk)
        if seen > shown:
            print(chunk[max(0, len(chunk) - (seen - shown)) :], end="", flush=True)
            shown = seen
    return shown


def _code(job_id: str, status: JobStatus, code: int | None, message: str | None) -> int:
    if status == JobStatus.SUCCEEDED:
        return 0
    if code is not None and code > 0:
        return code
    ended = "was stopped" if status == JobStatus.STOPPED else f"failed: {message}"
    print(f"flowreel: job {job_id} {ended}", file=sys.stderr)
    return 1
