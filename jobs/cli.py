"""The command line: `flowreel COMMAND`. One function for each command, in the files named here."""

from collections.abc import Callable
from importlib import metadata
from textwrap import fill
from typing import Annotated

import typer

from flowreel.jobs import (
    dataset_commands,
    evaluate,
    export,
    import_checkpoint,
    presets,
    report,
    segmenter,
    spec_commands,
    submit,
    worth,
)
from flowreel.jobs.terminal.exit import exit_code, run_process
from flowreel.jobs.terminal.help import Command, CommandGroup
from flowreel.schemas.exit_codes import MEANING

HELP = """Turns sequences of label maps into photoreal, flow-consistent video clips.

Flowreel reads label maps from a folder or bucket, renders them with a generator on any number of Ray workers, and
publishes versions of a paired image/label dataset in Parquet.

\b
First steps:
  flowreel demo              renders a small dataset on this machine
  flowreel plan SPEC         checks your own spec and says what it takes
  flowreel render SPEC       renders it and publishes a version
"""
EPILOG = """`flowreel COMMAND --help` explains a command. SPEC is a YAML file; DATASET is a folder or bucket URL.

\b
Exit codes:
""" + "\n".join(
    fill(text.replace("`", ""), 78, initial_indent=f"  {code:<4} ", subsequent_indent=" " * 7)
    for code, text in MEANING.items()
)

COMMANDS: dict[str, dict[str, Callable[..., None]]] = {  # by heading, in the order of --help
    "Get started": {"demo": spec_commands.demo, "schema": spec_commands.schema, "presets": presets.command},
    "Make datasets": {
        "plan": spec_commands.plan,
        "render": spec_commands.render,
        "refresh": spec_commands.refresh,
        "submit": submit.command,
    },
    "Look at datasets": {
        "status": dataset_commands.status,
        "report": report.command,
        "diff": dataset_commands.diff,
        "verify": dataset_commands.verify,
    },
    "Convert and clean up": {"export": export.command, "gc": dataset_commands.gc},
    "Train and judge generators": {
        "train": spec_commands.train,
        "import-checkpoint": import_checkpoint.command,
        "evaluate": evaluate.command,
        "segmenter": segmenter.command,
        "worth": worth.command,
    },
}

app = typer.Typer(
    cls=CommandGroup,
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: no boxes that take a third of 80 columns, and it can be copied as it is
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"flowreel {metadata.version('flowreel')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Takes the options of `flowreel` itself; its help is above."""


for heading, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, cls=Command, rich_help_panel=heading)(command)


def run_command() -> None:
    """Runs the command that the process was given; raises what it ends with."""
    app(prog_name="flowreel")


def run() -> int:
    """Runs a command and gives its exit code; errors that Flowreel raises on purpose print their message alone."""
    return exit_code(run_command)


def main() -> None:
    """Runs a command and ends the process with its exit code."""
    run_process(lambda: run_command)
