"""Lists many folders at the same time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from operator import attrgetter

from flowreel.pipeline.storage.protocol import FileInfo

THREADS = 16
MAX_LEVELS = 3  # of folders that are listed one by one to find enough to list at the same time
MAX_FOLDERS = 16  # per task: one task each would cost more than listing a small folder on a disk

Level = tuple[list[FileInfo], list[str]]  # files, names of folders


def list_pages(
    folder: str, level: Callable[[str], Level], walk: Callable[[str], list[FileInfo]]
) -> Iterator[list[FileInfo]]:
    """Yields all files below a folder, page by page, as they arrive. ``level`` lists what lies directly in a folder,
    ``walk`` everything below it."""
    loose, folders = level(folder)
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(MAX_LEVELS):  # a few folders that hold many, such as train/ and val/
            if len(folders) >= THREADS:
                break
            below = list(pool.map(level, folders))
            loose += [info for files, _ in below for info in files]
            folders = [name for _, names in below for name in names]
        yield sorted(loose, key=attrgetter("path"))
        size = max(1, min(MAX_FOLDERS, len(folders) // (4 * THREADS)))
        folders = sorted(folders)
        rest = (folders[i : i + size] for i in range(0, len(folders), size))
        while tasks := list(islice(rest, 4 * THREADS)):  # the pool would run ahead of its reader
            yield from pool.map(lambda names: [info for name in names for info in walk(name)], tasks)
