"""The numbers of an evaluation as Markdown."""

import textwrap
from collections.abc import Iterator
from typing import Any

Result = dict[str, Any]
COLUMNS = (
    ("warp error", "warp_error", ".4f"),
    ("along real flow", "warp_error_real_flow", ".4f"),
    ("in pixels", "misalignment", ".3f"),
    ("sharpness", "sharpness", ".2f"),
    ("pixel grid", "grid", ".2f"),
    ("pixel accuracy", "pixel_accuracy", ".1%"),
    ("mIoU", "mean_iou", ".1%"),
)


def markdown(result: Result) -> str:
    """Gives a headline, the table of methods, drift and diversity, and what the numbers mean."""
    parts = [_wrapped(_headline(result)), _methods(result), _wrapped(" ".join(_comparisons(result)))]
    parts += [_drift(result), _wrapped(" ".join(_notes(result)))]
    parts += [f"- {notice}" for notice in result["notices"]]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(result: Result) -> str:
    width, height = result["size"]
    frames = ", ".join(f"{name} ({length} frames)" for name, length in result["sequences"].items())
    return f"{width}x{height}, {result['parameters'] / 1e6:.1f} M weights, measured on {frames}."


def _methods(result: Result) -> str:
    rows = [["", *(f"{name} (x real)" for name, _, _ in COLUMNS), "L1 to real"]]
    for name, found in result["methods"].items():
        cells = [f"{found[key]:{form}} ({found['relative'][key]:.2f})" for _, key, form in COLUMNS]
        rows.append([name, *cells, f"{found['l1']:.4f}"])
    return _table(rows)


def _comparisons(result: Result) -> Iterator[str]:
    """Compares our warp error with each baseline's."""
    _, ours, *baselines = result["methods"].items()
    for name, found in baselines:
        for key, along in (("warp_error", "along their own flow"), ("warp_error_real_flow", "along real flow")):
            less = 1 - ours[1][key] / max(found[key], 1e-9)
            how = f"{less:.0%} below" if less >= 0 else f"{-less:.0%} above"
            yield f"Warp error of {ours[0]} {along}: {how} that of {name}."


def _drift(result: Result) -> str:
    rows = [["drift, last second against first, beyond the real frames'", "colour, levels", "contrast", "sharpness"]]
    rows[0].append("warp error")
    for length, found in result["drift"].items():
        ratios = [f"x {found[name]:.2f}" for name in ("contrast", "sharpness", "warp_error")]
        rows.append([f"{length} frames", f"{found['color']:.1f}", *ratios])
    return _table(rows)


def _notes(result: Result) -> Iterator[str]:
    found = result["diversity"]
    if found:
        yield f"Diversity: renders of the same labels in {found['styles']} styles (from nothing, and after first frames"
        yield f"of other sequences) differ by {found['whole']:.3f} on average, in the last second by"
        yield f"{found['last_second']:.3f} (mean absolute difference, 0 to 1)."
    yield "Warp error: mean absolute difference, 0 to 1, of a frame to the one before it moved along DIS flow, where"
    yield "flow forwards and backwards agree; along the video's own flow, and along that of the real frames. In pixels:"
    yield "divided by the mean gradient, as blur lowers warp errors. Sharpness: mean absolute Laplacian, in 8-bit"
    yield "levels; below 1 x real is blur, above is grain. Accuracy and mIoU: a segmenter trained on real frames of"
    yield f"{', '.join(result['segmenter']['sequences'])} against the labels, where it knows the class. All start from"
    yield "nothing. Frames beyond a sequence's last are its labels backwards and forwards again; a second is"
    yield f"{result['second']} frames."


def _table(rows: list[list[str]]) -> str:
    """Writes rows as a Markdown table; the first one is the head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)
