"""Reads `features.npy`: what the regions of the training images look like, one table of vectors per part label.

The file is an object array that holds a dictionary, which NumPy stores as a pickle. `np.load` would run whatever that
pickle says; here only arrays, numbers and dictionaries can come out of it.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from schemas.errors import CheckpointError

MAX_BYTES = 2**30  # the official one has 2 MB


def read_features(data: bytes, name: str) -> dict[int, NDArray[np.float32]]:
    """Tables by part label 0, 1, ...: (rows, Z), one row per training image.

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
        array = _Restricted(stream, name).load()
        return array.item() if isinstance(array, np.ndarray) and array.shape == () else array
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle makes its reader fail in any way
        raise CheckpointError(f"{name} is cut short, or no features.npy: {error}") from None


def _label(key: object, name: str) -> int:
    if isinstance(key, bool | np.bool) or not isinstance(key, int | np.integer):
        raise CheckpointError(f"{name}: {key!r:.60} is no part label; the dictionary's keys must be integers")
    return int(key)


def _table(label: object, value: object, name: str) -> NDArray[np.float32]:
    if not isinstance(value, np.ndarray) or value.ndim != 2 or not np.issubdtype(value.dtype, np.floating):
        what = f"an array {value.shape} of {value.dtype}" if isinstance(value, np.ndarray) else repr(value)[:60]
        raise CheckpointError(f"{name}, part label {label}: {what}; expected rows of floating-point numbers")
    if value.shape[0] < 1 or value.shape[1] < 2:
        raise CheckpointError(f"{name}, part label {label}: a table {value.shape}; the least is (1, 2)")
    if not np.isfinite(value).all():
        raise CheckpointError(f"{name}, part label {label}: NaN or infinite values; make the file again")
    return np.ascontiguousarray(value[:, :-1], np.float32)


_NDARRAY = "numpy.ndarray"  # stands for the class, which is only ever named, so that nothing can call it


def _reconstruct(subtype: object, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An empty array that its state then fills: what NumPy's pickles begin an array with."""
    if subtype is not _NDARRAY or tuple(shape) != (0,):
        raise pickle.UnpicklingError(f"no plain array: {subtype!r:.60}, {shape}")
    return np.empty(0, np.dtype(dtype))


def _scalar(dtype: np.dtype[Any], raw: bytes | str) -> Any:
    if dtype.hasobject:
        raise pickle.UnpicklingError(f"a single value of {dtype}")
    return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, dtype)[0]


def _frombuffer(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: str) -> NDArray[Any]:
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes in pickles that Python 3 wrote for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding}")
    return text.encode("latin1")


_NUMPY: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _frombuffer,
}
_ALLOWED: dict[str, Any] = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": np.dtype,
    "_codecs.encode": _encode,
    **{f"numpy.{core}.{key}": value for core in ("core", "_core") for key, value in _NUMPY.items()},
}


class _Restricted(pickle.Unpickler):
    """Knows the few names that arrays of numbers need, and stands for them itself where they take arguments."""

    def __init__(self, stream: io.BytesIO, name: str) -> None:
        super().__init__(stream, encoding="latin1")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        wanted = f"{module}.{name}"
        if wanted not in _ALLOWED:
            raise CheckpointError(
                f"{self._name} contains code: loading it would call {wanted}. It was refused and nothing was run;"
                " a features.npy holds a dictionary of arrays"
            )
        return _ALLOWED[wanted]
