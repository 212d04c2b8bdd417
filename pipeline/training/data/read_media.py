"""Reads the bytes of frames, from files of a source or from data files of a published dataset."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from flowreel.pipeline.dataset.row_group import read_row_group
from flowreel.pipeline.sources.verified_read import read_unchanged
from flowreel.pipeline.storage import Store
from flowreel.pipeline.training.data.sequences import Cell, Medium
from flowreel.schemas.errors import IntegrityError, SourceError
from flowreel.schemas.sequence import SourceFile

READERS = 8  # requests in flight, per clip


def read_media(store: Store, media: Sequence[Medium]) -> dict[Medium, bytes | None]:
    """Reads the bytes of each medium; None for empty cells. A row group's column is read once, however many of its
    cells are wanted.

    Raises SourceError for what is gone, has changed or is damaged.
    """
    files = dict.fromkeys(m for m in media if isinstance(m, SourceFile))
    cells = sorted({m for m in media if isinstance(m, Cell)}, key=_column_of)
    columns = [list(group) for _, group in groupby(cells, key=_column_of)]
    with ThreadPoolExecutor(READERS) as pool:
        found: dict[Medium, bytes | None] = dict(pool.map(lambda file: (file, read_unchanged(store, file)), files))
        for parts in pool.map(lambda group: list(_cells(store, group)), columns):
            found.update(parts)
    return found


def _column_of(cell: Cell) -> tuple[str, int, str]:
    return cell.path, cell.row_group, cell.column


def _cells(store: Store, cells: list[Cell]) -> Iterator[tuple[Cell, bytes | None]]:
    """Yields cells of one column in one row group."""
    path, row_group, column = _column_of(cells[0])
    try:
        rows = read_row_group(store, path, row_group, [column])[column]
    except IntegrityError as error:
        raise SourceError(f"{error}; `flowreel verify` lists all damage") from None
    for cell in cells:
        if cell.row >= len(rows):
            where = f"{store.url(path)}, row group {row_group}"
            raise SourceError(f"{where}: the manifest names row {cell.row}, but it has {len(rows)}")
        media = rows[cell.row].as_py()
        yield cell, media["bytes"] if media else None
