"""The one table of exit codes, and who gets which."""

import re
from pathlib import Path

import pytest

from flowreel.jobs.terminal.exit import exit_code
from flowreel.pipeline.storage.errors import Full, NotFound, Unavailable
from flowreel.schemas.errors import (
    DroppedError,
    FlowreelError,
    IntegrityError,
    OverBudget,
    SourceError,
    Stopped,
    StorageError,
    UsageError,
    underway,
)
from flowreel.schemas.exit_codes import MEANING, Exit

REPOSITORY = Path(__file__).parents[3]


def test_the_readme_lists_the_codes_as_they_are() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), text) for code, text in MEANING.items()]
    assert set(MEANING) == set(Exit)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FlowreelError("x"), 1), (IntegrityError("x"), 1), (Unavailable("x"), 1), (Full("x"), 1),
        (UsageError("x"), 2), (SourceError("x"), 2), (StorageError("x"), 2), (NotFound("x"), 2),
        (OverBudget("x"), 4), (DroppedError("x"), 4), (Stopped("x"), 143), (Stopped("x", 2), 130),
        (SystemExit(), 0), (SystemExit(3), 3), (SystemExit("a text"), 1),
    ],
)  # fmt: skip
def test_each_error_has_its_code(error: BaseException, code: int) -> None:
    def command() -> None:
        raise error

    assert exit_code(command) == code


def test_nothing_was_rendered_is_not_said_once_something_was() -> None:
    for error, code in ((StorageError("x"), 1), (SourceError("x"), 1), (OverBudget("x"), 4), (Stopped("x"), 143)):
        with pytest.raises(FlowreelError) as raised, underway():
            raise error
        assert raised.value.exit_code == code
    assert StorageError("another").exit_code == 2
