"""Following a job on a Ray cluster: its log as it comes, then the exit code that it ended with."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
from ray.job_submission import JobStatus, JobSubmissionClient

from flowreel.schemas.errors import FlowreelError, UsageError

TRIES, PAUSE_S = 10, 3.0


def follow(client: JobSubmissionClient, job_id: str) -> int:
    """Prints the log until the job has ended. Returns its exit code, 1 where it has none (killed, stopped, never
    started). Raises UsageError for a job that the cluster does not know, FlowreelError if the cluster is gone."""
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
                raise FlowreelError(f"job {job_id} cannot be followed: {str(error).splitlines()[0]}") from None
            time.sleep(PAUSE_S)
            continue
        if details.status.is_terminal():
            return _code(job_id, details.status, details.driver_exit_code, details.message)
        time.sleep(PAUSE_S)  # the log's end came before that of the job


def _check_known(client: JobSubmissionClient, job_id: str) -> None:
    """Anything else that is wrong shows, or passes, when the log is read."""
    try:
        client.get_job_status(job_id)
    except (RuntimeError, ConnectionError) as error:
        if "404" in str(error):
            known = "`ray job list` shows those it knows"
            raise UsageError(f"--follow {job_id}: the cluster has no such job; {known}") from None


async def _show(chunks: AsyncIterator[str], shown: int) -> int:
    """Prints what comes after the first ``shown`` characters, of which a broken connection begins anew."""
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
