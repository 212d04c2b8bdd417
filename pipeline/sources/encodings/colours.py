"""Colours that stand for classes: those of the label space, or those that a CSV or JSON file names."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.id_maps import distinct
from flowreel.schemas.label_space import LabelSpace

Colour = tuple[int, ...]  # RGB or RGBA
Row = tuple[Colour, str, int | None]  # colour, class name, id
_CHANNELS = (("r", "red"), ("g", "green"), ("b", "blue"))
_VALUE = ("pixel value", "value", "pixel_value")  # Roboflow's masks: one grey value
_NAMES = ("name", "class", "label", "class_name", "category")
_NOTHING = ("unlabeled", "unlabelled", "void", "background")  # names of what is no class, of which spaces have one
_SHOWN = 4


@dataclass(frozen=True)
class ColourTable:
    """Says which source id each colour stands for; ``unusable``: colours whose class the label space does not have."""

    place: str  # for messages
    ids: Mapping[Colour, int]  # RGBA -> source id
    unusable: Mapping[Colour, str]
    with_alpha: bool  # whether transparency tells colours apart; else all pixels must be opaque

    def decode(self, rgba_HW4: NDArray[np.integer]) -> NDArray[np.integer]:
        """Gives the source ids (H, W) of colours. Raises ValueError, naming colours and pixels, for others."""
        if rgba_HW4.dtype != np.uint8:
            raise ValueError("16 bits per channel, where colours of 8 bits are needed")
        if not self.with_alpha and (clear := int((rgba_HW4[..., 3] < 255).sum())):
            raise ValueError(f"{clear:,} transparent pixels, which show no colour of {self.place}")
        packed_HW = _packed(rgba_HW4)
        known = np.array(sorted(_packed(np.array(c, np.uint8)).item() for c in self.ids), np.uint32)
        by_code = {_packed(np.array(c, np.uint8)).item(): i for c, i in self.ids.items()}
        id_K = np.array([by_code[code] for code in known.tolist()], np.uint16)
        place_HW = np.searchsorted(known, packed_HW).clip(0, len(known) - 1)
        strange_HW = known[place_HW] != packed_HW
        if strange_HW.any():
            raise ValueError(self._unknown(rgba_HW4, strange_HW))
        ids_HW = id_K[place_HW]
        return ids_HW.astype(np.uint8) if max(self.ids.values()) < 256 else ids_HW

    def _unknown(self, rgba_HW4: NDArray[np.integer], strange_HW: NDArray[np.bool_]) -> str:
        colours = [tuple(c) for c in distinct(rgba_HW4[strange_HW][None]).tolist()]
        named = ", ".join(_named(c, self.unusable, self.with_alpha) for c in colours[:_SHOWN])
        more = f" and {len(colours) - _SHOWN:,} more" if len(colours) > _SHOWN else ""
        return (
            f"{int(strange_HW.sum()):,} pixels in colours that are none of the {len(self.ids)} of {self.place}:"
            f" {named}{more}"
        )


def of_space(space: LabelSpace) -> ColourTable:
    """Gives the colours of a label space. One that several classes have stands for the only one that counts in
    quality measures, or the first if none does; raises ValueError where several count."""
    owners: dict[Colour, list[int]] = defaultdict(list)
    for one in space.classes:
        owners[(*one.color, 255)].append(one.id)
    ids = {}
    for colour, found in owners.items():
        counted = [i for i in found if not space.by_id[i].ignore]
        if len(counted) > 1:
            names = " and ".join(f"'{space.by_id[i].name}'" for i in counted)
            raise ValueError(f"label space '{space.name}': {names} have one colour, {colour[:3]}")
        ids[colour] = (counted or found)[0]
    return ColourTable(f"label space '{space.name}'", ids, {}, False)


def of_files(files: Sequence[tuple[str, bytes]], name: str, space: LabelSpace) -> ColourTable:
    """Reads colours from CSV (name,r,g,b or `r g b name`) or JSON files, which must not contradict each other.

    A row's id is its own; without one it is that of the label space's class of the same name. Raises ValueError for
    files without any. ``name``: for messages.
    """
    rows = [row for place, data in files for row in _rows(data, place)]
    if not rows:
        raise ValueError(f"{name}: no colours; write a CSV with the columns name,r,g,b")
    by_name = {_plain(c.name): c.id for c in space.classes}
    nothing = next((by_name[one] for one in _NOTHING if one in by_name), None)
    by_name = {one: nothing for one in _NOTHING if nothing is not None} | by_name
    ids: dict[Colour, int] = {}
    unusable: dict[Colour, str] = {}
    with_alpha = any(len(colour) == 4 and colour[3] < 255 for colour, _, _ in rows)
    for colour, label, number in rows:
        full = colour if len(colour) == 4 else (*colour, 255)
        meant = number if number is not None else by_name.get(_plain(label))
        if full in ids and ids[full] != meant:
            raise ValueError(f"{name}: colour {colour} stands for two classes, one of them '{label}'")
        if meant is None:
            unusable[full] = f"'{label}', which is no class of label space '{space.name}'"
        elif not 0 <= meant <= 65535:
            raise ValueError(f"{name}: id {meant} of '{label}' outside 0..65535")
        else:
            ids[full] = meant
    if not ids:
        raise ValueError(
            f"{name}: none of its {len(rows)} classes has an id or a name of label space '{space.name}'; add a column"
            " id"
        )
    return ColourTable(name, ids, unusable, with_alpha)


def _rows(data: bytes, name: str) -> list[Row]:
    """Reads the rows of one file. Raises ValueError for what is neither CSV nor JSON."""
    try:
        text = data.decode("utf-8-sig")
        return list(_json_rows(json.loads(text)) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, csv.Error) as error:
        raise ValueError(f"{name}: neither CSV nor JSON: {error}") from None


def _csv_rows(text: str) -> Iterator[Row]:
    """Yields rows of a CSV with a header, or of lines `r g b name` as CamVid's label_colors.txt has them."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and re.match(r"\s*\d+[\s,]+\d+[\s,]+\d+[\s,]+\S", lines[0]):
        for line in lines:
            *rgb, name = re.split(r"[\s,]+", line.strip(), maxsplit=3)
            yield _colour(rgb), name.strip(), None
        return
    for raw in csv.DictReader(io.StringIO("\n".join(lines)), skipinitialspace=True):
        row = {str(k).strip().lower(): str(v).strip() for k, v in raw.items() if k is not None}
        name = next((row[k] for k in _NAMES if k in row), "")
        number = int(row["id"]) if row.get("id", "").isdigit() else None
        grey = next((row[k] for k in _VALUE if k in row), None)
        rgb = [grey] * 3 if grey else [next((row[k] for k in names if k in row), "") for names in _CHANNELS]
        alpha = [row[k] for k in ("a", "alpha") if row.get(k)]
        yield _colour([*rgb, *alpha]), name, number


def _json_rows(tree: Any) -> Iterator[Row]:
    """Yields rows of a list of classes, or of a mapping: name -> colour, or colour -> name or {class: name}."""
    if isinstance(tree, dict) and isinstance(inner := tree.get("labels", tree.get("classes")), (list, dict)):
        tree = inner
    items = tree.items() if isinstance(tree, dict) else ((None, one) for one in tree)
    for key, value in items:
        fields = {str(k).lower(): v for k, v in value.items()} if isinstance(value, dict) else {}
        rgb = next((fields[k] for k in ("color", "colour", "rgb", "rgba") if k in fields), None)
        name = next((str(fields[k]) for k in (*_NAMES, "readable") if k in fields), None)
        number = fields.get("id") if isinstance(fields.get("id"), int) else None
        if rgb is None and isinstance(value, list):
            rgb, name = value, str(key)
        elif rgb is None and key is not None:
            rgb, name = re.findall(r"\d+", str(key)), name or str(value)
        yield _colour(rgb if isinstance(rgb, list) else []), name or str(key), number


def _colour(values: list[Any]) -> Colour:
    """Checks a colour. Raises ValueError for anything but three or four numbers from 0 to 255."""
    numbers = [int(v) if str(v).isdigit() else -1 for v in values]
    if len(numbers) not in (3, 4) or not all(0 <= n <= 255 for n in numbers):
        raise ValueError(f"{values} is no colour: three or four numbers from 0 to 255 are needed")
    return tuple(numbers)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())


def _packed(rgba: NDArray[np.integer]) -> NDArray[np.uint32]:
    parts = rgba.astype(np.uint32)
    return np.asarray(parts[..., 0] << 24 | parts[..., 1] << 16 | parts[..., 2] << 8 | parts[..., 3])


def _named(colour: Colour, unusable: Mapping[Colour, str], with_alpha: bool) -> str:
    shown = str(colour if with_alpha else colour[:3])
    return f"{shown} ({unusable[colour]})" if colour in unusable else shown
