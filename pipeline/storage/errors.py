"""Translates what storage backends raise into Flowreel's errors: whether to retry, and what the user can do.

Backends raise their own types (botocore, aiohttp, azure, gcsfs, plain OSError). Types of optional packages are
recognised by class name, so that nothing has to be imported to recognise them.
"""

import errno
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from flowreel.schemas.errors import StorageError
from flowreel.schemas.exit_codes import Exit
from flowreel.schemas.secrets import hide_secrets

T = TypeVar("T")

TRIES = 4  # with the pauses below, outages of 2 to 5 s are survived
FIRST_PAUSE_S = 0.5
CONFLICT = 409  # S3: "another conditional write is under way, try again"
TRANSIENT_STATUS = {408, CONFLICT, 425, 429}
PERMANENT_5XX = {501, 505}
TRANSIENT_ERRNO = {errno.ESTALE, errno.EAGAIN}  # ESTALE: NFS, a file replaced while it was being read
TRANSIENT_TYPES = {
    *("HTTPClientError", "ConnectionError", "IncompleteReadError", "ResponseStreamingError", "ResponseParserError"),
    *("ClientConnectionError", "ClientPayloadError", "ServiceRequestError", "ServiceResponseError", "IncompleteRead"),
    *("ChunkedEncodingError", "Timeout", "TimeoutError", "ChecksumError", "FlexibleChecksumError"),
}
NO_CREDENTIALS_TYPES = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "NoAuthTokenError"}
PERMANENT_TYPES = (FileNotFoundError, PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError)

# Options whose values may be shown. Every other text among the options counts as a secret.
HARMLESS_OPTIONS = {
    *("endpoint_url", "endpoint", "region_name", "region", "profile", "project", "location", "account_name", "account"),
    *("addressing_style", "signature_version", "request_checksum_calculation", "response_checksum_validation", "mode"),
    # Names of keys, which open nothing; SSECustomerKey is a key itself.
    *("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "default_kms_key_name", "encryption_scope"),
    *("ACL", "StorageClass", "RequestPayer"),
}
HARMLESS_VALUES = {"anon", "google_default", "cloud", "browser", "cache"}  # of gcsfs's `token`: ways to get one

_jitter = random.Random()  # its own state: the global one may have been seeded for a render


class NotFound(StorageError, FileNotFoundError):
    """An object, folder or bucket that does not exist."""


class DanglingLink(NotFound):
    """A symbolic link to what is not there."""


class Unavailable(StorageError):
    """A store that keeps failing or does not answer. Nothing is wrong with the request: it may work later."""

    exit_code = Exit.FAILED


class Full(StorageError):
    """A disk, quota or file size that has reached its limit."""

    exit_code = Exit.FAILED


class TryAgain(OSError):
    """An answer of a storage call that can't be trusted, such as a body cut short; raised inside the call, so that it
    is retried."""


def retry(call: Callable[[], T], tries: int, note: Callable[[Exception], None]) -> T:
    """Runs `call` until it returns, at most `tries` times, with growing pauses; a permanent error is raised at once.

    `note` is called with every error that is retried.
    """
    for attempt in range(tries - 1):
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
            note(error)
        time.sleep(FIRST_PAUSE_S * 2**attempt * _jitter.uniform(0.5, 1.5))
    return call()


def is_transient(error: BaseException) -> bool:
    """Tells whether the same request may work a moment later."""
    if isinstance(error, PERMANENT_TYPES + (StorageError,)):
        return False
    for e in _chain(error):  # before the status: aiohttp reports a body cut short as a 400
        if isinstance(e, (TryAgain, TimeoutError, ConnectionError)) or _is_a(e, TRANSIENT_TYPES):
            return True
        if getattr(e, "errno", None) in TRANSIENT_ERRNO:
            return True
    status = status_of(error) or 0
    return status in TRANSIENT_STATUS or (status >= 500 and status not in PERMANENT_5XX)


def status_of(error: BaseException) -> int | None:
    """Finds the HTTP status of an error, which s3fs keeps only in the error's cause; None if there is none."""
    for e in _chain(error):
        response = getattr(e, "response", None)
        found = [response.get("ResponseMetadata", {}).get("HTTPStatusCode")] if isinstance(response, Mapping) else []
        found += [getattr(e, name, None) for name in ("status", "status_code", "code")]
        for value in found:
            if str(value).isdigit() and 100 <= int(str(value)) < 600:
                return int(str(value))
    return None


def explained(error: Exception, action: str, options: Mapping[str, Any]) -> StorageError:
    """Makes the error for the user: `action` ("read s3://b/k"), what failed, the next step. It holds no value of
    `options`."""
    kind, reason, step = diagnosis(error)
    detail = _detail(error)
    return kind(redact(f"Cannot {action}: {reason}{f' ({detail})' if detail else ''}. {step}", options))


def _detail(error: Exception) -> str:
    """Words what a backend says, if that adds anything to the reason: for files, errno says it all."""
    if isinstance(error, PERMANENT_TYPES):
        return ""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:500] or type(error).__name__


def diagnosis(error: Exception) -> tuple[type[StorageError], str, str]:
    """Gives the error class, the reason and the next step."""
    status = status_of(error)
    if "NoSuchBucket" in _codes(error):
        return NotFound, "there is no such bucket", "Create it or correct its name; buckets are never made here."
    if isinstance(error, FileNotFoundError) or status == 404:
        return NotFound, "it does not exist", "Check the path, and the bucket or folder that should hold it."
    if any(_is_a(e, NO_CREDENTIALS_TYPES) for e in _chain(error)):
        step = "Set them in the environment (for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or in storage_options."
        return StorageError, "no credentials were found", step
    if isinstance(error, PermissionError) or status in (401, 403) or str(error).startswith("Forbidden"):
        return StorageError, "access denied", "Check the credentials and what they, or the file mode, allow here."
    if isinstance(error, TryAgain):
        return Unavailable, "the answer can't be trusted", "If the object was replaced meanwhile, run it again."
    if is_transient(error):
        step = "Check the network and the endpoint (endpoint_url), then run the same command again."
        return Unavailable, "the store doesn't answer, or only with errors", step
    if isinstance(error, (NotADirectoryError, IsADirectoryError, FileExistsError)):
        return StorageError, "a file is where a folder should be, or the reverse", "Choose another path."
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Full, "the disk is full, or a quota or limit is reached", "Free some space or choose another path."
    if getattr(error, "errno", None) == errno.EROFS:
        return StorageError, "the file system is read-only", "Choose another path."
    return StorageError, "the store or its driver refuses", "Check the URI and storage_options."


def redact(text: str, options: Mapping[str, Any]) -> str:
    """Replaces every secret among the values of `options` in `text` by ***, and whatever else looks like one."""
    for secret in sorted(_secrets(options), key=len, reverse=True):
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return hide_secrets(text)


def _secrets(value: Any) -> Iterator[str]:
    """Yields texts of 4 characters or more within options, and the parts of connection strings (`Name=value;...`)."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name not in HARMLESS_OPTIONS:
                yield from _secrets(item)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _secrets(item)
    elif isinstance(value, (str, bytes)):
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        parts = [text, *(part.partition("=")[2] for part in text.split(";"))] if ";" in text else [text]
        yield from (part for part in parts if len(part) >= 4 and part not in HARMLESS_VALUES)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and its causes, 8 at most."""
    current: BaseException | None = error
    for _ in range(8):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _is_a(error: BaseException, names: set[str]) -> bool:
    """Tells whether the error's class, or one it derives from, has one of these names."""
    return any(cls.__name__ in names for cls in type(error).__mro__)


def _codes(error: BaseException) -> set[str]:
    """Collects the S3 error codes of an error and its causes, such as NoSuchBucket."""
    responses = [getattr(e, "response", None) for e in _chain(error)]
    return {str(r.get("Error", {}).get("Code")) for r in responses if isinstance(r, Mapping)}
