"""Outputs of networks against a reference file: every array in it, at the specification's tolerances (section 12.3)."""

from typing import Any

import numpy as np
import torch

from flowreel.pipeline.generator.conditioning import to_uint8
from tests.golden.vectors import (
    FLOAT32_FACTOR,
    FLOAT32_LEAST,
    FLOAT64,
    TIE,
    U8_SHARE,
    Array,
    Difference,
    Unusable,
    Vector,
    compare,
)

Outputs = dict[str, Array]  # array name -> all values, (output frames, channels, height, width), float64


def unknown_arrays(vector: Vector, inputs: set[str], found: Outputs) -> list[str]:
    """Arrays that are no known input and that nothing was compared with."""
    known = inputs | set(found) | {f"{name}_f64" for name in found} | ({"final_u8"} if "final" in found else set())
    return sorted(set(vector.arrays) - known)


def compare_float64(vector: Vector, found: Outputs) -> list[Difference]:
    """``found`` in float64: the stored float64 values to 1e-9, float32 values to their rounding, all by summary."""
    differences = []
    for name in (name for name in found if name in vector.arrays):
        if f"{name}_f64" in vector.arrays:
            part = found[name][..., 1::8, 2::8]
            differences.append(compare("float64", name, part, vector.arrays[f"{name}_f64"], FLOAT64))
        stored = vector.arrays[name]
        rounding = np.spacing(np.abs(stored)).astype(np.float64) / 2 + FLOAT64
        differences.append(compare("float32-stored", name, stored_part(vector, name, found[name]), stored, rounding))
    for name, expected in vector.notes.get("summary", {}).items():
        if name not in found:
            raise Unusable(f"the summary is of {name}, which is not made here")
        differences += _compare_summary(name, found[name], expected)
    if "final_u8" in vector.arrays:
        differences.append(_compare_bytes(found["final"], vector.arrays["final_u8"]))
    return differences


def compare_float32(vector: Vector, found: Outputs) -> list[Difference]:
    """``found`` in float32: per frame ten times what the reference is off in float32, at least 1e-5."""
    official = vector.notes.get("official_float32_max_abs_diff", {})
    differences = []
    for name in (name for name in found if name in vector.arrays):
        if name not in official:
            raise Unusable(f"the file does not say how far float32 is off in {name}")
        stored = vector.arrays[name]
        bound_N = np.maximum(FLOAT32_LEAST, FLOAT32_FACTOR * np.array(official[name]))
        if len(bound_N) != len(stored):
            raise Unusable(f"the file says how far float32 is off for {len(bound_N)} of {len(stored)} frames of {name}")
        bound = np.broadcast_to(bound_N.reshape(-1, *[1] * (stored.ndim - 1)), stored.shape)
        differences.append(compare("float32", name, stored_part(vector, name, found[name]), stored, bound))
    if "final_u8" in vector.arrays:
        image, stored = _bytes(found["final"]), vector.arrays["final_u8"]
        differences.append(compare("float32 levels", "final_u8", image, stored, 1))
        allowed = max(U8_SHARE, float(np.mean(official["final"])) * 255 / 2)
        share = float(np.mean(image != stored))
        differences.append(Difference("final_u8", "float32 share of other levels", share, allowed))
    return differences


def stored_part(vector: Vector, name: str, full: Array) -> Array:
    """The pixels of a full array that the file holds under this name."""
    stride = vector.settings.get("stored_stride", {}).get(name, 1)
    if stride not in (1, 2):
        raise Unusable(f"stored_stride {stride} of {name} is neither 1 nor 2")
    return full[..., ::2, 1::2] if stride == 2 else full


def _compare_summary(name: str, full: Array, expected: dict[str, Any]) -> list[Difference]:
    """Each to what 1e-9 per value can change it by."""
    largest = float(np.abs(full).max())
    found = {
        "mean": (full.mean(), 1.0),
        "std": (full.std(), 1.0),
        "abs_max": (largest, 1.0),
        "sum": (full.sum(), full.size),
        "sumsq": (np.square(full).sum(), 2 * full.size * max(1.0, largest)),
    }
    if unknown := set(expected) - set(found):
        raise Unusable(f"the summary of {name} has unknown entries {sorted(unknown)}")
    return [
        Difference(f"{name} {key}", "summary", abs(float(found[key][0]) - value) / found[key][1], FLOAT64)
        for key, value in expected.items()
    ]


def _bytes(image: Array) -> Array:
    return to_uint8(torch.from_numpy(image)).numpy()


def _compare_bytes(image: Array, stored: Array) -> Difference:
    """Exact, but one level up or down where the value is a whole level but for rounding."""
    level = (image + 1) / 2 * 255
    tie = np.abs(level - level.round()) < TIE
    return compare("bytes", "final_u8", _bytes(image), stored, tie.astype(np.float64))
