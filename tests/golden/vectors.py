"""Reference vectors: files of inputs and of the outputs they must give, and how far a number may be off.

The specification's section 12 describes the files. They are recognised by what is in them, not by their names.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Kind = Literal["video", "image", "pose", "face", "sizes", "training"]

# The specification's section 12.3.
FLOAT64 = 1e-9  # against arrays that are stored in float64
TENSOR = 2e-7  # encoded pictures
FLOAT32_LEAST, FLOAT32_FACTOR = 1e-5, 10.0  # per frame: the factor times what the reference itself is off in float32
TIE = 1e-4  # levels: so close to a whole one, float32 rounding decides where truncation ends up
U8_SHARE = 0.01  # of the values may be off by a level in float32, or as many as the reference's difference can change


class Unusable(ValueError):
    """A file cannot be checked; says why."""


@dataclass(frozen=True)
class Vector:
    """One reference file."""

    name: str
    kind: Kind
    settings: dict[str, Any]
    arrays: dict[str, Array] = field(repr=False)
    notes: dict[str, Any] = field(repr=False)  # what the file says about its arrays: summary, stability

    def require(self, name: str) -> Array:
        if name not in self.arrays:
            raise Unusable(f"there is no array {name}")
        return self.arrays[name]


NOTES = {
    "summary",
    "official_float32_max_abs_diff",
    "official_float32_max_rel_diff",
    "perturbation_1e-12_max_abs_diff",
    "perturbation_1e-12_max_rel_diff",
}
KINDS: dict[str, Kind] = {
    "pose_encoding": "pose",
    "face_encoding": "face",
    "pix2pixHD": "image",
    "single_net": "image",
    "train": "training",
}


def read_vector(path: Path) -> Vector:
    """Raises Unusable for a file that is none of the known ones."""
    try:
        return _read_table(path) if path.suffix == ".json" else _read_arrays(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise error if isinstance(error, Unusable) else Unusable(f"not readable as a vector: {error}") from None


def _read_table(path: Path) -> Vector:
    table = json.loads(path.read_text())
    if not isinstance(table, dict) or not {"resize_or_crop", "new_width"} <= set(table.get("columns", [])):
        raise Unusable("no known kind of file: JSON without a table of sizes")
    return Vector(path.stem, "sizes", table, {}, {})


def _read_arrays(path: Path) -> Vector:
    if path.suffix != ".npz":
        raise Unusable("no known kind of file: neither .npz nor .json")
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    if "config" not in arrays:
        raise Unusable("no known kind of file: it has no config")
    settings = json.loads(str(arrays.pop("config")))
    notes = {name: json.loads(str(arrays.pop(name))) for name in NOTES & set(arrays)}
    kind = settings.get("kind", "video" if "final" in arrays else "")
    if kind != "video" and kind not in KINDS:
        raise Unusable(f"no known kind of file: kind {kind or 'not given'}, arrays {sorted(arrays)}")
    return Vector(path.stem, KINDS.get(kind, "video"), settings, arrays, notes)


def find_weights(folder: Path, given: Path | None = None) -> ModuleType:
    """The rule for the reference networks' weights, golden_weights.py. Raises Unusable.

    Looked for above ``folder``, in it, and in the shared folder (as in conftest).
    """
    shared = Path(os.environ.get("FLOWREEL_SHARED", Path(__file__).parents[3] / "shared"))
    places = [given] if given else [p / "golden_weights.py" for p in (folder.parent, folder, shared / "reference")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = " and ".join(str(place) for place in places)
        raise Unusable(f"golden_weights.py, which the networks' weights follow, is not there: looked for {looked}")
    spec = importlib.util.spec_from_file_location("golden_weights", found)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # leave nothing beside the vectors
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


@dataclass(frozen=True)
class Difference:
    """The worst place of one comparison."""

    what: str  # the array
    group: str  # what kind of comparison: numbers of a group are of one order
    error: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


def compare(group: str, what: str, found: Array, expected: Array, tolerance: Array | float) -> Difference:
    """``tolerance``: one, or one per value. Raises Unusable if the shapes differ or there is nothing to compare."""
    if found.shape != expected.shape or not expected.size:
        raise Unusable(f"{what} has shape {expected.shape} in the file, {found.shape} here")
    error = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    allowed = np.broadcast_to(np.asarray(tolerance, np.float64), error.shape)
    excess = np.where(np.isnan(error), np.inf, error / np.maximum(allowed, 1e-300))
    worst = np.unravel_index(int(excess.argmax()), error.shape)
    return Difference(what, group, float(error[worst]), float(allowed[worst]))


@dataclass
class Report:
    """What was found out about one file."""

    name: str
    differences: list[Difference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.differences) and not self.problems and all(d.ok for d in self.differences)

    @property
    def line(self) -> str:
        problems = self.problems or ([] if self.differences else ["nothing was compared"])
        worst = [_worst(self.differences, group) for group in dict.fromkeys(d.group for d in self.differences)]
        found = [
            f"{d.group} {d.error:.1e} in {d.what} (allowed {d.tolerance:.1e}){'' if d.ok else ' <-'}" for d in worst
        ]
        count = f"{len(self.differences)} comparisons"
        return f"{'ok' if self.ok else 'FAIL':<7}  {self.name}: " + "; ".join([*problems, *found, count])


def _worst(differences: Iterable[Difference], group: str) -> Difference:
    """The largest error against its tolerance."""
    return max(
        (d for d in differences if d.group == group), key=lambda d: (not d.ok, d.error / (d.tolerance or 1e-300))
    )
