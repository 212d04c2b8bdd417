"""Types of command-line arguments that several benchmarks take."""

import argparse


def count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """WxH in pixels."""
    width, _, height = text.partition("x")
    return count(width), count(height)
