"""The generator benchmark's numbers as Markdown, and where they are put in a README."""

import platform
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import torch

from flowreel.schemas.errors import UsageError

BEGIN, END = "<!-- benchmarks/generator.py -->", "<!-- end -->"
Result = dict[str, Any]


def machine() -> Result:
    """What decides speed, besides the code."""
    return {
        "cpu": _cpu(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numba": numba.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
    }


def markdown(result: Result) -> str:
    """Headline, table, and what the numbers mean."""
    parts = [_wrapped(_headline(result)), _speed_table(result), _wrapped(" ".join(_notes(result)))]
    if deviation := result["deviation"]:
        parts += [_wrapped(_deviation_headline(deviation)), _deviation_table(deviation)]
    return "\n\n".join(parts) + "\n"


def in_readme(text: str, table: str) -> str:
    """``text`` with ``table`` between the markers. Raises UsageError without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"--readme: no line {BEGIN} with a line {END} after it; add them where the table belongs")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _headline(result: Result) -> str:
    subject, machine_, settings = result["subject"], result["machine"], result["settings"]
    width, height = subject["size"]
    flop, weights = subject["plain_flop_per_frame"] / 1e9, subject["parameters"] / 1e6
    return (
        f"{machine_['cpu']} ({machine_['vectors']}), {_count(settings['threads'], 'thread')}, PyTorch"
        f" {machine_['torch']}, {result['date']}. **{subject['name']}, {width}x{height}**: {weights:.1f} M weights,"
        f" {flop:.1f} GFLOP a frame; {subject['content']}."
    )


def _speed_table(result: Result) -> str:
    names = ["path", "clips at once", "s per frame", "frames/s", "times as fast", "GFLOP/s", "of matmul peak"]
    rows = [[*names, "peak memory, MB", "of it for rendering, MB"]]
    for row in result["variants"]:
        low, high = min(row["ratios"]), max(row["ratios"])
        memory = row["memory"]
        rows.append(
            [
                f"{row['kind']}, {row['precision']}",
                str(row["batch"]),
                f"{row['seconds_per_frame']:.3g}",
                f"{row['frames_per_s']:.3g}",
                "1" if row["kind"] == "original" else f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})",
                f"{row['effective_flop_s'] / 1e9:.0f}",
                f"{row['share_of_matmul']:.0%}",
                *([f"{memory['peak_mb']:.0f}", f"{memory['increase_mb']:.0f}"] if memory else ["", ""]),
            ]
        )
    return _table(rows)


def _notes(result: Result) -> Iterator[str]:
    settings = result["settings"]
    rounds, frames = _count(settings["rounds"], "round"), _count(settings["frames"], "frame")
    yield f"Medians of {rounds} of {frames} a clip, all variants in turn in each; in brackets, the ratio in the rounds"
    yield "where it was least and greatest. Time is from label maps in memory to 8-bit frames in memory. GFLOP/s are"
    yield "effective: the convolutions of the plain networks by the time taken, though the fast path calculates less."
    yield "`original` stands for the original implementation: its operations with the same weights, by today's PyTorch."
    yield _peaks(result)
    share = result["subject"]["foreground_share"]
    if share is not None:
        yield f"{share:.0%} of the frames show foreground; the fast path leaves its branch out of the others."
    if any(row["memory"] for row in result["variants"]):
        yield "Memory is resident; what is for rendering came after the libraries and the plain weights were loaded."
    for precision, per_clip in result["per_clip_mb"].items():
        if per_clip is not None:
            yield f"One more clip at once takes {per_clip:.0f} MB ({precision})."
    for precision, spent in result["preparation"].items():
        yield _preparation(precision, spent)


def _peaks(result: Result) -> str:
    side = result["settings"]["matmul_side"]
    peaks = [f"{flop_s / 1e9:.0f} GFLOP/s in {precision}" for precision, flop_s in result["matmul_flop_s"].items()]
    return f"Peak: `torch.mm` of {side}x{side} matrices in the same run, {', '.join(peaks)}."


def _preparation(precision: str, spent: Result) -> str:
    loops = ", ".join(f"{spent[name]} {name}" for name in ("compiled", "loaded") if spent[name])
    return (
        f"Before its first frame, the fast path in {precision} takes {spent['build_s']:.1f} s for its weights"
        + (f" and {spent['kernels_s']:.1f} s for its loops ({loops})" if loops else "")
        + "."
    )


def _deviation_headline(deviation: Result) -> str:
    width, height = deviation["size"]
    return (
        f"Deviation from the plain networks in float64, before frames are rounded to 8 bits: {deviation['name']},"
        f" {width}x{height}, {_count(deviation['frames'], 'frame')}, {deviation['content']}."
    )


def _deviation_table(deviation: Result) -> str:
    rows = [["path", "PSNR, worst frame, dB", "mean, dB", "furthest value, 8-bit levels"]]
    for row in deviation["rows"]:
        path, summary = f"{row['kind']}, {row['precision']}", row["summary"]
        if summary is None:
            rows.append([path, row["failed"].replace("|", "/"), "", ""])
        else:
            worst = f"{summary['worst_db']:.1f} (frame {row['psnr_T'].index(summary['worst_db'])})"
            rows.append([path, worst, f"{summary['mean_db']:.1f}", f"{row['furthest']:.2g}"])
    return _table(rows)


def _table(rows: list[list[str]]) -> str:
    """The first row is the head; columns without any content are left out."""
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    lines = ["| " + " | ".join(row[i] for i in kept) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(kept), *lines[1:]])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
