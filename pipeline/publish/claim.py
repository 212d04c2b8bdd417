"""Claims of version numbers: one writer at a time, as long as it renews its claim."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from flowreel.pipeline.dataset import layout, versions
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.errors import StorageError

LEASE_S = 300.0  # a writer that has not renewed its claim for so long is gone
BEATS = 10  # renewals per lease
WAIT_S = 0.5


class Conflict(Exception):
    """Raised when another writer has published meanwhile: plan again on top of its version."""


class Claim:
    """The right to write below one number. ``body`` tells writers apart: the same plan writes the same bytes, so a
    rerun may resume where it was."""

    def __init__(self, dataset: Store, number: int, body: bytes) -> None:
        self.dataset, self.number, self.body = dataset, number, body
        self.path = layout.CLAIM.format(number=number)
        self._beat = _beat_of(number, body)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Waits for the number, and renews the claim until the block ends. Raises Conflict if it is published."""
        self._take()
        ended = threading.Event()
        thread = threading.Thread(target=self._renew, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.dataset.delete(self._beat)
        self.dataset.delete(self.path)  # not if writing failed: the same writer may resume at once

    def check(self) -> None:
        """Raises Conflict if another writer has taken the number over: what it has written must stay."""
        if self.dataset.exists(f"{versions.folder(self.number)}/{versions.RECORD}"):
            raise Conflict(f"version {self.number} was published meanwhile")
        if self._content(self.path) != self.body:
            raise Conflict(f"version {self.number} was taken over by another run")

    def _take(self) -> None:
        """Waits until the number is ours. A claim that has not been renewed for LEASE_S is taken over."""
        seen, since = (b"", b""), time.monotonic()
        while True:
            holder = self.body if self.dataset.put_if_absent(self.path, self.body) else self._content(self.path)
            if max(versions.numbers(self.dataset), default=0) >= self.number:
                if holder == self.body:
                    self.dataset.delete(self.path)
                raise Conflict(f"version {self.number} was published meanwhile")
            if holder == self.body:
                return
            beat = _beat_of(self.number, holder)
            if (holder, beat_now := self._content(beat)) != seen:
                seen, since = (holder, beat_now), time.monotonic()
            elif time.monotonic() - since > LEASE_S:
                self.dataset.delete(self.path, beat)
            time.sleep(WAIT_S)

    def _renew(self, ended: threading.Event) -> None:
        """Renews the claim by a file of its own: writing the claim again could undo that another writer took it
        over."""
        count = 0
        while not ended.wait(LEASE_S / BEATS):
            count += 1
            try:
                self.dataset.write(self._beat, str(count).encode())
            except StorageError:  # the next renewal may succeed; `check` decides
                continue

    def _content(self, path: str) -> bytes:
        """Reads a small file; empty if it is gone."""
        try:
            return self.dataset.read(path)
        except NotFound:
            return b""


def _beat_of(number: int, body: bytes) -> str:
    return layout.CLAIM_BEAT.format(number=number, writer=sha256(body).hexdigest()[:16])
