"""How `--help` reads: commands under headings, in whole sentences; arguments without the types of Python."""

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

_RANGE = re.compile(r"; x>=\d+(?=])|  \[x>=\d+]")  # bounds as typer writes them; the texts name those that matter


class CommandGroup(TyperGroup):
    """Lists commands under the headings that `rich_help_panel` gives them, and cuts no sentence short."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for each heading: every command with the first paragraph of its help."""
        sections: dict[str, list[tuple[str, str]]] = {}
        width = max(map(len, self.commands), default=0)
        for name, command in self.commands.items():
            if not command.hidden:
                summary = " ".join((command.help or "").split("\n\n", 1)[0].split())
                heading = getattr(command, "rich_help_panel", None) or "Other commands"
                sections.setdefault(heading, []).append((name.ljust(width), summary))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


class Command(TyperCommand):
    """A command whose help names its arguments as its usage line does."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Gives the words of the usage line; newer versions of typer put braces around what is required."""
        return [re.sub(r"^\{(.*)}$", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the sections of arguments and options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                name, text = record
                if parameter.param_type_name == "argument":
                    sections["Arguments"].append((name.split(" <")[0], text.removesuffix("  [required]")))
                else:
                    sections["Options"].append((name, _RANGE.sub("", text)))
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
