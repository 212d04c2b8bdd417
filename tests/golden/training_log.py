"""What training made against a reference file: every number in it, at the specification's tolerances (section 12.3)."""

import json
from typing import Any

import numpy as np

from tests.golden.outputs import stored_part
from tests.golden.training import INPUTS, Run
from tests.golden.vectors import FLOAT32_FACTOR, FLOAT64, Difference, Unusable, Vector, compare

FIELDS = {"log", "first_gradient_norms", "final_parameters", "state_dict_shapes"}
ENTRY = {"step", "first_frame_index", "losses", "temporal", "loss_G", "loss_D", "loss_D_T"}
OWN = {"L1"}  # terms of Flowreel's that the original does not have
LEAST = 1e-6  # terms below it are compared absolutely, gradients below 1
FLOAT32_LEAST, FLOAT32_STEPS = 1e-6, 2  # rounding grows from step to step
ADAM_EPS = 1e-8
NOISE = 1e-9  # gradients of biases in front of a norm are 0 but for rounding, which Adam makes steps of


def unknown_contents(vector: Vector, run: Run) -> list[str]:
    """What stands in the file and nothing was compared with."""
    arrays = set(vector.arrays) - INPUTS - FIELDS - set(run.first)
    entries = {name for line in _parsed(vector, "log") for name in line} - ENTRY
    return [f"unknown array {name}" for name in sorted(arrays)] + [f"unknown log entry {n}" for n in sorted(entries)]


def compare_float64(vector: Vector, run: Run) -> list[Difference]:
    """Everything."""
    differences = _compare_log(vector, run, [FLOAT64] * len(run.log))
    for name, found in run.first.items():
        if name in vector.arrays:
            stored = vector.arrays[name]
            rounding = np.spacing(np.abs(stored)).astype(np.float64) / 2 + FLOAT64
            differences.append(
                compare("float32-stored", name, stored_part(vector, name, found.double().numpy()), stored, rounding)
            )
    if "first_gradient_norms" in vector.arrays:
        differences += _compare_gradients(run.gradient_norms, _parsed(vector, "first_gradient_norms"))
    if "final_parameters" in vector.arrays:
        differences += _compare_parameters(vector, run)
    if "state_dict_shapes" in vector.arrays:
        differences += _compare_shapes(run.shapes, _parsed(vector, "state_dict_shapes"))
    return differences


def compare_float32(vector: Vector, run: Run) -> list[Difference]:
    """The log's first steps: ten times what the reference is off in float32."""
    official = vector.notes.get("official_float32_max_rel_diff")
    if official is None:
        raise Unusable("the file does not say how far float32 is off")
    return _compare_log(vector, run, [max(FLOAT32_LEAST, FLOAT32_FACTOR * off) for off in official[:FLOAT32_STEPS]])


def _parsed(vector: Vector, name: str) -> Any:
    return json.loads(str(vector.require(name)))


def _compare_log(vector: Vector, run: Run, tolerances: list[float]) -> list[Difference]:
    """As many steps as there are tolerances, relative."""
    log, differences = _parsed(vector, "log"), []
    if len(log) != len(run.log):
        raise Unusable(f"the log has {len(log)} steps, here there are {len(run.log)}")
    for line, found, tolerance in zip(log, run.log, tolerances, strict=False):
        expected = _flat(line)
        steps = [line["step"], line["first_frame_index"], len(line["temporal"])]
        if steps != [found["step"], found["first_frame_index"], found["groups"]]:
            raise Unusable(f"the log's step, first frame and time scales are {steps}, here {found}")
        for name in sorted((set(expected) | set(found["terms"])) - OWN):
            here, there = found["terms"].get(name, 0.0), expected.get(name, 0.0)
            error = abs(here - there) / max(abs(there), LEAST)
            differences.append(Difference(f"step {line['step']} {name}", "loss", error, tolerance))
    return differences


def _flat(line: dict[str, Any]) -> dict[str, float]:
    """A step's terms; temporal ones end in their time scale."""
    terms = {"loss_G": line["loss_G"], "loss_D": line["loss_D"]} | line["losses"]
    terms |= {f"{name}{s}": value for s, scale in enumerate(line["temporal"]) for name, value in scale.items()}
    return terms | {f"loss_D_T{s}": value for s, value in enumerate(line["loss_D_T"])}


def _compare_gradients(found: dict[str, float], expected: dict[str, float]) -> list[Difference]:
    """Parameters without a gradient count as 0."""
    return [
        Difference(name, "gradient", abs(found.get(name, 0.0) - norm) / max(norm, 1.0), FLOAT64)
        for name, norm in expected.items()
    ]


def _compare_parameters(vector: Vector, run: Run) -> list[Difference]:
    """Relative to the sum of absolute values, and what Adam makes of gradients that are only rounding."""
    settings, differences = vector.settings, []
    for label, expected in _parsed(vector, "final_parameters").items():
        if unknown := set(expected) - {"param_sum", "param_abs_sum"}:
            raise Unusable(f"final_parameters of {label} has unknown entries {sorted(unknown)}")
        noise = 0.0
        for name, norm in run.gradient_norms.items():
            if name.startswith(f"{label}.") and norm < NOISE:
                numbers = int(np.prod(run.shapes[label][name.removeprefix(f"{label}.")]))
                noise += numbers * min(1.0, FLOAT32_FACTOR * norm / ADAM_EPS)
        drift = noise * settings.get("lr", 2e-4) * len(run.log)
        scale = max(1.0, expected.get("param_abs_sum", 1.0))
        for name, value in expected.items():
            error = abs(run.parameters.get(label, {}).get(name, np.nan) - value)
            differences.append(Difference(f"{label} {name}", "parameters", error / scale, FLOAT64 + drift / scale))
    return differences


def _compare_shapes(found: dict[str, Any], expected: dict[str, Any]) -> list[Difference]:
    """Names and shapes."""
    differences = []
    for label in sorted(set(found) | set(expected)):
        here, there = found.get(label, {}), expected.get(label, {})
        other = sum(here.get(key) != there.get(key) for key in set(here) | set(there))
        differences.append(Difference(f"keys of {label}", "shapes", float(other), 0.0))
    return differences
