"""`flowreel presets`: the layouts that `source.preset` knows."""

import json
from collections.abc import Iterator
from typing import Annotated

import typer

from flowreel.jobs.terminal.options import Json
from flowreel.schemas.errors import UsageError
from flowreel.schemas.presets import PRESETS, Preset


def command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", show_default=False, help="Show all fields of this one. Default: list all.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Lists the layouts that source.preset knows, each with an example of its files.

    \b
    Examples:
      flowreel presets
      flowreel presets kitti-step
    """
    if name and name not in PRESETS:
        raise UsageError(f"'{name}' is no preset; there are {', '.join(PRESETS)}")
    shown = {name: PRESETS[name]} if name else PRESETS
    if as_json:
        print(json.dumps({key: {"about": p.about, "source": p.fields, "tree": p.tree, "note": p.note}
                          for key, p in shown.items()}, indent=2))  # fmt: skip
    else:
        print("\n".join(line for key, preset in shown.items() for line in lines(key, preset, full=bool(name))))


def lines(name: str, preset: Preset, *, full: bool) -> Iterator[str]:
    """Words a preset for people, line by line; ``full``: with its remap."""
    yield f"{name}: {preset.about}"
    yield "  source:"
    yield f"    preset: {name}"
    for field, value in preset.fields.items():
        if field == "remap" and not full:
            yield f"    # remap: {len(value)} ids"
        elif field == "remap":
            yield "    # remap:"
            yield from (f"    #   {key}: {target}" for key, target in value.items())
        else:
            yield f"    # {field}: {json.dumps(value) if isinstance(value, dict) else value}"
    yield "  files below source.uri:"
    yield from (f"    {path}" for path in preset.tree)
    if preset.note:
        yield f"  {preset.note}"
    yield ""
