"""`flowreel import-checkpoint`: official vid2vid and pix2pixHD `.pth` files -> a checkpoint directory."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from flowreel.jobs.terminal.dataclass_options import takes
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.importing.options import Options, fg_labels_of, flag_of
from flowreel.pipeline.generator.importing.presets import NAMES
from flowreel.schemas.errors import UsageError
from flowreel.schemas.extras import require
from flowreel.schemas.problems import plain
from flowreel.schemas.wording import byte_size, counted

if TYPE_CHECKING:  # PyTorch takes seconds to import: for this command only
    from flowreel.pipeline.generator.importing.run import Imported, Request


class Dtype(StrEnum):
    """Precision that weights are stored in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    src: Annotated[str, typer.Argument(metavar="SRC", help="Folder or bucket URL with latest_net_G0.pth and its like.")]
    dest: Annotated[str, typer.Argument(metavar="DEST", help="Folder or bucket URL of the new checkpoint directory.")]
    preset: Annotated[str, typer.Option(metavar="NAME", help=f"Official configuration: {', '.join(NAMES)}.")] = ""
    epoch: Annotated[
        str, typer.Option(metavar="N", show_default=False, help="Import the files of epoch N. Default: latest.")
    ] = "latest"
    single: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="Generator of first frames: a folder, a .pth file or an imported checkpoint directory."
        ),
    ] = ""
    no_single: Annotated[bool, typer.Option("--no-single", help="Leave out the generator of first frames.")] = False
    dtype: Annotated[
        Dtype,
        typer.Option(
            metavar="float32|float16",
            show_default=False,
            help="Precision of stored weights; float16 halves the file. Default: float32.",
        ),
    ] = Dtype.FLOAT32
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a checkpoint that is in DEST.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, but write nothing.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False
    label_space: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the label space.")] = None
    label_nc: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Number of labels, each with a channel; 0 for pictures.")
    ] = None
    input_nc: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Channels of a picture: 6 for pose, 15 for face.")
    ] = None
    use_instance: Annotated[
        bool | None, typer.Option("--use-instance/--no-instance", help="Whether instance edges are a channel.")
    ] = None
    fg_labels: Annotated[
        str | None, typer.Option(metavar="IDS", help="Labels of the foreground branch, for example 24,26.")
    ] = None
    feat_num: Annotated[int | None, typer.Option(min=0, metavar="N", help="Channels of a feature map (pix2pixHD).")] = (
        None
    )
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size in pixels that it renders best, for example 1024x512.")
    ] = None
    load_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Picks one of the files in label2city_single by its size.")
    ] = None
    n_scales: Annotated[int | None, typer.Option(min=1, metavar="N", help="Import only the N coarsest scales.")] = None
    n_frames: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Frames seen at once; checked against the weights.")
    ] = None
    flow: Annotated[
        bool | None,
        typer.Option("--flow/--no-flow", help="Whether there is a flow branch; checked against the weights."),
    ] = None


@takes(Arguments)
def command(arguments: Arguments) -> None:
    """Turns official vid2vid or pix2pixHD .pth files into a checkpoint directory.

    Widths, depths, scales and branches follow from the weights. All other options come from opt.txt in SRC, --preset
    or the flags below; what none of them gives is assumed, and printed. Nothing is written unless they all agree and
    every key and shape matches. Code inside the files is refused, never run.

    The generator of first frames is latest_net_G*.pth in SRC, or in label2city_single or edge2face_single beside it,
    or what --single names.

    \b
    Example:
      flowreel import-checkpoint checkpoints/label2city_1024_g1 ./city \\
        --preset label2city_1024_g1 --dtype float16
      Then set in the spec:  generator: {checkpoint: ./city}

    Exit codes: 0 done; 2 wrong usage, or files that cannot be used.
    """
    require("import-checkpoint", "render")
    from flowreel.pipeline.generator.importing.run import import_checkpoint

    figures = summary(import_checkpoint(_request(arguments)))
    print(json.dumps(figures, indent=2) if arguments.as_json else "\n".join(lines(figures)))


def _request(arguments: Arguments) -> "Request":
    import torch

    from flowreel.pipeline.generator.importing.run import Request

    if arguments.single and arguments.no_single:
        raise UsageError("--single and --no-single exclude each other: give one of them")
    return Request(
        source=arguments.src,
        dest=arguments.dest,
        flags=_flags(arguments),
        preset=arguments.preset,
        epoch=arguments.epoch,
        single="" if arguments.no_single else arguments.single or None,
        dtype=getattr(torch, arguments.dtype),
        overwrite=arguments.overwrite,
        dry_run=arguments.dry_run,
    )


def _flags(arguments: Arguments) -> Options:
    """Collects the flags that describe the checkpoint. Channels of a picture mean that there are no labels.

    Raises UsageError for a value that does not fit.
    """
    given: dict[str, Any] = {k: v for k in Options.model_fields if (v := getattr(arguments, k, None)) is not None}
    if "input_nc" in given:
        given.setdefault("label_nc", 0)
    if "fg_labels" in given:
        given["fg_labels"] = fg_labels_of(given["fg_labels"])
    if "size" in given:
        given["size"] = re.split("[x, ]+", given["size"])
    try:
        return Options.model_validate({**given, "origin": "flags"})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UsageError(f"{flag_of(name)} {getattr(arguments, name)}: {plain(first['msg'])}") from None


def summary(imported: "Imported") -> dict[str, Any]:
    """Gives what was imported, ready for JSON."""
    config = imported.config
    video = isinstance(config, GeneratorConfig)
    return {
        "source": imported.source,
        "dest": imported.dest,
        "written": imported.written is not None,
        "weights_bytes": imported.written.size if imported.written else None,
        "weights_sha256": imported.written.sha256 if imported.written else None,
        "renders_video": video,
        "config": config.model_dump(mode="json"),
        "networks": [vars(network) for network in imported.networks],
        "parameters": sum(network.parameters for network in imported.networks),
        "size_multiple": config.size_multiple if isinstance(config, GeneratorConfig) else config.single.size_multiple,
        "options_from": list(imported.said_by),
        "assumed": list(imported.assumed),
        "notes": list(imported.notes),
    }


def lines(figures: dict[str, Any]) -> Iterator[str]:
    """Words the summary for people, line by line."""
    config, single = figures["config"], figures["config"]["single"]
    kind = f"video generator, {counted(config['n_scales'], 'scale')}" if figures["renders_video"] else "image generator"
    yield f"{kind}, {counted(figures['parameters'], 'parameter')}, from {figures['source']}"
    for network in figures["networks"]:
        file = network["file"].removeprefix(figures["source"] + "/")
        yield f"  {network['label']:<10} {network['parameters']:>13,} parameters  {file}"
    yield f"  input      {_input(config)}"
    if figures["renders_video"]:
        yield f"  layout     {_layout(config)}"
    if single:
        features = f", feature map of {single['feat_num']}" if single["feat_num"] else ""
        features += f", tables of {counted(len(single['feature_rows']), 'part')}" if single["feature_rows"] else ""
        what = "first" if figures["renders_video"] else "layout"
        yield (
            f"  {what:<10} {single['kind'].replace('_', ' ')}, ngf {single['ngf']},"
            f" {counted(single['n_downsample'], 'downsampling')}, {counted(single['n_blocks'], 'block')}{features}"
        )
    best = (
        f", best at {config['size'][0]}x{config['size'][1]}" if config["size"] else "; set generator.size in the spec"
    )
    yield f"  size       width and height in multiples of {figures['size_multiple']}{best}"
    if figures["options_from"]:
        yield f"  options    {', '.join(figures['options_from'])}"
    yield from (f"  assumed    {text}" for text in figures["assumed"])
    yield from (f"  note       {text}" for text in figures["notes"])
    if figures["written"]:
        yield f"written to {figures['dest']}: {byte_size(figures['weights_bytes'])} of weights"
    else:
        yield f"everything fits; nothing was written to {figures['dest']} (--dry-run)"


def _input(config: dict[str, Any]) -> str:
    labels = f"{counted(config['label_nc'], 'label')} of {config['label_space']}"
    channels = config.get("input_nc") or config["single"]["input_nc"]
    what = labels if config["label_nc"] else f"{config['label_space']} pictures of {counted(channels, 'channel')}"
    return what + (" and instance edges" if config["use_instance"] else "")


def _layout(config: dict[str, Any]) -> str:
    blocks = counted(config["n_blocks"], "block") + (f" + {config['n_blocks_local']}" if config["n_scales"] > 1 else "")
    labels = ", ".join(map(str, config["fg_labels"]))
    return (
        f"ngf {config['ngf']}, {counted(config['n_downsample'], 'downsampling')}, {blocks},"
        f" {config['n_frames']} frames at a time,"
        f" {'flow' if config['flow'] else 'no flow'}, {f'foreground of label {labels}' if labels else 'no foreground'}"
    )
