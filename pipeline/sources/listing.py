"""Lists the files that match templates as tables. Each folder is listed once, however many templates there are."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.sources.template import Template
from flowreel.pipeline.storage import FileInfo, Store
from flowreel.schemas.errors import SourceError

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


def list_matching(store: Store, templates: Sequence[str]) -> list[pa.Table]:
    """Lists, for each template, the files that match it: columns FILES.

    Raises SourceError for names that are not UTF-8, StorageError for those that no store accepts.
    """
    parsed = [Template(text) for text in templates]
    found: list[list[pa.Table]] = [[] for _ in parsed]
    for prefix in _outermost({template.prefix for template in parsed}):
        for page in _larger(store.pages(prefix)):
            files = _columns(store, page)
            for template, tables in zip(parsed, found, strict=True):
                tables.append(_matching(files, template))
    whole = [pa.concat_tables([FILES.empty_table(), *tables]).combine_chunks() for tables in found]
    for table in whole:
        odd = table.filter(pc.match_substring_regex(table["path"], r"[\\\x00-\x1f\x7f]"))
        for path in odd["path"].slice(0, 1).to_pylist():
            store.url(path)  # raises
    return whole


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
    table = files
    for place, name in enumerate(("sequence", "frame")):
        table = table.add_column(place, name, pc.struct_field(parts, name))
    return table.filter(pc.is_valid(parts)).cast(FILES)
