"""Unpickles dictionaries of NumPy arrays without running anything, and without NumPy's own unpickling.

A pickle builds objects by calling what it names. Here the few names that arrays of numbers need stand for plain
records, which only remember what they are given; `Array.numpy` then checks it and makes the array.
"""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowreel.schemas.errors import CheckpointError

_NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


class Dtype:
    """A pickle's description of a dtype: a code such as `f4`, and then, as its state, the byte order."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        self.code, self.order = str(code), "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = str(state[1])

    @property
    def is_object(self) -> bool:
        return self.code.startswith("O")

    def numpy(self) -> np.dtype[Any]:
        """Makes the dtype. Raises ValueError for anything but numbers."""
        if self.code not in _NUMBERS or self.order not in ("<", ">", "=", "|"):
            raise ValueError(f"numbers of type {self.order}{self.code}")
        return np.dtype(("=" if self.order == "|" else self.order) + self.code)


class Array:
    """A pickle's description of an array."""

    def __init__(self) -> None:
        self.shape: Any = None
        self.dtype: Any = None
        self.fortran: Any = False
        self.data: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def item(self) -> Any:
        """Gives the only object of an array of objects with no dimensions. Raises ValueError for any other."""
        if not (isinstance(self.dtype, Dtype) and self.dtype.is_object and self.shape == () and len(self.data) == 1):
            raise ValueError("not an array that holds one dictionary")
        return self.data[0]

    def numpy(self) -> NDArray[Any]:
        """Makes an array of numbers. Raises ValueError if its parts do not fit together."""
        if not isinstance(self.dtype, Dtype) or not isinstance(self.shape, tuple):
            raise ValueError("an array without type or shape")
        if not all(isinstance(side, int) and side >= 0 for side in self.shape):
            raise ValueError(f"an array of shape {self.shape!r:.60}")
        dtype = self.dtype.numpy()
        flat = np.frombuffer(_bytes(self.data), dtype)
        return flat.reshape(self.shape, order="F" if self.fortran is True else "C")


def load_arrays(stream: io.BytesIO, name: str) -> Any:
    """Loads the pickle at the stream's position, with `Array` for arrays.

    Raises CheckpointError for a name that no array needs; other exceptions for a damaged pickle.
    """
    return _Restricted(stream, name).load()


class _Restricted(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, name: str) -> None:
        super().__init__(stream, encoding="latin1")  # Python 2 wrote bytes as text
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        wanted = f"{module}.{name}"
        if wanted not in _ALLOWED:
            raise CheckpointError(
                f"{self._name} contains code: loading it would call {wanted}. It was refused and nothing was run;"
                " a features.npy holds a dictionary of arrays"
            )
        return _ALLOWED[wanted]


def _reconstruct(subtype: object, shape: object, dtype: object) -> Array:
    """Makes an empty array, which its state fills afterwards."""
    return Array()


def _scalar(dtype: Dtype, data: object) -> int | float:
    number: int | float = np.frombuffer(_bytes(data), dtype.numpy()).reshape(()).item()
    return number


def _frombuffer(data: object, dtype: object, shape: object, order: object) -> Array:
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """Encodes bytes in pickles that Python 3 wrote for Python 2."""
    if encoding != "latin1":
        raise ValueError("text in another encoding")
    return _bytes(text)


def _bytes(data: object) -> bytes:
    if isinstance(data, str):
        return data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise ValueError("numbers that are not stored as bytes")
    return bytes(data)


_ALLOWED: dict[str, Any] = {
    "numpy.ndarray": "numpy.ndarray",  # only ever named, so it stands for itself: nothing can call a text
    "numpy.dtype": Dtype,
    "_codecs.encode": _encode,
}
for _core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
    _ALLOWED[f"{_core}.multiarray._reconstruct"] = _reconstruct
    _ALLOWED[f"{_core}.multiarray.scalar"] = _scalar
    _ALLOWED[f"{_core}.numeric._frombuffer"] = _frombuffer
