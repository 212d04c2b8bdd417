"""The command line: `flowreel COMMAND`. A function per command, in the files that are named here."""

import sys

import typer

from flowreel.jobs import (
    dataset_commands,
    evaluate,
    export,
    import_checkpoint,
    report,
    segmenter,
    spec_commands,
    submit,
    worth,
)
from flowreel.jobs.terminal.exit import exit_process
from flowreel.schemas.errors import FlowreelError

app = typer.Typer(
    help="Label-map sequences in object storage -> photoreal clips -> versioned, paired Parquet datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(spec_commands.plan, spec_commands.render, spec_commands.refresh),
    *(dataset_commands.gc, dataset_commands.status, dataset_commands.verify, dataset_commands.diff),
    *(spec_commands.train, spec_commands.schema, spec_commands.demo),
):
    app.command()(command)
app.command("submit")(submit.command)
app.command("report")(report.command)
app.command("export")(export.command)
app.command("import-checkpoint")(import_checkpoint.command)
app.command("evaluate")(evaluate.command)
app.command("segmenter")(segmenter.command)
app.command("worth")(worth.command)


def run() -> int:
    """Runs a command and gives its exit code; errors that Flowreel raises on purpose print their message alone."""
    try:
        app()
    except FlowreelError as error:
        print(f"flowreel: {error}", file=sys.stderr)
        return error.exit_code
    except SystemExit as end:  # typer's way to end, whatever the code
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    exit_process(run())
