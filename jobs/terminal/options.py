"""Arguments and options that several commands have."""

from typing import Annotated

import typer

SpecArg = Annotated[
    str, typer.Argument(metavar="SPEC", help="Path or URL of the spec, a YAML file; see configs/ for examples.")
]
TrainSpecArg = Annotated[
    str, typer.Argument(metavar="SPEC", help="Path or URL of the spec, a YAML file; see configs/train/ for examples.")
]
DatasetArg = Annotated[
    str,
    typer.Argument(
        metavar="DATASET[@N]", help="Folder or bucket URL of the dataset; @N picks version N, by default the newest."
    ),
]
PlaceArg = Annotated[str, typer.Argument(metavar="DATASET", help="Folder or bucket URL of the dataset.")]
Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Override one field of the spec, for example clips.frames=16. May be given several times.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Grace = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="HOURS",
        show_default=False,
        help="Keep files younger than this, and those of versions dropped within this time. Default: 72 hours.",
    ),
]
Price = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="PRICE", help="Price of one worker (GPU or CPU) per hour, in any currency; adds the cost."
    ),
]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Also render clips that failed in an earlier run.")]
AllowDrop = Annotated[
    bool,
    typer.Option("--allow-drop", help="Publish even if more clips go than failure.max_dropped_fraction allows."),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Accept a quality.segmenter that runs code of its own (TorchScript: .pt, .ts), if you trust whoever made"
        " it. ONNX and safetensors need no such trust.",
    ),
]
NONE: list[str] = []
RETRY = ["failure.retry_failed=true"]
ALLOW_DROP = ["failure.max_dropped_fraction=1"]
