"""Lists the files that match templates as tables. Each folder is listed once, however many templates there are."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.sources.system_names import counted_kinds, system_names
from flowreel.pipeline.sources.template import Template
from flowreel.pipeline.storage import FileInfo, Store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.template import ONLY_FRAME

PAGE_FILES = 50_000
FILES = pa.schema(
    [
        ("sequence", pa.string()),
        ("frame", pa.string()),
        ("path", pa.string()),  # below the store's root
        ("size", pa.int64()),
        ("tag", pa.string()),
    ]
)


@dataclass(frozen=True)
class Listing:
    """The files that match templates, a table for each with columns FILES, and what was skipped."""

    tables: list[pa.Table]
    skipped: dict[str, int]  # files with hidden and system names, by kind


def list_matching(store: Store, templates: Sequence[str]) -> Listing:
    """Lists, for each template, the files that match it; skips and counts hidden and system names.

    Raises SourceError for names that are not UTF-8, StorageError for those that no store accepts.
    """
    parsed = [Template(text) for text in templates]
    found: list[list[pa.Table]] = [[] for _ in parsed]
    skipped: Counter[str] = Counter()
    for prefix in _outermost({template.prefix for template in parsed}):
        for page in _larger(store.pages(prefix)):
            files, tables = _columns(store, page), []
            for template, all_tables in zip(parsed, found, strict=True):
                tables.append(_matching(files, template))
                all_tables.append(tables[-1].filter(pc.is_null(tables[-1]["system"])).drop_columns("system"))
            skipped += _skipped(files, tables, prefix)
    whole = [pa.concat_tables([FILES.empty_table(), *tables]).combine_chunks() for tables in found]
    for table in whole:
        odd = table.filter(pc.match_substring_regex(table["path"], r"[\\\x00-\x1f\x7f]"))
        for path in odd["path"].slice(0, 1).to_pylist():
            store.url(path)  # raises
    return Listing(whole, dict(skipped.most_common()))


def _skipped(files: pa.Table, tables: list[pa.Table], prefix: str) -> Counter[str]:
    """Counts hidden and system names: of files that match, in what {sequence} and * stand for; of others, anywhere."""
    below = pc.utf8_slice_codeunits(files["path"], len(prefix) + 1 if prefix else 0)
    name = system_names(below)
    if all(chunk.null_count == len(chunk) for chunk in name.chunks):
        return Counter()
    matching = [table.filter(pc.is_null(table["system"]))["path"] for table in tables]
    used = pc.is_in(files["path"], value_set=pa.chunked_array([c for m in matching for c in m.chunks], pa.string()))
    return counted_kinds(name.filter(pc.invert(used)).drop_null())


def _larger(pages: Iterable[list[FileInfo]]) -> Iterator[list[FileInfo]]:
    """Merges pages of small folders: columns pay off for many files."""
    together: list[FileInfo] = []
    for page in pages:
        together += page
        if len(together) >= PAGE_FILES:
            yield together
            together = []
    yield together


def _outermost(prefixes: Iterable[str]) -> list[str]:
    """Gives the folders that contain all the others, "" being the root."""
    kept: list[str] = []
    for prefix in sorted(prefixes, key=len):
        if not any(not outer or prefix == outer or prefix.startswith(outer + "/") for outer in kept):
            kept.append(prefix)
    return kept


def _columns(store: Store, page: list[FileInfo]) -> pa.Table:
    try:
        path = pa.array([info.path for info in page], pa.string())
    except UnicodeEncodeError as error:
        raise SourceError(f"{store.uri}: the name of the file {error.object!r} is not valid UTF-8; rename it") from None
    return pa.table(
        {
            "path": path,
            "size": pa.array([info.size for info in page], pa.int64()),
            "tag": pa.array([info.tag for info in page], pa.string()),
        }
    )


def _matching(files: pa.Table, template: Template) -> pa.Table:
    """Gives the files that match a template, with a column `system` more: the hidden or system name in them."""
    parts = pc.extract_regex(files["path"], template.columns_pattern).combine_chunks()
    matches = pc.is_valid(parts)
    files, parts = files.filter(matches), parts.filter(matches)
    sequence = pc.struct_field(parts, "sequence")
    frame = (
        pc.struct_field(parts, "frame") if template.names_frames else pa.array([ONLY_FRAME] * len(parts), pa.string())
    )
    table = files.add_column(0, "sequence", sequence).add_column(1, "frame", frame).cast(FILES)
    # What the template itself says is wanted, hidden or not.
    name = pc.extract_regex(table["path"], r"(?P<name>[^/]*)\z").combine_chunks()
    own_start = template.text.rpartition("/")[2][:1] in "*{"
    tested = [sequence, pc.struct_field(name, "name")] if own_start else [sequence]
    system = system_names(pc.binary_join_element_wise(*tested, "/"))
    return table.append_column("system", system)
