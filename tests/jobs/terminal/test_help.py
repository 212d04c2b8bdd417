"""What `--help` says, on a terminal of 80 columns."""

import pytest
from typer.testing import CliRunner

from flowreel.jobs.cli import COMMANDS, app

NAMES = [name for commands in COMMANDS.values() for name in commands]


def help_of(*args: str) -> str:
    ended = CliRunner().invoke(app, args, prog_name="flowreel", env={"COLUMNS": "80"})
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_the_overview_lists_every_command_under_its_heading_with_a_whole_sentence() -> None:
    text = help_of("--help")
    assert "..." not in text.split("Options:")[1]
    places = [text.index(f"\n{heading}:\n") for heading in COMMANDS]
    assert places == sorted(places)
    for name in NAMES:
        words = help_of(name, "--help").split("\n\n")[1].split()
        assert words[-1].endswith(".") and " ".join(words) in " ".join(text.split())


@pytest.mark.parametrize("args", [[], *([name] for name in NAMES)], ids=["overview", *NAMES])
def test_the_short_flag_says_the_same_within_80_columns(args: list[str]) -> None:
    text = help_of(*args, "-h")
    assert text == help_of(*args, "--help")
    assert max(map(len, text.splitlines())) <= 80
    assert "<str>" not in text and "x>=" not in text and "{" not in text.splitlines()[0]
