"""Reference files of encodings: what is drawn and how large pictures become."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.generator.images import target_size
from tests.golden.vectors import Difference, Unusable, Vector


@dataclass(frozen=True)
class Encoded:
    """What was compared, and arrays of the file that nothing is known about."""

    differences: list[Difference]
    unknown: list[str]


def check_sizes(vector: Vector) -> Encoded:
    """A table of target sizes; every row is a comparison, off by the largest of its two sides."""
    columns, wanted = vector.settings["columns"], {"resize_or_crop", "width", "height", "loadSize"}
    if set(columns) != wanted | {"new_width", "new_height"}:
        raise Unusable(f"columns {columns} are not those of a table of sizes")
    differences = []
    for row in vector.settings["rows"]:
        c = dict(zip(columns, row, strict=True))
        w, h = target_size((c["width"], c["height"]), c["resize_or_crop"], c["loadSize"])
        error = max(abs(w - c["new_width"]), abs(h - c["new_height"]))
        what = f"{c['width']}x{c['height']} {c['resize_or_crop']} {c['loadSize']}"
        differences.append(Difference(what, "size", error, 0))
    return Encoded(differences, [f"setting {name}" for name in set(vector.settings) - {"columns", "rows"}])


ENCODINGS: dict[str, Callable[[Vector], Encoded]] = {"sizes": check_sizes}
