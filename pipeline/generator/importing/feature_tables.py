"""Reads `features.npy`: features of the regions of the training images, one table of vectors per part label.

The file is an object array that holds a dictionary, which NumPy stores as a pickle: `np.load` would run whatever it
says, so it is read by `safe_unpickle`.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from flowreel.pipeline.generator.importing.safe_unpickle import Array, load_arrays
from flowreel.schemas.errors import CheckpointError

MAX_BYTES = 2**30  # the official one has 2 MB


def read_features(data: bytes, name: str) -> dict[int, NDArray[np.float32]]:
    """Reads tables by part label 0, 1, ...: (rows, Z), one row per training image.

    The file's last column, the region's share of the image, is left out (vid2vid does not use it either). Raises
    CheckpointError for anything but numbers in tables of one width, for gaps among the labels, for NaN.
    """
    tables = _load(data, name)
    if not isinstance(tables, Mapping) or not tables:
        raise CheckpointError(f"{name} holds no dictionary of part labels and tables, but {tables!r:.60}")
    found = {_label(key, name): _table(key, value, name) for key, value in tables.items()}
    if sorted(found) != list(range(len(found))):
        raise CheckpointError(f"{name} has tables for the part labels {sorted(found)}; they must be 0, 1, 2, ...")
    widths = {table.shape[1] for table in found.values()}
    if len(widths) > 1:
        raise CheckpointError(f"{name}: tables of {sorted(w + 1 for w in widths)} columns; all must have as many")
    return dict(sorted(found.items()))


def _load(data: bytes, name: str) -> Any:
    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if dtype != np.dtype(object) or shape != ():
            raise CheckpointError(f"{name} holds an array of {dtype} numbers {shape}, not a dictionary of tables")
        array = load_arrays(stream, name)
        return array.item() if isinstance(array, Array) else array
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle makes its reader fail in any way
        raise CheckpointError(f"{name} is cut short, or not a features.npy: {error}") from None


def _label(key: object, name: str) -> int:
    if isinstance(key, bool) or not isinstance(key, int):
        raise CheckpointError(f"{name}: {key!r:.60} is no part label; the dictionary's keys must be integers")
    return key


def _table(label: object, value: object, name: str) -> NDArray[np.float32]:
    if not isinstance(value, Array):
        raise CheckpointError(f"{name}, part label {label}: {value!r:.60}; expected an array")
    try:
        table = value.numpy()
    except ValueError as error:
        raise CheckpointError(f"{name}, part label {label}: damaged, or no table of numbers: {error}") from None
    if table.ndim != 2 or not np.issubdtype(table.dtype, np.floating):
        raise CheckpointError(
            f"{name}, part label {label}: an array {table.shape} of {table.dtype}; expected rows of floating-point"
            " numbers"
        )
    if table.shape[0] < 1 or table.shape[1] < 2:
        raise CheckpointError(f"{name}, part label {label}: a table {table.shape}; the least is (1, 2)")
    if not np.isfinite(table).all():
        raise CheckpointError(f"{name}, part label {label}: NaN or infinite values; make the file again")
    return np.ascontiguousarray(table[:, :-1], np.float32)
