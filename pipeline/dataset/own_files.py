"""Which files of a dataset's folder are Flowreel's own. Nothing else is ever deleted: a user may keep files of his own
beside them, in folders of the same names, and links to elsewhere."""

import re
from dataclasses import dataclass

from flowreel.pipeline.dataset import layout, versions
from flowreel.pipeline.dataset.versions import DROPPED_FILE as DROPPED_FILE
from flowreel.pipeline.sources.containers.members import MEMBERS_PATH
from flowreel.pipeline.sources.file_index import INDEX_PATH
from flowreel.pipeline.storage import LINK_TAG, TEMPORARY_NAME, FileInfo, Store

FOLDERS = ("data", "runs", "versions", "cache")
_VERSION_FILES = (
    *(versions.RECORD, versions.MANIFEST_FILE, versions.FAILURES_FILE, versions.SHARDS_FILE, versions.LINEAGE_FILE),
    *(versions.CARD_FILE, versions.CROISSANT_FILE, DROPPED_FILE, "report/index.html"),
)
_TEMPLATES = (
    *(layout.DATA, layout.RUN_RECORD, layout.RUN_PLAN, layout.OUTCOME, layout.SEGMENT, layout.SUMMARY, layout.CLAIM),
    *(layout.CLAIM_BEAT, layout.RUN_LEASES + layout.LEASE, layout.SWEEP_LEASES + layout.LEASE),
)
_OWN = re.compile(
    "|".join(
        (
            *map(layout.pattern, _TEMPLATES),
            rf"{layout.pattern(layout.VERSION)}/(?:{'|'.join(map(re.escape, _VERSION_FILES))})",
            re.escape(INDEX_PATH),
            re.escape(MEMBERS_PATH),
        )
    )
)
_TEMPORARY = re.compile(rf"(?:.*/)?{TEMPORARY_NAME}", re.DOTALL)


@dataclass(frozen=True)
class Survey:
    """What lies in a folder of a dataset, each part sorted by path."""

    own: tuple[FileInfo, ...]
    temporaries: tuple[FileInfo, ...]  # of files being written; left behind only by a kill
    foreign: tuple[FileInfo, ...]  # others' files, and links, wherever they lead


def is_own(path: str) -> bool:
    """Tells whether Flowreel writes files of this path in a dataset."""
    return bool(_OWN.fullmatch(path))


def is_temporary(path: str) -> bool:
    """Tells whether a file is one that was being written: left behind only by a kill."""
    return bool(_TEMPORARY.fullmatch(path))


def survey(dataset: Store, folder: str) -> Survey:
    """Tells apart what lies below one of `FOLDERS`, or directly in the root (``""``). Follows no links."""
    own, temporaries, foreign = list[FileInfo](), list[FileInfo](), list[FileInfo]()
    for info in dataset.tree(folder) if folder else dataset.top():
        linked = info.tag == LINK_TAG
        if not linked and is_own(info.path):
            own.append(info)
        elif not linked and is_temporary(info.path):
            temporaries.append(info)
        else:
            foreign.append(info)
    return Survey(tuple(own), tuple(temporaries), tuple(foreign))
