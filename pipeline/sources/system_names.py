"""Names that systems and editors leave among data: hidden files, thumbnails, wastebaskets, backups."""

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.schemas.wording import counted

SHOWN = 8  # kinds in a message
_FOLDERS = (
    *(r"__MACOSX", r"@eaDir", r"@Recycle", r"@Recently-Snapshot", r"#recycle", r"#snapshot", r"~snapshot"),
    *(r"lost\+found", r"\$RECYCLE\.BIN", r"RECYCLER", r"System Volume Information"),
)
_FILES = (r"Thumbs\.db(?::encryptable)?", r"ehthumbs(?:_vista)?\.db", r"desktop\.ini", r"~\$[^/]*", r"#[^/]*#")
_BACKUPS = r"[^/]*\.(?:bak|orig|swp|tmp|part|partial|crdownload)"
_ANY = rf"\.[^/]*|[^/]*~|(?i:{'|'.join((*_FOLDERS, *_FILES))})"
_PATTERN = rf"(?:\A|/)(?P<name>{_ANY}|(?i:{_BACKUPS})\z)(?:/|\z)"  # in RE2's syntax


def system_names(paths: pa.Array) -> pa.Array:
    """Gives for each path the part that is such a name, null where there is none."""
    return pc.struct_field(pc.extract_regex(paths, _PATTERN), "name")


def counted_kinds(names: pa.Array) -> Counter[str]:
    """Counts files by kind; ``names``: as `system_names` gives them, without nulls."""
    kinds: Counter[str] = Counter()
    for item in pc.value_counts(names).to_pylist():
        kinds[_kind(item["values"])] += item["counts"]
    return kinds


def skipped_names(kinds: Mapping[str, int]) -> str:
    """Words how many files were skipped, and of which kinds."""
    shown = [f"{count:,} {kind}" for kind, count in list(kinds.items())[:SHOWN]]
    if len(kinds) > SHOWN:
        shown.append(f"{len(kinds) - SHOWN} more kinds")
    return f"{counted(sum(kinds.values()), 'file')} with hidden or system names ({', '.join(shown)})"


def _kind(name: str) -> str:
    """Names a kind that many files share."""
    if name.startswith("._"):
        return "._*"
    if name.endswith("~"):
        return "*~"
    if not name.startswith(".") and name.rpartition(".")[2].lower() in ("bak", "orig", "swp", "tmp", "part", "partial"):
        return f"*.{name.rpartition('.')[2]}"
    return name
