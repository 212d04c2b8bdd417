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

if TYPE_CHECKING:  # PyTorch takes seconds to import: for this command only
    from flowreel.pipeline.generator.importing.run import Imported, Request


class Dtype(StrEnum):
    """What weights are stored as."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    src: Annotated[str, typer.Argument(metavar="SRC", help="folder or bucket URL with latest_net_G0.pth, ...")]
    dest: Annotated[str, typer.Argument(metavar="DEST", help="folder or bucket URL of the new checkpoint directory")]
    preset: Annotated[str, typer.Option(metavar="NAME", help=f"official configuration: {', '.join(NAMES)}")] = ""
    epoch: Annotated[str, typer.Option(metavar="N", help="takes N_net_G0.pth, ...")] = "latest"
    single: Annotated[
        str, typer.Option(metavar="PATH", help="generator of first frames: folder, .pth file or imported directory")
    ] = ""
    no_single: Annotated[bool, typer.Option("--no-single", help="leave out the generator of first frames")] = False
    dtype: Annotated[Dtype, typer.Option(help="stored numbers; float16 halves the file")] = Dtype.FLOAT32
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the checkpoint in DEST")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check everything, write nothing")] = False
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False
    label_space: Annotated[str | None, typer.Option(metavar="NAME", help="name of the label space")] = None
    label_nc: Annotated[int | None, typer.Option(min=0, help="labels, each with a channel; 0: pictures")] = None
    input_nc: Annotated[int | None, typer.Option(min=1, help="channels of a picture (pose 6, face 15)")] = None
    use_instance: Annotated[bool | None, typer.Option("--use-instance/--no-instance", help="edge channel")] = None
    fg_labels: Annotated[str | None, typer.Option(metavar="IDS", help="of the foreground branch, e.g. 24,26")] = None
    feat_num: Annotated[int | None, typer.Option(min=0, help="channels of a feature map (pix2pixHD)")] = None
    size: Annotated[str | None, typer.Option(metavar="WxH", help="size that it looks best at, e.g. 1024x512")] = None
    load_size: Annotated[int | None, typer.Option(min=1, help="chooses among label2city_single's files")] = None
    n_scales: Annotated[int | None, typer.Option(min=1, help="takes only the first, coarsest ones")] = None
    n_frames: Annotated[int | None, typer.Option(min=2, help="checked: frames seen at once")] = None
    flow: Annotated[bool | None, typer.Option("--flow/--no-flow", help="checked: whether there is a flow branch")] = (
        None
    )


@takes(Arguments)
def command(arguments: Arguments) -> None:
    """Turns official vid2vid / pix2pixHD .pth files into a checkpoint directory. Code in them is refused, never run.

    The weights tell widths, depths, scales and branches. The rest comes from SRC's opt.txt, --preset or flags; what
    nobody says is assumed and printed. All must agree, every key and shape must match, else nothing is written.

    First frames: latest_net_G*.pth in SRC, in label2city_single or edge2face_single beside it, or --single.

    \b
    Example:
      flowreel import-checkpoint checkpoints/label2city_1024_g1 s3://bucket/checkpoints/city \\
        --preset label2city_1024_g1 --dtype float16
      then in the spec:  generator: {checkpoint: "s3://bucket/checkpoints/city"}

    Exit codes: 0 done; 2 bad usage or files that cannot be used.
    """
    require("import-checkpoint", "render")
    from flowreel.pipeline.generator.importing.run import import_checkpoint

    figures = summary(import_checkpoint(_request(arguments)))
    print(json.dumps(figures, indent=2) if arguments.as_json else "\n".join(lines(figures)))


def _request(arguments: Arguments) -> "Request":
    import torch

    from flowreel.pipeline.generator.importing.run import Request

    if arguments.single and arguments.no_single:
        raise UsageError("--single and --no-single: say one of them")
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
    """The flags that say something about the checkpoint. Channels of a picture mean that there are no labels."""
    said: dict[str, Any] = {k: v for k in Options.model_fields if (v := getattr(arguments, k, None)) is not None}
    if "input_nc" in said:
        said.setdefault("label_nc", 0)
    if "fg_labels" in said:
        said["fg_labels"] = fg_labels_of(said["fg_labels"])
    if "size" in said:
        said["size"] = re.split("[x, ]+", said["size"])
    try:
        return Options.model_validate({**said, "origin": "flags"})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UsageError(f"{flag_of(name)} {getattr(arguments, name)}: {first['msg']}") from None


def summary(imported: "Imported") -> dict[str, Any]:
    """What was imported, ready for JSON."""
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
    """The summary for people."""
    config, single = figures["config"], figures["config"]["single"]
    kind = f"video generator, {config['n_scales']} scale(s)" if figures["renders_video"] else "image generator"
    yield f"{kind}, {figures['parameters']:,} parameters, from {figures['source']}"
    for network in figures["networks"]:
        file = network["file"].removeprefix(figures["source"] + "/")
        yield f"  {network['label']:<10} {network['parameters']:>13,} parameters  {file}"
    yield f"  input      {_input(config)}"
    if figures["renders_video"]:
        yield f"  layout     {_layout(config)}"
    if single:
        features = f", feature map of {single['feat_num']}" if single["feat_num"] else ""
        features += f", tables of {len(single['feature_rows'])} parts" if single["feature_rows"] else ""
        what = "first" if figures["renders_video"] else "layout"
        yield (
            f"  {what:<10} {single['kind'].replace('_', ' ')}, ngf {single['ngf']},"
            f" {single['n_downsample']} downsamplings, {single['n_blocks']} blocks{features}"
        )
    best = (
        f", best at {config['size'][0]}x{config['size'][1]}" if config["size"] else "; say generator.size in the spec"
    )
    yield f"  size       width and height in multiples of {figures['size_multiple']}{best}"
    if figures["options_from"]:
        yield f"  options    {', '.join(figures['options_from'])}"
    yield from (f"  assumed    {text}" for text in figures["assumed"])
    yield from (f"  note       {text}" for text in figures["notes"])
    if figures["written"]:
        yield f"written to {figures['dest']}: {figures['weights_bytes'] / 1e6:,.1f} MB of weights"
    else:
        yield f"all is right; nothing was written to {figures['dest']} (--dry-run)"


def _input(config: dict[str, Any]) -> str:
    labels = f"{config['label_nc']} labels of {config['label_space']}"
    channels = config.get("input_nc") or config["single"]["input_nc"]
    what = labels if config["label_nc"] else f"{config['label_space']} pictures of {channels} channels"
    return what + (" and instance edges" if config["use_instance"] else "")


def _layout(config: dict[str, Any]) -> str:
    blocks = f"{config['n_blocks']} blocks" + (f" + {config['n_blocks_local']}" if config["n_scales"] > 1 else "")
    labels = ", ".join(map(str, config["fg_labels"]))
    return (
        f"ngf {config['ngf']}, {config['n_downsample']} downsamplings, {blocks}, {config['n_frames']} frames at a time,"
        f" {'flow' if config['flow'] else 'no flow'}, {f'foreground of label {labels}' if labels else 'no foreground'}"
    )
