"""`where`: chooses frames of a manifest, pushed down to its row groups."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from flowreel.pipeline.dataset.checked_table import check_values
from flowreel.pipeline.dataset.versions import MANIFEST_FILE, Version
from flowreel.schemas.errors import IntegrityError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import MANIFEST
from flowreel.schemas.rules import MANIFEST_RULES

Expression: TypeAlias = Any  # pyarrow.compute.Expression: pyarrow has no types
Where: TypeAlias = Expression | Mapping[str, Any] | None
CLASSES = "classes"  # key of `where`: class (name or id) -> least pixels of it in a frame
WHOLE_BYTES = 2**20
_LISTS = ["class_ids", "class_pixels"]


@dataclass(frozen=True)
class Filter:
    """Conditions that must all hold for a frame."""

    expression: Expression | None
    least_pixels: dict[int, int]  # per class id

    @classmethod
    def of(cls, where: Where, space: LabelSpace) -> "Filter":
        """Parses ``where``: an expression over manifest columns, or {column: value or list of values}, with the key
        ``classes`` for {class: least pixels}. Raises UsageError for unknown columns and classes."""
        if where is None or isinstance(where, pc.Expression):
            return cls(where, {})
        parts, least = [], {}
        for name, wanted in where.items():
            if name == CLASSES:
                least = {_class_id(space, key): int(pixels) for key, pixels in wanted.items()}
                continue
            if name not in MANIFEST.names or pa.types.is_list(MANIFEST.field(name).type):
                scalar = [f.name for f in MANIFEST if not pa.types.is_list(f.type)]
                raise UsageError(f"where: {name!r} is none of {', '.join([*scalar, CLASSES])}")
            values = wanted if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
            parts.append(pc.field(name).isin(pa.array(list(values), MANIFEST.field(name).type)))
        expression = None
        for part in parts:
            expression = part if expression is None else expression & part
        return cls(expression, least)

    def read(self, version: Version, columns: list[str]) -> pa.Table:
        """Reads columns of the manifest rows that pass, in manifest order. Row groups that cannot hold any are
        skipped."""
        wanted = columns + [name for name in _LISTS if self.least_pixels and name not in columns]
        parts = [MANIFEST.empty_table().select(wanted)]
        if self.expression is None:
            parts += map(self._passed, version.manifest_parts(wanted))
            return pa.concat_tables(parts).select(columns)
        there = version.manifest_columns()
        url = version.url(MANIFEST_FILE)
        try:
            with _opened(version) as source:
                fragment = ds.ParquetFileFormat().make_fragment(pa.PythonFile(source, "r"))
                for batch in fragment.scanner(columns=wanted, filter=self.expression, use_threads=False).to_batches():
                    rows = pa.Table.from_batches([batch])
                    check_values(rows, f"{url}, of the rows that pass `where`", MANIFEST_RULES)
                    parts.append(self._passed(rows))
        except IntegrityError:
            for _ in version.manifest_parts(wanted):  # names the row
                continue
            raise
        except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError) as error:
            for _ in version.manifest_parts(there):  # is it the file?
                continue
            raise UsageError(f"where does not fit the columns of {url}: {error}") from None
        except (pa.ArrowException, OSError) as error:
            raise IntegrityError(f"{url}: damaged: {error}; `flowreel verify` lists all damage") from None
        return pa.concat_tables(parts).select(columns)

    def _passed(self, rows: pa.Table) -> pa.Table:
        """Gives the rows with enough pixels of every wanted class."""
        return rows.filter(pa.array(self._enough(rows))) if self.least_pixels else rows

    def _enough(self, rows: pa.Table) -> NDArray[np.bool_]:
        """Tells which frames hold enough pixels of every wanted class."""
        ids_list = rows["class_ids"].combine_chunks()
        pixels = rows["class_pixels"].combine_chunks().flatten().to_numpy()
        ids, row = ids_list.flatten().to_numpy(), pc.list_parent_indices(ids_list).to_numpy()
        enough = np.ones(len(rows), np.bool_)
        for class_id, least in self.least_pixels.items():
            found = np.zeros(len(rows), np.int64)
            found[row[ids == class_id]] = pixels[ids == class_id]
            enough &= found >= least
        return enough


def _opened(version: Version) -> io.IOBase:
    """Opens the manifest: a small one is read in one request, of a large one only what is needed."""
    size = version.record.files[MANIFEST_FILE].size
    if size <= WHOLE_BYTES:
        return io.BytesIO(version.read(MANIFEST_FILE))
    return version.dataset.open_input(version.path(MANIFEST_FILE), size)


def _class_id(space: LabelSpace, key: int | str) -> int:
    try:
        return space.resolve(key)
    except ValueError as error:
        raise UsageError(f"where: {error}") from None
