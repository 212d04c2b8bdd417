"""Arguments and options that several commands have."""

from typing import Annotated

import typer

SpecArg = Annotated[str, typer.Argument(metavar="SPEC", help="path or URL of the spec, a YAML file (see configs/)")]
TrainSpecArg = Annotated[str, typer.Argument(metavar="SPEC", help="path or URL of a YAML file (see configs/train/)")]
DatasetArg = Annotated[str, typer.Argument(metavar="DATASET[@N]", help="folder or bucket URL; @N: version N")]
PlaceArg = Annotated[str, typer.Argument(metavar="DATASET", help="folder or bucket URL")]
Set = Annotated[
    list[str], typer.Option("--set", metavar="FIELD=VALUE", help="override a field of the spec, e.g. clips.frames=16")
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Grace = Annotated[
    float,
    typer.Option(min=0, metavar="HOURS", help="younger files stay, and those of versions dropped since"),
]
Retry = Annotated[bool, typer.Option("--retry-failed", help="try clips again that failed before")]
AllowDrop = Annotated[
    bool, typer.Option("--allow-drop", help="publish even if most clips of the newest version go without a successor")
]
NONE: list[str] = []
RETRY = ["failure.retry_failed=true"]
ALLOW_DROP = ["failure.max_dropped_fraction=1"]
