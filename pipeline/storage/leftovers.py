"""Deletes what writers that were killed have left half-written, in folders that no garbage collector looks after."""

import re
import time

from flowreel.pipeline.storage.atomic_write import TEMPORARY_NAME
from flowreel.pipeline.storage.protocol import LINK_TAG
from flowreel.pipeline.storage.store import Store

ABANDONED_S = 24 * 3600.0  # a file being written for so long has no writer any more


def delete_leftovers(store: Store, now_s: float | None = None) -> list[str]:
    """Deletes Flowreel's temporary files below a store's root that are older than a day, and gives their paths.

    Of a bucket, only those directly in the root: objects appear whole, so there are no others. No link is followed.
    """
    now_s = time.time() if now_s is None else now_s
    ours = re.compile(rf"(?:.*/)?{TEMPORARY_NAME}", re.DOTALL)
    found = [
        info.path
        for info in (store.top() if "://" in store.uri else store.tree(""))
        if info.tag != LINK_TAG and ours.fullmatch(info.path) and 0 < info.modified_s < now_s - ABANDONED_S
    ]
    store.delete(*found)
    return found
