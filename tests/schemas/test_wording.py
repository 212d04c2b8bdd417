"""Numbers as people read them."""

import pytest

from flowreel.schemas.wording import byte_size, counted, duration


@pytest.mark.parametrize(("number", "text"), [(0, "0 clips"), (1, "1 clip"), (2, "2 clips"), (2048, "2,048 clips")])
def test_a_count_has_its_noun_in_the_right_number(number: int, text: str) -> None:
    assert counted(number, "clip") == text


def test_an_irregular_plural_is_given() -> None:
    assert [counted(n, "index", "indices") for n in (1, 3)] == ["1 index", "3 indices"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (3_414_000, "3.41 MB"),
        (99_960, "100 kB"),
        (999_600, "1 MB"),
        (5e15, "5,000 TB"),
    ],
)
def test_a_size_has_three_digits(size: float, text: str) -> None:
    assert byte_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "under a second"),
        (40, "40 s"),
        (59.6, "1 min"),
        (3599, "59 min 59 s"),
        (3700, "1 h 2 min"),
        (86_400, "1 day"),
        (100_000, "1 day 4 h"),
        (3 * 86_400, "3 days"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
