"""COCO's panoptic JSON: which category each segment of a picture has, and which segments are instances."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

_MOST = 65535  # instance ids of 16 bits
Entry = tuple[str, str]  # a JSON, and the file_name that it lists
Parts = list[tuple[int, int, int]]  # of segments: id, category, iscrowd


@dataclass(frozen=True)
class Picture:
    """K segments of one picture, in order of their ids."""

    id_K: NDArray[np.int64]
    category_K: NDArray[np.int64]
    instance_K: NDArray[np.int64]  # 0: no single object


@dataclass(frozen=True)
class Segments:
    """Segments of the pictures that JSON files describe: by file name, and below the JSON's own name, as COCO's
    `panoptic_val2017.json` describes those in `panoptic_val2017/`. A text says why a name alone is not enough."""

    pictures: Mapping[str, Picture | str]
    count: int  # of pictures
    has_zero: bool  # whether a category has the id 0, which else stands for pixels of no segment

    def decode(self, rgba_HW4: NDArray[np.integer], path: str) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Gives categories and instances (H, W) of a picture. Raises ValueError for a picture or a segment that the
        JSON does not have."""
        if rgba_HW4.dtype != np.uint8:
            raise ValueError("16 bits per channel, where segment ids of three times 8 bits are needed")
        if clear := int((rgba_HW4[..., 3] < 255).sum()):
            raise ValueError(f"{clear:,} transparent pixels, which are of no segment")
        found = self._picture(path)
        wide = rgba_HW4.astype(np.int64)
        segment_HW = wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2]
        used_U, place = np.unique(segment_HW, return_inverse=True)
        row_U = np.searchsorted(found.id_K, used_U).clip(0, max(0, len(found.id_K) - 1))
        known_U = found.id_K[row_U] == used_U if len(found.id_K) else np.zeros(len(used_U), np.bool_)
        strange = used_U[~known_U & (used_U != 0)]
        if len(strange) or (self.has_zero and not known_U.all()):
            first = int(strange[0]) if len(strange) else 0
            pixels = int((segment_HW == first).sum())
            raise ValueError(f"{pixels:,} pixels of segment {first}, which the JSON does not list for this picture")
        tables = (np.where(known_U, column_K[row_U], 0) if len(found.id_K) else np.zeros(len(used_U), np.int64)
                  for column_K in (found.category_K, found.instance_K))  # fmt: skip
        category_HW, instance_HW = (table_U[place].reshape(segment_HW.shape).astype(np.uint16) for table_U in tables)
        return category_HW, instance_HW

    def problems(self, paths: Iterable[str]) -> Iterator[str]:
        """Yields pictures that would take the segments of one entry, as at most one of them is meant."""
        taken: dict[int, str] = {}
        for path in paths:
            found = self._entry(path)
            if isinstance(found, Picture) and (other := taken.setdefault(id(found), path)) != path:
                yield (
                    f"{path}: the panoptic JSON has one entry for it and {other}; write their folders into its"
                    " file_name, or leave one of them out"
                )

    def _picture(self, path: str) -> Picture:
        found = self._entry(path)
        if found is None:
            raise ValueError(f"not in the panoptic JSON, which lists {self.count:,} pictures")
        if isinstance(found, str):
            raise ValueError(found)
        return found

    def _entry(self, path: str) -> Picture | str | None:
        """Finds what describes a picture: the entry that shares most of the end of its path."""
        parts = PurePosixPath(path).parts
        names = ("/".join(parts[first:]) for first in range(len(parts)))
        return next((self.pictures[name] for name in names if name in self.pictures), None)


def of_files(files: Sequence[tuple[str, bytes]]) -> Segments:
    """Reads panoptic JSON files, (name, bytes) each. Raises ValueError for files that are none, or list a picture
    twice."""
    entries: dict[Entry, Parts] = {}
    stuff: set[int] = set()
    zero = False
    for name, data in files:
        try:
            tree = json.loads(data)
            for category in tree.get("categories", []):
                zero |= int(category["id"]) == 0
                if not category.get("isthing", 1):
                    stuff.add(int(category["id"]))
            for entry in tree["annotations"]:
                parts = [
                    (int(s["id"]), int(s["category_id"]), int(s.get("iscrowd", 0))) for s in entry["segments_info"]
                ]
                if entries.setdefault((name, str(entry["file_name"])), parts) != parts:
                    raise ValueError(f"it lists {entry['file_name']} twice, with other segments")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{name}: no panoptic JSON: {error!r}") from None
    return Segments(_by_name(_pictures(entries, stuff), entries), len(entries), zero)


def _by_name(pictures: Mapping[Entry, Picture], entries: Mapping[Entry, Parts]) -> dict[str, Picture | str]:
    """Gives pictures by file name and below each JSON's name; a text where JSON files say different things of one."""
    found: dict[str, Picture | str] = {}
    first: dict[str, Entry] = {}
    for entry, picture in pictures.items():
        json_name, name = entry
        for key in (name, f"{PurePosixPath(json_name).stem}/{name}"):
            other = first.setdefault(key, entry)
            found.setdefault(key, picture)
            if entries[other] != entries[entry]:
                found[key] = (
                    f"{other[0]} and {json_name} list other segments for '{name}'; name one of them in"
                    " source.encoding, or put the pictures of each into a folder of the JSON's name"
                )
    return found


def _pictures(entries: Mapping[Entry, Parts], stuff: set[int]) -> dict[Entry, Picture]:
    """Gives the pictures; instances keep their ids where 16 bits hold them, else are numbered within their folder."""
    objects: defaultdict[str, set[int]] = defaultdict(set)
    for (_, name), parts in entries.items():
        objects[name.rpartition("/")[0]].update(
            i for i, category, crowd in parts if not crowd and category not in stuff
        )
    numbers: dict[str, dict[int, int]] = {}
    for folder, ids in objects.items():
        if len(ids) > _MOST:
            raise ValueError(
                f"panoptic JSON: {len(ids):,} segments of things in folder '{folder}', more than 16 bits tell apart;"
                " file names need a folder per sequence"
            )
        keep = not ids or max(ids) <= _MOST
        numbers[folder] = {i: i if keep else n for n, i in enumerate(sorted(ids), 1)}
    found = {}
    for (json_name, name), parts in entries.items():
        number = numbers[name.rpartition("/")[0]]
        rows = [(i, c, 0 if crowd or c in stuff else number[i]) for i, c, crowd in sorted(parts)]
        columns = np.array(rows, np.int64).reshape(-1, 3)
        found[json_name, name] = Picture(columns[:, 0], columns[:, 1], columns[:, 2])
    return found
