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
            files = _columns(store, page)
            strange = system_names(pc.utf8_slice_codeunits(files["path"], len(prefix) + 1 if prefix else 0))
            any_strange = strange.null_count < len(strange)
            tables = [_matching(files, template) for template in parsed]
            if any_strange:
                tables = [_without_system_names(t, template) for t, template in zip(tables, parsed, strict=True)]
                skipped += _skipped(files, strange, tables)
            for table, all_tables in zip(tables, found, strict=True):
                all_tables.append(table)
    whole = [pa.concat_tables([FILES.empty_table(), *tables]).combine_chunks() for tables in found]
    for table in whole:
        odd = table.filter(pc.match_substring_regex(table["path"], r"[\\\x00-\x1f\x7f]"))
        for path in odd["path"].slice(0, 1).to_pylist():
            store.url(path)  # raises
    return Listing(whole, dict(skipped.most_common()))


def _without_system_names(table: pa.Table, template: Template) -> pa.Table:
    """Drops files with system names in what {sequence} and * stand for: what the template itself says is wanted."""
    tested = [table["sequence"]]
    if template.text.rpartition("/")[2][:1] in "*{":
        tested.append(pc.struct_field(pc.extract_regex(table["path"], r"(?P<name>[^/]*)\z"), "name"))
    return table.filter(pc.is_null(system_names(pc.binary_join_element_wise(*tested, "/"))))


def _skipped(files: pa.Table, strange: pa.ChunkedArray, tables: list[pa.Table]) -> Counter[str]:
    """Counts the files with system names (``strange``: theirs, else null) that no template has matched."""
    used = pa.chunked_array([chunk for table in tables for chunk in table["path"].chunks], pa.string())
    return counted_kinds(strange.filter(pc.invert(pc.is_in(files["path"], value_set=used))).drop_null())


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
    parts = pc.extract_regex(files["path"], template.columns_pattern).combine_chunks()
    frame = pc.struct_field(parts, "frame") if template.names_frames else pa.repeat(ONLY_FRAME, len(parts))
    table = files.add_column(0, "sequence", pc.struct_field(parts, "sequence")).add_column(1, "frame", frame)
    return table.filter(pc.is_valid(parts)).cast(FILES)
