"""Label spaces in the files of other formats: COCO's categories, Mapillary's config, Replicator's labels."""

import re
from collections.abc import Sequence
from typing import Any

_RGBA = re.compile(r"\((\d+), ?(\d+), ?(\d+)(?:, ?(\d+))?\)")
_FIRST = ("BACKGROUND", "UNLABELLED")  # of Replicator, in every scene


def foreign_space(trees: Sequence[Any]) -> dict[str, Any] | None:
    """Gives the fields of a LabelSpace that JSON files of one format describe together; None if they do not.

    Raises ValueError if files disagree.
    """
    for read, name in ((_mapillary, "mapillary"), (_coco, "coco-panoptic"), (_replicator, "replicator")):
        found = [read(tree) for tree in trees]
        if all(classes is not None for classes in found):
            return {"name": name, "classes": _merged([classes for classes in found if classes is not None])}
    return None


def _mapillary(tree: Any) -> list[dict[str, Any]] | None:
    """Reads `config_*.json`: a class's id is its place in the list."""
    rows = _rows(tree.get("labels") if isinstance(tree, dict) else None, "readable", "color")
    if not rows:
        return None
    return [
        {
            "id": i,
            "name": row["readable"],
            "color": row["color"][:3],
            "kind": "thing" if row.get("instances") else "stuff",
            "ignore": not row.get("evaluate", True),
        }
        for i, row in enumerate(rows)
    ]


def _coco(tree: Any) -> list[dict[str, Any]] | None:
    """Reads `categories`, or a list of them; 0 is what no segment covers."""
    rows = _rows(tree.get("categories") if isinstance(tree, dict) else tree, "id", "name")
    if not rows:
        return None
    found = [
        {
            "id": row["id"],
            "name": row["name"],
            "color": row.get("color") or _colour(row["id"]),
            "kind": "thing" if row.get("isthing", 1) else "stuff",
        }
        for row in rows
    ]
    void = {"id": 0, "name": "unlabeled", "color": (0, 0, 0), "ignore": True}
    return found if any(row["id"] == 0 for row in found) else [void, *found]


def _replicator(tree: Any) -> list[dict[str, Any]] | None:
    """Reads `semantic_segmentation_labels_*.json`: colours or ids, each with its class."""
    if not isinstance(tree, dict) or not tree or not all(isinstance(v, dict) and "class" in v for v in tree.values()):
        return None
    found = []
    for key, value in tree.items():
        rgba, name = _RGBA.fullmatch(key), str(value["class"])
        if not rgba and not key.isdigit():
            return None
        color = tuple(map(int, rgba.groups()[:3])) if rgba else _colour(int(key))
        kind = "stuff" if name.upper() in _FIRST else "thing"
        number = None if rgba else int(key)
        found.append({"id": number, "name": name, "color": color, "kind": kind, "ignore": name.upper() in _FIRST})
    return found


def _merged(files: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Joins the classes of several files by name; those without an id are numbered by name, after the usual ones."""
    classes: dict[str, dict[str, Any]] = {}
    for row in (row for rows in files for row in rows):
        known = classes.setdefault(row["name"], row)
        if known["id"] != row["id"]:
            raise ValueError(f"class '{row['name']}' has the id {known['id']} in one file and {row['id']} in another")
    free = sorted(name for name, row in classes.items() if row["id"] is None and name.upper() not in _FIRST)
    for number, name in enumerate(free, len(_FIRST)):
        classes[name] = classes[name] | {"id": number}
    for name, row in classes.items():
        if row["id"] is None:
            classes[name] = row | {"id": _FIRST.index(name.upper())}
    return sorted(classes.values(), key=lambda row: row["id"])


def _rows(rows: Any, *names: str) -> list[dict[str, Any]]:
    """Gives rows that all have these fields; [] for anything else."""
    fit = isinstance(rows, list) and all(isinstance(row, dict) and row.keys() >= set(names) for row in rows)
    return rows if fit else []


def _colour(number: int) -> tuple[int, int, int]:
    """Gives a colour for an id, another for each of 0 to 255: PASCAL VOC's palette."""
    red = green = blue = 0
    for bit in range(8):
        red |= (number >> (3 * bit) & 1) << (7 - bit)
        green |= (number >> (3 * bit + 1) & 1) << (7 - bit)
        blue |= (number >> (3 * bit + 2) & 1) << (7 - bit)
    return red, green, blue
