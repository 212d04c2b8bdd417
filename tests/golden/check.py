"""Checks Flowreel against a folder of reference vectors: ``python -m tests.golden.check FOLDER``.

One line per file on stdout, progress on stderr; ends with 0 only if every file passes and there is one.
"""

import argparse
import resource
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from tests.golden import training_log
from tests.golden.encodings import ENCODINGS
from tests.golden.engines import ENGINES, Engine, plain
from tests.golden.networks import (
    IMAGE_INPUTS,
    VIDEO_INPUTS,
    build_image,
    build_video,
    image_outputs,
    video_outputs,
)
from tests.golden.outputs import compare_float32, compare_float64, unknown_arrays
from tests.golden.training import train
from tests.golden.vectors import Report, Unusable, Vector, find_weights, read_vector

NOT_VECTORS = {"golden_weights.py", "__pycache__"}


@dataclass(frozen=True)
class How:
    """What is checked, and with what."""

    weights: ModuleType | None  # none was found: files of networks cannot be checked
    missing: str = ""  # says where it was looked for
    engine: Engine = plain
    float64: bool = True
    float32: bool = False


def check_file(path: Path, how: How) -> Report:
    """Everything in one file. What goes wrong is in the report; nothing is raised."""
    report = Report(path.stem)
    try:
        check_vector(read_vector(path), how, report)
    except Unusable as error:
        report.problems.append(str(error))
    except Exception as error:
        traceback.print_exc()
        report.problems.append(f"{type(error).__name__}: {error}")
    return report


def check_vector(vector: Vector, how: How, report: Report) -> None:
    if vector.kind in ENCODINGS:
        found = ENCODINGS[vector.kind](vector)
        report.differences += found.differences
        report.problems += found.problems
    elif how.weights is None:
        raise Unusable(how.missing)
    elif vector.kind == "training":
        _check_training(vector, how, how.weights, report)
    else:
        _check_network(vector, how, how.weights, report)


def _check_training(vector: Vector, how: How, weights: ModuleType, report: Report) -> None:
    """Engines only render: training is the same with all of them."""
    for dtype in _types(how):
        run = train(vector, weights, dtype)
        report.problems = training_log.unknown_contents(vector, run)
        double = dtype == torch.float64
        compared = training_log.compare_float64 if double else training_log.compare_float32
        report.differences += compared(vector, run)


def _types(how: How) -> list[torch.dtype]:
    """Float64 first: weights are float32 numbers, so networks can be made smaller."""
    return [torch.float64] * how.float64 + [torch.float32] * how.float32


def _check_network(vector: Vector, how: How, weights: ModuleType, report: Report) -> None:
    is_video, types = vector.kind == "video", _types(how)
    video = build_video(vector, weights, types[0]) if is_video else None
    images = None if is_video else build_image(vector, weights, types[0])
    inputs = VIDEO_INPUTS | {name for name in vector.arrays if name.startswith("features_")} if video else IMAGE_INPUTS
    for dtype in types:
        if video:
            found = video_outputs(vector, video.to(dtype), how.engine, dtype)
        else:
            assert images is not None
            found = image_outputs(vector, images.to(dtype), dtype)
        report.problems = [f"unknown array {name}" for name in unknown_arrays(vector, inputs, found)]
        compared = compare_float64 if dtype == torch.float64 else compare_float32
        report.differences += compared(vector, found)


def check_folder(folder: Path, how: How) -> list[Report]:
    """A report per file, in the order of names, told on stdout as soon as it is there."""
    reports = []
    paths = sorted(path for path in folder.iterdir() if path.name not in NOT_VECTORS)
    for number, path in enumerate(paths, 1):
        print(f"[{number}/{len(paths)}] {path.name} ...", file=sys.stderr, flush=True)
        began = time.perf_counter()
        reports.append(check_file(path, how))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        seconds = time.perf_counter() - began
        print(f"    {seconds:.1f} s, largest memory so far {peak:.1f} GiB", file=sys.stderr, flush=True)
        print(reports[-1].line, flush=True)
    return reports


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden.check", description=__doc__)
    parser.add_argument("folder", type=Path, help="reference vectors: .npz and .json files")
    parser.add_argument("--weights", type=Path, help="golden_weights.py; otherwise above or in the folder")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="plain", help="what renders the clips")
    parser.add_argument("--float32", action="store_true", help="float32 as well, at its own tolerances")
    parser.add_argument("--no-float64", action="store_true", help="float32 alone, for engines that know no other")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        print(f"FAIL     {given.folder} is not a folder")
        return 1
    weights, missing = None, ""
    try:
        weights = find_weights(given.folder, given.weights)
    except Unusable as error:
        missing = str(error)
        print(missing, file=sys.stderr)
    float32 = given.float32 or given.no_float64
    how = How(weights, missing, ENGINES[given.engine], float64=not given.no_float64, float32=float32)
    reports = check_folder(given.folder, how)
    passed = sum(report.ok for report in reports)
    good = bool(reports) and passed == len(reports)
    print(f"{'ok' if good else 'FAIL':<7}  {passed} of {len(reports)} files pass: {given.folder}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
