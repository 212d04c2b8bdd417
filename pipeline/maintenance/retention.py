"""Decides which versions a dataset keeps, and drops versions: at once for new readers, after a grace period for those
who have it open.

A version exists as long as its ``version.json`` does, so that is deleted first. Its record stays as ``dropped.json``,
whose age is the time since it was dropped; until the grace period ends, what the version names stays too. The newest
version is always kept: it has the highest number, so no number is given twice.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from flowreel.pipeline.dataset.layout import NUMBER
from flowreel.pipeline.dataset.own_files import DROPPED_FILE, Survey, survey
from flowreel.pipeline.dataset.versions import RECORD, folder
from flowreel.pipeline.storage import LINK_TAG, FileInfo, NotFound, Store

_LINKED = re.compile(rf"versions/({NUMBER})(?:/{re.escape(RECORD)})?")


@dataclass
class Folder:
    """The files below ``versions/NNNNNN``."""

    number: int
    files: dict[str, FileInfo] = field(default_factory=dict)  # by name in the folder
    linked: bool = False  # published for readers, through a link to the folder or to its record: stays as it is

    @property
    def exists(self) -> bool:
        """Tells whether it is a published version."""
        return RECORD in self.files

    @property
    def dropped(self) -> FileInfo | None:
        """Gives the mark of a dropped version, None if it is none."""
        return None if self.exists else self.files.get(DROPPED_FILE)

    def path(self, name: str) -> str:
        """Gives the path of one of its files in the dataset."""
        return f"{folder(self.number)}/{name}"


def folders_of(dataset: Store, found: Survey) -> list[Folder]:
    """Groups what lies below ``versions`` by version, published or not, by rising number: Flowreel's own files, and
    which versions are read through links."""
    files: dict[int, dict[str, FileInfo]] = defaultdict(dict)
    for info in found.own:
        if named := re.fullmatch(rf"versions/({NUMBER})/(.+)", info.path):
            files[int(named[1])][named[2]] = info
    links = (_LINKED.fullmatch(info.path) for info in found.foreign if info.tag == LINK_TAG)
    numbers = {int(link[1]) for link in links if link}
    linked = {number for number in numbers if dataset.exists(f"{folder(number)}/{RECORD}")}
    return [Folder(number, files.get(number, {}), number in linked) for number in sorted(files.keys() | linked)]


def folders(dataset: Store) -> list[Folder]:
    """Gives the folders of versions that lie in a dataset itself, and which of its versions are read through links."""
    return folders_of(dataset, survey(dataset, "versions"))


def past_retention(published: Sequence[int], keep: int) -> list[int]:
    """Lists the published versions to drop so that the ``keep`` newest remain; never the newest."""
    return sorted(published)[: -max(1, keep)]


def overdue(dataset: Store, keep: int) -> bool:
    """Tells whether there are versions past retention, or some in their grace period."""
    found = folders(dataset)
    return bool(past_retention([v.number for v in found if v.exists], keep)) or any(v.dropped for v in found)


def drop(dataset: Store, number: int) -> None:
    """Drops a version; nothing that it names is touched."""
    record = f"{folder(number)}/{RECORD}"
    try:
        data = dataset.read(record)
    except NotFound:  # dropped by someone else
        return
    dataset.write(f"{folder(number)}/{DROPPED_FILE}", data)  # even if a kill left an old one: its age begins now
    dataset.delete(record)


def removable(versions: Sequence[Folder], now_s: float, grace_s: float, dead_s: float) -> Iterator[str]:
    """Yields files below ``versions`` that nobody needs: of versions dropped for ``grace_s``, and of interrupted
    commits whose numbers are taken. The mark of a dropped version comes last. ``dead_s``: a writer silent for so
    long is gone."""
    newest = max((v.number for v in versions if v.exists), default=0)
    for version in versions:
        if version.exists or version.linked or version.number > newest:  # those above may be commits in progress
            continue
        if version.dropped:
            expired = age(version.dropped, now_s) >= grace_s
        else:
            expired = all(age(info, now_s) >= max(grace_s, dead_s) for info in version.files.values())
        if expired:
            yield from (version.path(name) for name in sorted(version.files, key=lambda name: name == DROPPED_FILE))


def age(info: FileInfo, now_s: float) -> float:
    """Gives the seconds since a file was written; 0 where the store does not say."""
    return max(0.0, now_s - info.modified_s) if info.modified_s else 0.0
