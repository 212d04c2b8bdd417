"""Rendering on a CPU: the fast path and the plain networks against the original, in speed, memory and deviation.

    python -m benchmarks.generator                                      # the official label2city_1024_g1 at 512x256
    python -m benchmarks.generator --checkpoint bundled --size 256x128
    python -m benchmarks.generator --source SEQUENCES --precision --precision-frames 30 --readme benchmarks/README.md

Times are from label maps in memory to frames in memory (encoding, networks, 8-bit images). All variants are timed in
turn within one process, round by round, so that what else the machine does hits them alike; memory is measured in
processes of their own. The plain path gains from this process, too: the fast one makes the C library keep freed memory.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import timing
from benchmarks.common import count, size
from benchmarks.deviation import deviations
from benchmarks.memory import Memory, measure_apart, per_clip_mb
from benchmarks.original import OriginalEngine
from benchmarks.report import in_readme, machine, markdown
from benchmarks.subject import VIDEO_PRESETS, Subject, build_generator, make_clips
from benchmarks.timing import ORIGINAL, PLAIN, Prepared, Rounds, Variant, median, plain_flop, prepare, run_rounds
from flowreel.pipeline.generator.checkpoint import BUNDLED
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.engine import DTYPES, Engine, PlainEngine
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.schemas.errors import FlowreelError


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run(subject: Subject, args: argparse.Namespace) -> dict[str, Any]:
    """All that was measured, as it is written to the JSON file. Seconds, MB (10**6 bytes), FLOP/s, dB."""
    tell(f"{subject.name}, {subject.size[0]}x{subject.size[1]}: making networks and clips")
    generator = build_generator(subject)
    clips = make_clips(subject, generator.config, max(args.batches), generator.config.n_frames - 1 + args.frames)
    prepared = {precision: _prepared(generator, precision) for precision in args.timed}
    deviation = None  # before the long part, so that a source that is too short for it shows soon
    if args.precision is not None:
        deviation = _deviation(subject, args.precision, args.precision_frames)
    fast = [Variant("fast", precision, batch) for precision in args.timed for batch in args.batches]
    engines: dict[Variant, Engine] = {ORIGINAL: OriginalEngine(generator), PLAIN: PlainEngine(generator)}
    engines |= {variant: prepared[variant.precision].engine for variant in fast}
    rounds = run_rounds(engines, clips, args.rounds, tell)
    memory = {} if args.no_memory else {variant: _memory(subject, variant) for variant in engines}
    flop = plain_flop(generator.config, subject.size)
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "subject": {
            "name": subject.name,
            "content": subject.content(generator.config),
            "size": subject.size,
            "parameters": sum(p.numel() for p in generator.parameters()),
            "plain_flop_per_frame": flop,
            "foreground_share": _foreground_share(clips, generator.config),
        },
        "settings": {
            "frames": args.frames,
            "rounds": args.rounds,
            "threads": torch.get_num_threads(),
            "matmul_side": timing.MATMUL_SIDE,
        },
        "preparation": {precision: _without_engine(what) for precision, what in prepared.items()},
        "matmul_flop_s": {precision: rounds.matmul_flop_s(precision) for precision in rounds.matmul_s},
        "variants": [_row(variant, rounds, flop, memory.get(variant)) for variant in engines],
        "per_clip_mb": {precision: _per_clip_mb(precision, memory) for precision in args.timed},
        "deviation": deviation,
    }


def _prepared(generator: VideoGenerator, precision: str) -> Prepared:
    tell(f"preparing the fast path, {precision}; its loops are compiled if they are not in numba's cache")
    return prepare(generator, precision)


def _memory(subject: Subject, variant: Variant) -> Memory:
    tell(f"memory: {variant}")
    return measure_apart(subject, variant)


def _without_engine(prepared: Prepared) -> dict[str, Any]:
    names = ("build_s", "kernels_s", "compiled", "loaded")
    return {name: getattr(prepared, name) for name in names}


def _row(variant: Variant, rounds: Rounds, flop: int, memory: Memory | None) -> dict[str, Any]:
    """Numbers of one variant; ``seconds`` and ``ratios`` hold one per round."""
    seconds, ratios = rounds.seconds[variant], rounds.ratios(variant)
    effective = flop / median(seconds)
    return {
        **asdict(variant),
        "seconds": seconds,
        "seconds_per_frame": median(seconds),
        "frames_per_s": 1 / median(seconds),
        "ratios": ratios,
        "ratio": median(ratios),
        "effective_flop_s": effective,
        "share_of_matmul": effective / rounds.matmul_flop_s(variant.precision),
        "memory": None if memory is None else {**asdict(memory), "increase_mb": memory.increase_mb},
    }


def _per_clip_mb(precision: str, memory: Mapping[Variant, Memory]) -> float | None:
    fast = {v.batch: m.peak_mb for v, m in memory.items() if v.kind == "fast" and v.precision == precision}
    return per_clip_mb(list(fast), list(fast.values()))


def _foreground_share(clips: list[Conditioning], config: GeneratorConfig) -> float | None:
    """Share of the rendered frames that show any foreground: the fast path leaves its branch out of the others."""
    if not config.fg_labels or not config.label_nc:
        return None
    rendered = [label_HW for clip in clips for label_HW in clip.label_THW[config.n_frames - 1 :]]
    return sum(bool(np.isin(label_HW, config.fg_labels).any()) for label_HW in rendered) / len(rendered)


def _deviation(subject: Subject, precisions: list[str], frames: int) -> dict[str, Any]:
    """By trained weights, at the size that they were trained at: random ones show nothing that rounding could blur."""
    trained = subject if subject.checkpoint else replace(subject, checkpoint=BUNDLED)
    config = build_generator(trained).config
    trained = replace(trained, size=config.size or subject.size)
    rows = []
    for found in deviations(trained, precisions or list(DTYPES), frames, tell):
        summary = None if found.failed else {"worst_db": found.worst_db, "mean_db": found.mean_db}
        rows.append({**asdict(found), "summary": summary})
    content = trained.content(config)
    return {"name": trained.name, "content": content, "size": trained.size, "frames": frames, "rows": rows}


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what is rendered")
    what.add_argument("--preset", choices=VIDEO_PRESETS, default="label2city_1024_g1", help="with random weights")
    what.add_argument("--ngf", type=count, help="base width instead of the preset's")
    what.add_argument("--checkpoint", help="a trained checkpoint's folder or `bundled`, instead of a preset")
    what.add_argument("--size", type=size, default=(512, 256), metavar="WxH", help="in pixels (512x256)")
    what.add_argument("--source", type=Path, metavar="FOLDER", help="real sequences: SEQUENCE/labels, /instances")
    how = parser.add_argument_group("how it is measured")
    how.add_argument("--batches", type=count, nargs="+", default=[1, 4, 8], help="clips at once, for the fast path")
    how.add_argument("--frames", type=count, default=8, help="rendered of each clip in a round (8)")
    how.add_argument("--rounds", type=count, default=3, help="in which all variants take turns (3)")
    how.add_argument("--threads", type=count, help="of PyTorch (as many as it chooses)")
    how.add_argument("--timed", nargs="+", choices=DTYPES, default=["float32"], help="precisions of the fast path")
    how.add_argument("--no-memory", action="store_true", help="leave out memory, which needs Linux and time")
    how.add_argument("--precision", nargs="*", choices=DTYPES, help="measure deviation too, in these precisions or all")
    how.add_argument("--precision-frames", type=count, default=6, help="that deviation is measured on (6)")
    out = parser.add_argument_group("where it goes, besides standard output")
    out.add_argument("--json", type=Path, metavar="FILE")
    out.add_argument("--markdown", type=Path, metavar="FILE")
    out.add_argument("--readme", type=Path, metavar="FILE", help="replaces what stands between its markers")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> None:
    args = _arguments(given)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        if args.readme:
            in_readme(args.readme.read_text(), "")  # raises if there is no place for the table
        result = run(Subject(args.preset, args.size, args.checkpoint, args.ngf, args.source), args)
    except FlowreelError as error:
        sys.exit(str(error))
    table = markdown(result)
    print(table)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    if args.markdown:
        args.markdown.write_text(table)
    if args.readme:
        args.readme.write_text(in_readme(args.readme.read_text(), table))


if __name__ == "__main__":
    main()
